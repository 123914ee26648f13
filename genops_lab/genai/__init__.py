"""Generative AI: models that answer, prompts, traces, evaluations and labels."""
