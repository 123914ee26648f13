"""Find the models that a run logged, in MLflow 3's way and in MLflow 2's, in the worker process."""

from __future__ import annotations

import logging
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from genops_lab.experiments.model_yaml import MAX_BYTES, UnreadableModel, bounded_bytes, parse_description
from genops_lab.experiments.models import LoggedModel

from .artifacts import local_path
from .client import NO_SUCH_ENDPOINT, all_pages, mlflow_errors, quoted

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger("genops_lab")

_MLMODEL = "MLmodel"
#: A model's MLmodel file never changes once it is logged.
_flavors: dict[str, list[str]] = {}


@dataclass(frozen=True)
class FoundModel:
    """A logged model and the location of its files."""

    model: LoggedModel
    location: str


def logged_models(
    client: MlflowClient, run_id: str, run: Any = None, artifacts: list[Any] | None = None
) -> list[FoundModel]:
    """Return the models of a run, the latest of each name. ``run`` and ``artifacts`` save reading them again."""
    with mlflow_errors(f"The models of run {run_id} could not be read"):
        run = run or client.get_run(run_id)
        if artifacts is None:
            artifacts = client.list_artifacts(run_id)
        found = {
            **_among_artifacts(client, run, artifacts),
            **_logged(client, run_id, run.info.experiment_id),
        }
    return [found[name] for name in sorted(found)]


def _logged(client: MlflowClient, run_id: str, experiment_id: str) -> dict[str, FoundModel]:
    from mlflow.exceptions import MlflowException

    try:
        models = all_pages(
            client.search_logged_models,
            experiment_ids=[experiment_id],
            filter_string=f"source_run_id = {quoted(run_id)}",
            order_by=[{"field_name": "creation_timestamp", "ascending": True}],
        )
    except MlflowException as error:
        if error.error_code == NO_SUCH_ENDPOINT:  # a server of MLflow 2
            return {}
        raise
    return {
        model.name: FoundModel(
            LoggedModel(
                name=model.name,
                uri=f"models:/{model.model_id}",
                flavors=flavors_at(model.artifact_location) or [],
            ),
            model.artifact_location,
        )
        for model in models
        if "FAILED" not in str(model.status).upper()
    }


def _among_artifacts(client: MlflowClient, run: Any, artifacts: list[Any]) -> dict[str, FoundModel]:
    root = run.info.artifact_uri.rstrip("/")
    found: dict[str, FoundModel] = {}
    for folder in (entry.path for entry in artifacts if entry.is_dir):
        inside = client.list_artifacts(run.info.run_id, folder)
        if any(entry.path == f"{folder}/{_MLMODEL}" for entry in inside):
            location = f"{root}/{folder}"
            model = LoggedModel(
                name=folder, uri=f"runs:/{run.info.run_id}/{folder}", flavors=flavors_at(location) or []
            )
            found[folder] = FoundModel(model, location)
    return found


def flavors_at(location: str) -> list[str] | None:
    """Return the flavors that a model's MLmodel file names; an empty list if GenOps Lab refuses the file.

    None if the file does not exist (not yet written, or deleted).
    """
    from mlflow.exceptions import MlflowException

    if location not in _flavors:
        try:
            _flavors[location] = parse_description(_mlmodel_at(location)).names
        except UnreadableModel as error:
            log.warning("The MLmodel file at %s is not read: %s", location, error)
            _flavors[location] = []
        except (MlflowException, OSError, ImportError):  # a store whose driver is not installed, such as s3
            return None
    return _flavors[location]


def _mlmodel_at(location: str) -> bytes:
    from mlflow.artifacts import list_artifacts, load_text

    local = local_path(location)
    if local is not None:
        return bounded_bytes(local / _MLMODEL)
    sizes = {
        posixpath.basename(entry.path): entry.file_size for entry in list_artifacts(artifact_uri=location)
    }
    if (sizes.get(_MLMODEL) or 0) > MAX_BYTES:
        raise UnreadableModel(f"it is larger than {MAX_BYTES:,} bytes")
    try:
        return str(load_text(f"{location.rstrip('/')}/{_MLMODEL}")).encode()
    except UnicodeDecodeError as error:
        raise UnreadableModel("it is not text") from error
