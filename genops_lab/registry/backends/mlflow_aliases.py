"""Read and move aliases in MLflow, and keep the tags of their history, in the worker process."""

from __future__ import annotations

from functools import partial

import msgspec

from genops_lab.core.errors import NotFound
from genops_lab.experiments.backends.client import mlflow_errors, search_models

from .mlflow_models import MlflowModels

#: Beginning of the key of an event's tag.
TAG = "genops.alias."
#: Models that a look at all aliases reads: MLflow's last changed ones.
MOST_MODELS = 1000


class AliasReading(msgspec.Struct, frozen=True, kw_only=True):
    """The aliases of a model in MLflow: versions by alias, and values of the history's tags by key.

    ``made`` is when MLflow made the model, in ms since 1970.
    """

    name: str
    made: int
    aliases: dict[str, str]
    tags: dict[str, str] = {}


class MlflowAliases(MlflowModels):
    """Aliases of registered models of one MLflow."""

    def read(self, name: str) -> AliasReading:
        """Read the aliases of a model and the tags of their history. Raises NotFound."""
        with mlflow_errors(f"Cannot read the aliases of {name!r}"):
            found = self._registered(name)
        tags = {key: value for key, value in found.tags.items() if key.startswith(TAG)}
        return AliasReading(name=name, made=_made(found), aliases=_versions(found.aliases), tags=tags)

    def read_all(self) -> list[AliasReading]:
        """Read the aliases of the 1,000 models that changed last, without tags."""
        with mlflow_errors("Cannot read the aliases of the models"):
            search = partial(search_models, self._client)
            found = search(max_results=MOST_MODELS, order_by=["last_updated_timestamp DESC"])
        return [
            AliasReading(name=each.name, made=_made(each), aliases=_versions(each.aliases)) for each in found
        ]

    def point(self, name: str, alias: str, version: str) -> None:
        """Point an alias at a version; an empty version removes the alias."""
        if version:
            with mlflow_errors(f"Cannot set the alias {alias!r} of {name!r}"):
                self._client.set_registered_model_alias(name, alias, version)
        else:
            with mlflow_errors(f"Cannot delete the alias {alias!r} of {name!r}"):
                self._client.delete_registered_model_alias(name, alias)

    def tag(self, name: str, key: str, value: str) -> None:
        """Write a tag of the model; an equal tag is left as it is."""
        with mlflow_errors(f"Cannot write the history of the aliases of {name!r}"):
            self._client.set_registered_model_tag(name, key, value)

    def untag(self, name: str, keys: list[str]) -> None:
        """Delete tags of the model."""
        with mlflow_errors(f"Cannot shorten the history of the aliases of {name!r}"):
            for key in keys:
                self._client.delete_registered_model_tag(name, key)

    def has_version(self, name: str, version: str) -> bool:
        """Return whether the model has this version."""
        try:
            with mlflow_errors(f"Cannot read version {version} of the model {name!r}"):
                self._client.get_model_version(name, version)
        except NotFound:
            return False
        return True


def _made(model: object) -> int:
    return int(getattr(model, "creation_timestamp", 0) or 0)


def _versions(aliases: dict[str, object]) -> dict[str, str]:
    return {alias: str(version) for alias, version in aliases.items()}
