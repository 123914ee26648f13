"""Prepare columns for display: tiles, slices, flame graphs."""
