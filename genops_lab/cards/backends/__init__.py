"""What cards need of MLflow, in its worker process."""
