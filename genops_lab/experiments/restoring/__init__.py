"""Notebooks made from the source that runs keep."""
