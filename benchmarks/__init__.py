"""Figures, each with what people use today (or with nothing) beside it in the same run. Never part of the tests."""
