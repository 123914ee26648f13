"""Kernels under NVIDIA's Nsight tools."""
