"""Store profiles in the artifacts of their runs, in MLflow's worker process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genops_lab.experiments.backends.client import mlflow_errors, open_client


class ProfileArtifacts:
    """Writes a profile's files to its run."""

    def __init__(self, tracking_uri: str, **_others: Any) -> None:
        self._client = open_client(tracking_uri)

    def keep(self, run_id: str, folder: str, files: list[str], metrics: dict[str, float]) -> None:
        """Log local ``files`` under ``folder`` of the run, and ``metrics``. Raises NotFound or
        Unavailable."""
        with mlflow_errors(f"The profile could not be stored with run {run_id}"):
            for file in files:
                self._client.log_artifact(run_id, str(Path(file)), artifact_path=folder)
            for name, value in metrics.items():
                self._client.log_metric(run_id, name, value)
