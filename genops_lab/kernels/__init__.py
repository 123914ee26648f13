"""Kernels that run on a target: their local end, and how Jupyter starts them."""
