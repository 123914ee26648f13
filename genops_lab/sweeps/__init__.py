"""Sweeps: one cell as many trials, each in a fresh kernel with names set to other values."""
