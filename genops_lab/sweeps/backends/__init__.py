"""Code of the worker processes: results of trials from MLflow, suggestions from Optuna."""
