"""Read from MLflow, in its worker process."""
