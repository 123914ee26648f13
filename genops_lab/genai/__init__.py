"""Evaluate the answers of language models: ask, score, compare."""
