"""Call MLflow's model registry in the worker process: only the worker imports mlflow."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from genops_lab.core.errors import Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.paging import Page, PageQuery
from genops_lab.experiments.backends.artifacts import local_path
from genops_lab.experiments.backends.client import (
    MlflowBackend,
    all_pages,
    mlflow_errors,
    one_page,
    quoted,
    search_models,
)
from genops_lab.experiments.backends.logged import flavors_at, logged_models
from genops_lab.experiments.hashes import check_plain
from genops_lab.experiments.query.errors import did_you_mean
from genops_lab.registry.files.models import ModelFacts
from genops_lab.registry.models import ModelVersion, RegisteredModel
from genops_lab.registry.origins import BASE_TAG, SOURCE_TAG, Origin, origin_of, own_tags, tag_of
from genops_lab.registry.rollout_tag import rollout_of

from .version_facts import VersionFacts

KEY_TAG = "genops.idempotency_key"
VERSIONS_SENT = 100

LOG_A_MODEL = (
    "Log a model in the run first: mlflow.sklearn.log_model(model, name='model', input_example=x[:2]) "
    "or mlflow.pytorch.log_model(...)."
)


#: Most names that are compared with a name that is not registered.
MOST_NAMES = 1000
#: The tag of a run's data set that says what it was for, and its values for data that judges.
_CONTEXT = "mlflow.data.context"
_JUDGING = ("evaluation", "eval", "validation", "valid", "val", "test", "testing")
_UNKNOWN = ("RESOURCE_DOES_NOT_EXIST", "NOT_FOUND")


def _known(read: Callable[[], Any], missing: Callable[[], NotFound]) -> Any:
    """Call ``read``; raise the error of ``missing`` where MLflow answers that the object does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        return read()
    except MlflowException as error:
        if error.error_code in _UNKNOWN:
            raise missing() from error
        raise


