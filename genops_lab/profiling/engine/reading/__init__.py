"""Read files of profilers into columns."""
