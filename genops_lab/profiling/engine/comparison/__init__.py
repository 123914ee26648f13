"""Two profiles beside each other."""
