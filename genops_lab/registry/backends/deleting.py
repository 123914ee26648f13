"""Delete registered models and versions in the worker process."""

from __future__ import annotations

from genops_lab.experiments.backends.client import mlflow_errors
from genops_lab.registry.models import RegisteredModel

from .mlflow_models import MlflowModels


class MlflowModelDeletion(MlflowModels):
    """Deletes from one MLflow's registry."""

    def aliases(self, name: str) -> dict[str, str]:
        """Return the version of each alias of a model. Raises NotFound."""
        with mlflow_errors(f"Cannot read the model {name!r}"):
            return {alias: str(version) for alias, version in self._registered(name).aliases.items()}

    def delete_model(self, name: str) -> None:
        """Delete a model with its versions and aliases."""
        with mlflow_errors(f"Cannot delete the model {name!r}"):
            self._client.delete_registered_model(name)

    def delete_version(self, name: str, version: str) -> RegisteredModel:
        """Delete a version with its aliases. Returns the model."""
        with mlflow_errors(f"Cannot delete version {version} of the model {name!r}"):
            for alias, number in self._registered(name).aliases.items():
                if str(number) == version:
                    self._client.delete_registered_model_alias(name, alias)
            self._client.delete_model_version(name, version)
        return self.get_model(name)
