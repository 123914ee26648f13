"""Charts of many runs: shortened histories, and the importance of parameters."""
