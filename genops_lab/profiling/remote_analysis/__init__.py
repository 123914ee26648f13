"""Traces that lie on targets: the engine goes there, sums and columns come back, the trace when it is asked for."""
