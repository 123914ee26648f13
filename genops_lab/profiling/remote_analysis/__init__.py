"""Analyze traces on targets: send the engine to the host, get sums and columns back, copy the trace only on
request."""
