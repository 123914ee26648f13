"""Targets whose hosts are pods of a Kubernetes namespace."""
