"""Keep small files beside the model folder of a version: its signature and its cards.

They lie in ``<folder>.genops``, so they live as long as the model's files and are none of them. For a model that was
logged into a run's artifacts, they are artifacts of the run too.
"""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genops_lab.core.errors import Failed
from genops_lab.experiments.backends.artifacts import local_path

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_BYTES = 20_000_000
_LOGGED = "models:/m-"


def model_location(client: MlflowClient, name: str, version: str) -> str:
    """Return the URI of the folder with a version's files. Raises MlflowException."""
    source = str(client.get_model_version_download_uri(name, version))
    if source.startswith(_LOGGED):
        source = str(client.get_logged_model(source.removeprefix("models:/")).artifact_location)
    return source.rstrip("/")


def place_of(location: str, name: str) -> str:
    """Return the URI of a file beside a model's folder.

    >>> place_of("s3://bucket/1/models/m-7/artifacts", "model-0123456789abcdef.sig")
    's3://bucket/1/models/m-7/artifacts.genops/model-0123456789abcdef.sig'
    """
    return f"{location}.genops/{name}"


def names(client: MlflowClient, location: str) -> list[str]:
    """Return the names of the files beside a model's folder. Raises OSError."""
    folder = local_path(location)
    if folder is not None:
        try:
            return [each.name for each in folder.with_name(f"{folder.name}.genops").iterdir()]
        except FileNotFoundError:
            return []
    repository, inside = _repository(client, location)
    return [each.path.rpartition("/")[2] for each in repository.list_artifacts(inside) if not each.is_dir]


def read(client: MlflowClient, location: str, name: str) -> bytes | None:
    """Return the content of a file beside a model's folder; None if it does not exist. Raises Failed, OSError."""
    folder = local_path(location)
    if folder is not None:
        place = folder.with_name(f"{folder.name}.genops") / name
        try:
            size = place.stat().st_size
        except FileNotFoundError:
            return None
        return place.read_bytes() if size <= MAX_BYTES else _too_large(name)
    repository, inside = _repository(client, location)
    path = f"{inside}/{name}"
    found = {each.path: each.file_size or 0 for each in repository.list_artifacts(inside)}
    if path not in found:
        return None
    if found[path] > MAX_BYTES:
        return _too_large(name)
    scratch = tempfile.mkdtemp(prefix="genops-beside-")
    try:
        return Path(repository.download_artifacts(path, scratch)).read_bytes()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def write(client: MlflowClient, location: str, name: str, content: bytes) -> str:
    """Write a file beside a model's folder, whole or not at all, and return its URI. Raises OSError: full disk."""
    folder = local_path(location)
    if folder is not None:
        _replace(folder.with_name(f"{folder.name}.genops") / name, content)
        return place_of(location, name)
    repository, inside = _repository(client, location)
    with tempfile.TemporaryDirectory(prefix="genops-beside-") as scratch:
        copy = Path(scratch) / name
        copy.write_bytes(content)
        repository.log_artifact(str(copy), inside)
    return place_of(location, name)


def _replace(place: Path, content: bytes) -> None:
    """Write with the mode of the process's umask: others read the store too."""
    place.parent.mkdir(exist_ok=True)
    fresh = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with fresh.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(place)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _repository(client: MlflowClient, location: str) -> tuple[Any, str]:
    """Return MLflow's access to the parent of a location, and the folder in it."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    parent, _, name = location.rpartition("/")
    return get_artifact_repository(parent, tracking_uri=client.tracking_uri), f"{name}.genops"


def _too_large(name: str) -> bytes:
    raise Failed(
        f"{name} beside the model's files is larger than 20 MB.", hint="Delete it in MLflow's store."
    )
