"""Change descriptions and tags of models and versions in the worker process."""

from __future__ import annotations

from collections.abc import Mapping

from genops_lab.core.errors import Conflict
from genops_lab.experiments.backends.client import mlflow_errors
from genops_lab.registry.models import Describe, ModelVersion, RegisteredModel

from .mlflow_models import MlflowModels


class MlflowDescriptions(MlflowModels):
    """Describes models and versions of one MLflow.

    MLflow has no conditional write: what another program writes between the look and the write is overwritten.
    """

    def describe_model(self, name: str, body: Describe) -> RegisteredModel:
        """Change a model's description and tags. Raises NotFound; Conflict if others changed them."""
        with mlflow_errors(f"Cannot change the model {name!r}"):
            found = self._registered(name)
            _check_unchanged(f"the model {name!r}", found.description or "", found.tags, body)
            if body.description is not None:
                self._client.update_registered_model(name, body.description)
            for key, value in body.tags.items():
                self._client.set_registered_model_tag(name, key, value)
            for key in body.untag:
                if key in found.tags:
                    self._client.delete_registered_model_tag(name, key)
        return self.get_model(name)

    def describe_version(self, name: str, version: str, body: Describe) -> ModelVersion:
        """Change a version's description and tags. Raises NotFound; Conflict if others changed them."""
        number = self.number(name, version)
        with mlflow_errors(f"Cannot change version {number} of the model {name!r}"):
            found = self._client.get_model_version(name, number)
            _check_unchanged(f"{name} version {number}", found.description or "", found.tags, body)
            if body.description is not None:
                self._client.update_model_version(name, number, body.description)
            for key, value in body.tags.items():
                self._client.set_model_version_tag(name, number, key, value)
            for key in body.untag:
                if key in found.tags:
                    self._client.delete_model_version_tag(name, number, key)
        return self.resolve(name, number)


def _check_unchanged(of: str, description: str, tags: Mapping[str, str], body: Describe) -> None:
    """Raise Conflict, whose details have what is there ``now``, if it is not what the user saw."""
    changed = {key: tags.get(key) for key, seen in body.expected_tags.items() if tags.get(key) != seen}
    what, now = "", None
    if body.expected is not None and body.expected != description:
        what, now = "description", description
    elif changed:
        key, now = next(iter(changed.items()))
        what = f"tag {key!r}"
    if what:
        raise Conflict(
            f"The {what} of {of} was changed while you wrote.",
            hint="Your text is not saved. Compare it with the text that is there now, then save again to replace that.",
            code="changed",
            details={"now": now},
        )
