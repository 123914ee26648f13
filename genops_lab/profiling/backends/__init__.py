"""What runs in worker processes: the analysis of traces, and their way into MLflow."""
