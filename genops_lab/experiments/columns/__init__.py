"""The runs of an MLflow as columns, updated by reading; only MLflow itself stores runs."""
