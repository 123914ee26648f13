"""Read what the files of a version say, in the worker process: in place, or the small files of a remote store."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genops_lab.core.errors import NotFound
from genops_lab.experiments.backends.artifacts import local_path
from genops_lab.registry.files.models import ModelFacts
from genops_lab.registry.files.reader import facts, inspect_listing, is_small, read_model, stamp

if TYPE_CHECKING:
    from mlflow import MlflowClient

MAX_KEPT = 256
MAX_LISTED = 2_000
MAX_DEPTH = 12
MAX_FETCHED = 20
MAX_FETCHED_BYTES = 2_000_000


class VersionFacts:
    """Facts of versions. A version never changes, but its files may: a stamp of sizes and times notices."""

    def __init__(self, client: MlflowClient) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._known: dict[str, tuple[str, ModelFacts]] = {}

    def read(self, name: str, version: str) -> ModelFacts:
        """Return what the files of a version say. Raises NotFound, MlflowException and OSError."""
        source = self._client.get_model_version_download_uri(name, version)
        folder = local_path(source)
        if folder is None:
            sizes, complete = self._listed(source)
            return self._kept(
                source, repr(sorted(sizes.items())), lambda: self._fetched(source, sizes, complete)
            )
        if not folder.is_dir():
            raise NotFound(
                f"The files of {name} version {version} do not exist.",
                hint="Its artifacts were deleted or moved. Register the model again.",
            )
        return self._kept(source, stamp(folder), lambda: read_model(folder))

    def _kept(self, place: str, changed: str, read: Callable[[], ModelFacts]) -> ModelFacts:
        known = self._known.get(place)
        found: ModelFacts = known[1] if known is not None and known[0] == changed else read()
        with self._lock:
            self._known.pop(place, None)
            self._known[place] = (changed, found)
            while len(self._known) > MAX_KEPT:
                del self._known[next(iter(self._known))]
        return found

    def _listed(self, source: str) -> tuple[dict[str, int], bool]:
        """Return the sizes of the files below a location, and whether these are all."""
        repository = self._repository(source)
        sizes: dict[str, int] = {}
        pending: list[tuple[str | None, int]] = [(None, 0)]
        while pending:
            folder, depth = pending.pop()
            for entry in repository.list_artifacts(folder):
                if not entry.is_dir:
                    sizes[entry.path] = entry.file_size or 0
                elif depth < MAX_DEPTH:
                    pending.append((entry.path, depth + 1))
                if len(sizes) >= MAX_LISTED:
                    return sizes, False
        return sizes, True

    def _fetched(self, source: str, sizes: dict[str, int], complete: bool) -> ModelFacts:
        repository = self._repository(source)
        wanted = [path for path, size in sizes.items() if is_small(path) and size <= MAX_FETCHED_BYTES]
        small: dict[str, bytes] = {}
        scratch = Path(tempfile.mkdtemp(prefix="model-facts-"))
        try:
            for at, path in enumerate(sorted(wanted, key=lambda each: each.count("/"))[:MAX_FETCHED]):
                copy = scratch / str(at)
                copy.mkdir()
                fetched = Path(repository.download_artifacts(path, str(copy)))
                with fetched.open("rb") as stream:
                    content = stream.read(MAX_FETCHED_BYTES + 1)
                if len(content) <= MAX_FETCHED_BYTES:
                    small[path] = content
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return facts(inspect_listing(sizes, small, complete=complete))

    def _repository(self, source: str) -> Any:
        """Return MLflow's reader of the store of a location."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(source, tracking_uri=self._client.tracking_uri)
