"""The runs of an MLflow as columns, kept up to date by reading; MLflow stays the only place where runs are written."""
