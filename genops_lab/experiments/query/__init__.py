"""The query language of runs: MLflow's filter strings, and more. Columns in, a mask out; no store, no server."""
