"""Traces of generative models: what MLflow keeps of requests, as columns and as trees of spans."""
