"""Sweeps run one cell as many trials, each in a fresh kernel with other values of its variables."""
