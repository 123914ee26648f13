"""Compare two profiles."""
