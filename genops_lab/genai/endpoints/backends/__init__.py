"""Read the endpoints of MLflow in the worker process."""
