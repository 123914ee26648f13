"""Serve models to callers. ``gateway`` is the process that they speak to."""
