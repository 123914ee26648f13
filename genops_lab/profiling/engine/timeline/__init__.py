"""Columns as they are looked at: tiles, slices, flame graphs."""
