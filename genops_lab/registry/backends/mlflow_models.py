"""MLflow's model registry, called in the worker process (mlflow is imported here, never in the server)."""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from genops_lab.core.errors import Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.paging import Page, PageQuery
from genops_lab.experiments.backends.artifacts import local_path
from genops_lab.experiments.backends.client import (
    MlflowBackend,
    all_pages,
    one_page,
    quoted,
    search_models,
    told,
)
from genops_lab.experiments.backends.logged import flavors_at, logged_models
from genops_lab.experiments.hashes import check_plain
from genops_lab.registry.models import ModelVersion, RegisteredModel

KEY_TAG = "genops.idempotency_key"
VERSIONS_TOLD = 100

LOG_A_MODEL = (
    "Log one in the run first, such as mlflow.sklearn.log_model(model, name='model', input_example=x[:2]) "
    "or mlflow.pytorch.log_model(...)."
)


class MlflowModels(MlflowBackend):
    """Registered models of one MLflow."""

    def __init__(self, tracking_uri: str, **_others: Any) -> None:
        super().__init__(tracking_uri)
        self._flavors: dict[str, list[str]] = {}

    def list_models(self, query: PageQuery) -> Page[RegisteredModel]:
        """Registered models, the latest changed first, each with its newest versions."""
        with told("The models could not be listed"):
            search = partial(search_models, self._client)
            found, token = one_page(search, query, order_by=["last_updated_timestamp DESC"])
            return Page(items=[self._model(model) for model in found], next=token)

    def get_model(self, name: str) -> RegisteredModel:
        """One registered model with its newest versions."""
        with told(f"The model {name!r} could not be read"):
            return self._model(self._client.get_registered_model(name))

    def list_versions(self, name: str, query: PageQuery) -> Page[ModelVersion]:
        """The versions of a registered model, newest first."""
        with told(f"The versions of {name!r} could not be read"):
            return self._versions(self._client.get_registered_model(name), query)

    def resolve(self, name: str, version: str) -> ModelVersion:
        """The version with this number or alias; the newest for an empty one."""
        with told(f"The model {name!r} could not be read"):
            registered = self._client.get_registered_model(name)
            model = self._model(registered)
        if not model.versions:
            raise NotFound(
                f"The model {name!r} has no version yet.", hint="Register a run's model under this name."
            )
        if not version:
            return model.versions[0]
        number = version if version.isdecimal() else registered.aliases.get(version)
        if number is None:
            aliases = ", ".join(sorted(registered.aliases)) or "none"
            raise NotFound(
                f"The model {name!r} has no alias {version!r}.",
                hint=f"Its aliases: {aliases}; its newest version: {model.versions[0].version}.",
            )
        with told(f"The model {name!r} has no version {number}"):
            return self._version(self._client.get_model_version(name, str(number)), model)

    def register(self, run_id: str, name: str, model: str, alias: str, key: str) -> ModelVersion:
        """Register the run's model (``model`` by name where it has several) as a new version of ``name``."""
        source, model_id = self._choose(run_id, model)
        with told(f"The run's model could not be registered as {name!r}"):
            self._ensure_model(name)
            made = self._client.create_model_version(
                name, source, run_id=run_id, model_id=model_id, tags={KEY_TAG: key} if key else None
            )
            if alias:
                self._client.set_registered_model_alias(name, alias, made.version)
        return self._version(made, self.get_model(name))

    def registered_with(self, name: str, key: str) -> ModelVersion | None:
        """The version that was registered with this idempotency key."""
        with told(f"The versions of {name!r} could not be read"):
            versions = all_pages(self._client.search_model_versions, filter_string=f"name = {quoted(name)}")
            for version in versions:
                if version.tags.get(KEY_TAG) == key:
                    return self._version(version, self.get_model(name))
        return None

    def set_alias(self, name: str, alias: str, version: str) -> RegisteredModel:
        """Point an alias at a version."""
        target = self.resolve(name, version)
        with told(f"The alias {alias!r} of {name!r} could not be set"):
            self._client.set_registered_model_alias(name, alias, target.version)
        return self.get_model(name)

    def delete_alias(self, name: str, alias: str) -> RegisteredModel:
        """Take an alias away; harmless when there is none."""
        with told(f"The alias {alias!r} of {name!r} could not be taken away"):
            if alias in self._client.get_registered_model(name).aliases:
                self._client.delete_registered_model_alias(name, alias)
        return self.get_model(name)

    def download(self, name: str, version: str, folder: str) -> str:
        """Copy a version's files into the new folder ``folder``, byte for byte as its run logged them."""
        from mlflow.artifacts import download_artifacts

        target = Path(folder)
        fetching = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
        try:
            with told(f"The files of {name!r} version {version} could not be fetched"):
                # Not by models:/name/version: that adds a file, and the hashes would not be the run's any more.
                source = self._client.get_model_version_download_uri(name, version)
                if (local := local_path(source)) is not None:
                    check_plain(local)
                found = download_artifacts(
                    artifact_uri=source, dst_path=str(fetching), tracking_uri=self._client.tracking_uri
                )
                Path(found).rename(target)
        except GenOpsError as error:
            # MLflow tells a failed copy on the second line of its message, and as an error of its own.
            if any(sign in str(error.__cause__) for sign in ("No space left", "Disk quota")):
                raise Failed(
                    f"The files of {name!r} version {version} could not be written: the disk is full.",
                    hint="Free some disk space, then deploy again.",
                ) from error
            raise
        finally:
            shutil.rmtree(fetching, ignore_errors=True)
        if not (target / "MLmodel").is_file():
            shutil.rmtree(target, ignore_errors=True)
            raise Failed(
                f"Version {version} of {name!r} holds no MLmodel file.",
                hint="Its artifacts were deleted or moved: register the model again.",
            )
        return str(target)

    def _choose(self, run_id: str, wanted: str) -> tuple[str, str | None]:
        """The source and, for a model logged by MLflow 3, the id of the run's model to register."""
        choices = {found.model.name: found for found in logged_models(self._client, run_id)}
        if not choices:
            raise NotFound(f"The run {run_id} logged no model.", hint=LOG_A_MODEL)
        if not wanted and len(choices) > 1:
            raise InvalidRequest(
                f"The run {run_id} logged several models: {', '.join(choices)}.",
                hint="Say which one with `model`.",
                code="ambiguous",
                details={"models": list(choices)},
            )
        chosen = choices.get(wanted) if wanted else next(iter(choices.values()))
        if chosen is None:
            raise NotFound(
                f"The run {run_id} logged no model {wanted!r}; it logged {', '.join(choices)}.",
                hint="Name one of these.",
                details={"models": list(choices)},
            )
        if chosen.model.uri.startswith("models:/"):
            return chosen.model.uri, chosen.model.uri.removeprefix("models:/")
        return chosen.location, None

    def _ensure_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
                raise

    def _model(self, model: Any) -> RegisteredModel:
        page = self._versions(model, PageQuery(limit=VERSIONS_TOLD))
        return RegisteredModel(
            name=model.name,
            description=model.description or "",
            updated_at=(model.last_updated_timestamp or 0) / 1000 or None,
            versions=page.items,
            older=page.next,
        )

    def _versions(self, model: Any, query: PageQuery) -> Page[ModelVersion]:
        found, token = one_page(
            self._client.search_model_versions,
            query,
            filter_string=f"name = {quoted(model.name)}",
            order_by=["version_number DESC"],
        )
        aliases: dict[str, list[str]] = {}
        for alias, version in model.aliases.items():
            aliases.setdefault(str(version), []).append(alias)
        return Page(items=[self._told_version(version, aliases) for version in found], next=token)

    def _version(self, version: Any, model: RegisteredModel) -> ModelVersion:
        for known in model.versions:
            if known.version == str(version.version):
                return known
        return self._told_version(version, {str(version.version): list(version.aliases)})

    def _told_version(self, version: Any, aliases: dict[str, list[str]]) -> ModelVersion:
        number = str(version.version)
        return ModelVersion(
            name=version.name,
            version=number,
            run_id=version.run_id or "",
            source=version.source or "",
            status=str(version.status),
            created_at=(version.creation_timestamp or 0) / 1000 or None,
            aliases=sorted(aliases.get(number, [])),
            flavors=self._flavors_of(version),
        )

    def _flavors_of(self, version: Any) -> list[str]:
        """Read once from the version's MLmodel, which never changes; empty where it cannot be read."""
        from mlflow.exceptions import MlflowException

        place = f"{version.name}/{version.version}/{version.creation_timestamp}"
        if place not in self._flavors:
            try:
                source = self._client.get_model_version_download_uri(version.name, version.version)
            except (MlflowException, OSError):
                return []
            flavors = flavors_at(source)
            if flavors is None:
                return []  # not kept: the files may come back
            self._flavors[place] = flavors
        return self._flavors[place]
