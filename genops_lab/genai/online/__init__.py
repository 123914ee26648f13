"""Score a sample of the live traces of deployments."""
