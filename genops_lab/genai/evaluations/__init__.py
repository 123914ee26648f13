"""Evaluations of answers: ask models, score what they said, and say what it shows."""
