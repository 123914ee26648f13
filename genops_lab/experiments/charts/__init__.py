"""Charts of many runs: their histories made short, and which parameters matter."""
