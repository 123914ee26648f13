"""Send the notebook's folder to a target before its kernel starts, and pull files from it on request."""
