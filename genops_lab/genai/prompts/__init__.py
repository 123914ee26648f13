"""Prompts of MLflow: versions, aliases, differences, answers to rows of a data set."""
