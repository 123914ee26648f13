"""Read the formats of versions' files in the process that copies files: a large pickle keeps it busy for seconds."""

from __future__ import annotations

from typing import Any

from genops_lab.core.errors import GenOpsError
from genops_lab.experiments.backends.client import MlflowBackend, mlflow_errors

from .version_facts import VersionFacts


class MlflowFormats(MlflowBackend):
    """Reads the files of versions of one MLflow. Nothing is loaded."""

    def __init__(self, tracking_uri: str, **others: Any) -> None:
        super().__init__(tracking_uri, **others)
        self._facts = VersionFacts(self._client)

    def formats(self, versions: list[tuple[str, str]]) -> list[str | None]:
        """Return the formats of versions (model, number) as their details show them; None: unreadable now."""
        found: list[str | None] = []
        for name, version in versions:
            try:
                with mlflow_errors(f"Cannot read the files of {name!r} version {version}"):
                    found.append(", ".join(self._facts.read(name, version).formats))
            except GenOpsError:
                found.append(None)
        return found
