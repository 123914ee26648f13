"""The parts that run in worker processes: analyze traces, and store profiles in MLflow."""
