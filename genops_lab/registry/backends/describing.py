"""Change descriptions and tags of models and versions in the worker process."""

from __future__ import annotations

from genops_lab.experiments.backends.client import mlflow_errors
from genops_lab.registry.models import ModelVersion, RegisteredModel

from .mlflow_models import MlflowModels


class MlflowDescriptions(MlflowModels):
    """Describes models and versions of one MLflow."""

    def describe_model(
        self, name: str, description: str | None, tags: dict[str, str], untag: list[str]
    ) -> RegisteredModel:
        """Change a model's description, unless it is None, and its tags. Raises NotFound."""
        with mlflow_errors(f"Cannot change the model {name!r}"):
            known = self._registered(name).tags
            if description is not None:
                self._client.update_registered_model(name, description)
            for key, value in tags.items():
                self._client.set_registered_model_tag(name, key, value)
            for key in untag:
                if key in known:
                    self._client.delete_registered_model_tag(name, key)
        return self.get_model(name)

    def describe_version(
        self, name: str, version: str, description: str | None, tags: dict[str, str], untag: list[str]
    ) -> ModelVersion:
        """Change a version's description, unless it is None, and its tags. Raises NotFound."""
        number = self.number(name, version)
        with mlflow_errors(f"Cannot change version {number} of the model {name!r}"):
            known = self._client.get_model_version(name, number).tags
            if description is not None:
                self._client.update_model_version(name, number, description)
            for key, value in tags.items():
                self._client.set_model_version_tag(name, number, key, value)
            for key in untag:
                if key in known:
                    self._client.delete_model_version_tag(name, number, key)
        return self.resolve(name, number)
