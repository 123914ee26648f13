"""What is asked in worker processes: MLflow for how trials went, Optuna for what to try."""
