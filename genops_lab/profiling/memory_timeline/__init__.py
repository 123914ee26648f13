"""Serve a profile's memory over time."""
