"""Scorers: what turns an answer into a number."""
