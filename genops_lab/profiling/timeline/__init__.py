"""Serve the timeline of a profile from the columns in its folder: tiles and answers about slices."""
