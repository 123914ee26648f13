"""Read what speaks against deleting old versions, and stages of MLflow 2, in the worker process."""

from __future__ import annotations

from genops_lab.experiments.backends.client import all_pages, mlflow_errors, quoted
from genops_lab.registry.models import VersionStage
from genops_lab.registry.origins import PARENT_TAG

from .mlflow_models import MlflowModels


class MlflowCleaning(MlflowModels):
    """Looks at all versions of a model of one MLflow."""

    def versions(self, name: str) -> tuple[list[tuple[str, float]], dict[str, list[str]]]:
        """Return number and time (seconds since 1970) of all versions, newest first, and the aliases by version."""
        with mlflow_errors(f"Cannot read the versions of {name!r}"):
            model = self._registered(name)
            found = all_pages(self._client.search_model_versions, filter_string=f"name = {quoted(name)}")
        aliases: dict[str, list[str]] = {}
        for alias, version in model.aliases.items():
            aliases.setdefault(str(version), []).append(alias)
        listed = [(str(each.version), (each.creation_timestamp or 0) / 1000) for each in found]
        return sorted(listed, key=lambda each: -int(each[0])), aliases

    def children(self, name: str, version: str) -> list[str]:
        """Name the versions that are made from this version."""
        parent = f"models:/{name}/{version}"
        with mlflow_errors(f"Cannot read the versions that are made from {name!r} version {version}"):
            found = self._client.search_model_versions(
                f"tags.`{PARENT_TAG}` = {quoted(parent)}", max_results=10
            )
        return [f"{each.name} version {each.version}" for each in found]

    def stages(self, name: str) -> list[VersionStage]:
        """List the versions that have a stage of MLflow 2, newest first."""
        with mlflow_errors(f"Cannot read the stages of {name!r}"):
            self._registered(name)
            found = all_pages(self._client.search_model_versions, filter_string=f"name = {quoted(name)}")
        staged = [
            VersionStage(version=str(each.version), stage=str(each.current_stage))
            for each in found
            if str(each.current_stage or "None") != "None"
        ]
        return sorted(staged, key=lambda each: -int(each.version))
