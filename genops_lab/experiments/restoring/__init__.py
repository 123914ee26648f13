"""What a run kept of where it came from, made into a notebook again."""
