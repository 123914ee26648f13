"""Runs side by side: their differences, and how certain those are."""
