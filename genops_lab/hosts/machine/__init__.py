"""This machine: its metrics and GPUs."""