class MlflowModels(MlflowBackend):
    """Registered models of one MLflow."""

    def __init__(self, tracking_uri: str, **_others: Any) -> None:
        super().__init__(tracking_uri)
        self._flavors: dict[str, list[str]] = {}
        self._facts = VersionFacts(self._client)

    def list_models(self, query: PageQuery) -> Page[RegisteredModel]:
        """List registered models, last changed first, each with its newest versions."""
        with mlflow_errors("Cannot list the models"):
            search = partial(search_models, self._client)
            found, token = one_page(search, query, order_by=["last_updated_timestamp DESC"])
            return Page(items=[self._model(model) for model in found], next=token)

    def get_model(self, name: str) -> RegisteredModel:
        """Return a registered model with its newest versions. Raises NotFound."""
        with mlflow_errors(f"Cannot read the model {name!r}"):
            return self._model(self._registered(name))

    def list_versions(self, name: str, query: PageQuery) -> Page[ModelVersion]:
        """List the versions of a registered model, newest first."""
        with mlflow_errors(f"Cannot read the versions of {name!r}"):
            return self._versions(self._registered(name), query)

    def set_version_tag(self, name: str, version: str, tag: str, text: str) -> None:
        """Set a tag of a version."""
        with mlflow_errors(f"Cannot set the tag {tag!r} of {name!r} version {version}"):
            self._client.set_model_version_tag(name, version, tag, text)

    def resolve(self, name: str, version: str) -> ModelVersion:
        """Return the version with this number or alias, the newest if ``version`` is empty. Raises NotFound."""
        with mlflow_errors(f"Cannot read the model {name!r}"):
            registered = self._registered(name)
            return self._wire_version(self._found(registered, version), _aliases(registered))

    def number(self, name: str, version: str) -> str:
        """Return the number of the version that :meth:`resolve` finds, without a look at its files."""
        with mlflow_errors(f"Cannot read the model {name!r}"):
            return str(self._found(self._registered(name), version).version)

    def _found(self, registered: Any, version: str) -> Any:
        name = registered.name
        if not version:
            return self._newest(name)
        number = version if version.isdecimal() else registered.aliases.get(version)
        if number is None:
            newest = self._newest(name).version
            aliases = ", ".join(sorted(registered.aliases)) or "none"
            raise NotFound(
                f"The model {name!r} has no alias {version!r}.",
                hint=f"Its aliases are: {aliases}. Its newest version is {newest}.",
            )
        missing = NotFound(
            f"The model {name!r} has no version {number}.",
            hint=f"List its versions: genops models show {shlex.quote(name)}",
        )
        return _known(lambda: self._client.get_model_version(name, str(number)), lambda: missing)

    def _newest(self, name: str) -> Any:
        found = self._client.search_model_versions(
            f"name = {quoted(name)}", max_results=1, order_by=["version_number DESC"]
        )
        if not found:
            raise NotFound(
                f"The model {name!r} has no versions.",
                hint=f"Register the model of a run: genops models register {shlex.quote(name)} --run latest",
            )
        return found[0]

    def facts(self, name: str, version: str) -> ModelFacts:
        """Return what the files of a version say. Raises NotFound."""
        number = self.number(name, version)
        with mlflow_errors(f"Cannot read the files of {name!r} version {number}"):
            return self._facts.read(name, number)

    def _registered(self, name: str) -> Any:
        def missing() -> NotFound:
            names = [each.name for each in search_models(self._client, max_results=MOST_NAMES)]
            listed = "List the models: genops models list"
            return NotFound(
                f"No model is registered as {name!r}.", hint=f"{did_you_mean(name, names)} {listed}".strip()
            )

        return _known(lambda: self._client.get_registered_model(name), missing)

    def register(self, run_id: str, name: str, model: str, key: str, origin: Origin) -> ModelVersion:
        """Register a model of the run as a new version of ``name``; ``model`` selects one of several."""
        source, model_id = self._choose(run_id, model)
        with mlflow_errors(f"Cannot register the model of the run as {name!r}"):
            self._ensure_model(name)
            made = self._client.create_model_version(
                name, source, run_id=run_id, model_id=model_id,
                tags={SOURCE_TAG: tag_of(origin), **({KEY_TAG: key} if key else {})},
            )  # fmt: skip
        return self._version(made)

    def judged_on(self, origin: Origin) -> Origin:
        """Return the origin of a chosen run with the data set that its metric judges, if the run logged one."""
        from msgspec.structs import replace

        if origin.chosen_by is None:
            return origin
        with mlflow_errors(f"Cannot read the run {origin.run}"):
            inputs = self._client.get_run(origin.run).inputs
        named = [
            (
                f"{each.dataset.name}@{each.dataset.digest}",
                next((tag.value for tag in each.tags if tag.key == _CONTEXT), ""),
            )
            for each in (inputs.dataset_inputs if inputs else [])
        ]
        judging = [name for name, context in named if context.lower() in _JUDGING]
        data = judging[0] if judging else named[0][0] if len(named) == 1 and named[0][1] != "training" else ""
        return replace(origin, chosen_by=replace(origin.chosen_by, data=data))

    def registered_with(self, name: str, key: str) -> ModelVersion | None:
        """Return the version that was registered with this idempotency key."""
        with mlflow_errors(f"Cannot read the versions of {name!r}"):
            versions = all_pages(self._client.search_model_versions, filter_string=f"name = {quoted(name)}")
            for version in versions:
                if version.tags.get(KEY_TAG) == key:
                    return self._version(version)
        return None

    def download(self, name: str, version: str, folder: str) -> str:
        """Copy a version's files into the new folder ``folder``, byte for byte. Raises Failed."""
        from mlflow.artifacts import download_artifacts

        target = Path(folder)
        fetching = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
        try:
            with mlflow_errors(f"Cannot fetch the files of {name!r} version {version}"):
                # models:/name/version would add a file, and the hashes would differ from the run's.
                source = self._client.get_model_version_download_uri(name, version)
                if (local := local_path(source)) is not None:
                    check_plain(local)
                found = download_artifacts(
                    artifact_uri=source, dst_path=str(fetching), tracking_uri=self._client.tracking_uri
                )
                Path(found).rename(target)
        except GenOpsError as error:
            # MLflow reports a failed copy in the second line of its message, as an error of its own.
            if any(sign in str(error.__cause__) for sign in ("No space left", "Disk quota")):
                raise Failed(
                    f"Cannot write the files of {name!r} version {version}: the disk is full.",
                    hint="Free some disk space, then deploy again.",
                ) from error
            raise
        finally:
            shutil.rmtree(fetching, ignore_errors=True)
        weights = any(each.suffix in (".gguf", ".safetensors") for each in target.iterdir())
        if not weights and not (target / "MLmodel").is_file():
            shutil.rmtree(target, ignore_errors=True)
            raise Failed(
                f"Version {version} of {name!r} has no MLmodel file.",
                hint="Its artifacts were deleted or moved. Register the model again.",
            )
        return str(target)

    def _choose(self, run_id: str, wanted: str) -> tuple[str, str | None]:
        """Return the source of the run's model and, for a model of MLflow 3, its id."""
        choices = {found.model.name: found for found in logged_models(self._client, run_id)}
        if not choices:
            raise NotFound(f"The run {run_id} logged no model.", hint=LOG_A_MODEL)
        if not wanted and len(choices) > 1:
            raise InvalidRequest(
                f"The run {run_id} logged several models: {', '.join(choices)}.",
                hint="Choose one with --model NAME.",
                code="ambiguous",
                details={"models": list(choices)},
            )
        chosen = choices.get(wanted) if wanted else next(iter(choices.values()))
        if chosen is None:
            raise NotFound(
                f"The run {run_id} logged no model {wanted!r}; it logged {', '.join(choices)}.",
                hint="Choose one of these with --model NAME.",
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
        page = self._versions(model, PageQuery(limit=VERSIONS_SENT))
        return RegisteredModel(
            name=model.name,
            description=model.description or "",
            updated_at=(model.last_updated_timestamp or 0) / 1000 or None,
            versions=page.items,
            older=page.next,
            tags=own_tags(model.tags),
        )

    def _versions(self, model: Any, query: PageQuery) -> Page[ModelVersion]:
        found, token = one_page(
            self._client.search_model_versions,
            query,
            filter_string=f"name = {quoted(model.name)}",
            order_by=["version_number DESC"],
        )
        aliases = _aliases(model)
        return Page(items=[self._wire_version(version, aliases) for version in found], next=token)

    def _version(self, version: Any) -> ModelVersion:
        with mlflow_errors(f"Cannot read the model {version.name!r}"):
            return self._wire_version(version, _aliases(self._registered(version.name)))

    def _wire_version(self, version: Any, aliases: dict[str, list[str]]) -> ModelVersion:
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
            origin=origin_of(version.tags),
            base_model=version.tags.get(BASE_TAG, ""),
            description=version.description or "",
            tags=own_tags(version.tags),
            rollout=rollout_of(version.tags),
        )

    def _flavors_of(self, version: Any) -> list[str]:
        """Return the flavors of the version's MLmodel file; empty if the file is unreadable."""
        from mlflow.exceptions import MlflowException

        place = f"{version.name}/{version.version}/{version.creation_timestamp}"
        if place not in self._flavors:
            try:
                source = self._client.get_model_version_download_uri(version.name, version.version)
            except (MlflowException, OSError):
                return []
            flavors = flavors_at(source)
            if flavors is None:
                return []  # not cached: the files may come back
            self._flavors[place] = flavors
        return self._flavors[place]


def _aliases(model: Any) -> dict[str, list[str]]:
    """Return the aliases of a registered model by version: those of versions are missing in MLflow's searches."""
    found: dict[str, list[str]] = {}
    for alias, version in model.aliases.items():
        found.setdefault(str(version), []).append(alias)
    return found
