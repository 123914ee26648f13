"""Kernels of this machine and of targets, and how Jupyter starts them."""
