"""Files of profilers, made into columns."""
