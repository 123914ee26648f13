"""List and fetch the files of a version of another MLflow, or of a URI that MLflow reads, in a worker process."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from genops_lab.core.errors import Failed, InvalidRequest, NotFound
from genops_lab.experiments.backends.artifacts import checked
from genops_lab.experiments.backends.client import mlflow_errors
from genops_lab.registry.origins import MANIFEST_TAG, SOURCE_TAG
from genops_lab.registry.remote import Lineage, Listing, RemoteFile

from .file_copies import differs, download
from .importing import IMPORT_TAG
from .mlflow_models import MlflowModels

MAX_FILES = 5_000
MAX_DEPTH = 20
MAX_MANIFEST = 4_000_000
#: Tags of a run that are about its place in its own MLflow.
_OWN = ("mlflow.log-model.history", "mlflow.runName", "mlflow.parentRunId", "mlflow.artifactLocation")


class MlflowSource(MlflowModels):
    """Reads versions and files of one MLflow."""

    def list_version(self, name: str, version: str) -> Listing:
        """List the files of a version with the hashes that are known, and what its run logged. Raises NotFound."""
        number = self.number(name, version)
        with mlflow_errors(f"Cannot read version {number} of the model {name!r}"):
            found = self._client.get_model_version(name, number)
            location = self._client.get_model_version_download_uri(name, number)
        listing = self.list_location(location)
        hashes = self._hashes(found.tags.get(MANIFEST_TAG, ""))
        files = [
            RemoteFile(path=each.path, size=each.size, sha256=hashes.get(each.path, ""))
            for each in listing.files
        ]
        return Listing(
            files=files,
            uri=f"models:/{name}/{number}",
            description=found.description or "",
            lineage=self._lineage(found.run_id or ""),
        )

    def list_location(self, location: str) -> Listing:
        """List the files below a location. Raises NotFound, InvalidRequest."""
        files: list[RemoteFile] = []
        pending: list[tuple[str | None, int]] = [(None, 0)]
        with mlflow_errors(f"Cannot list the files at {location}"):
            repository = self._repository(location)
            while pending:
                folder, depth = pending.pop()
                for entry in repository.list_artifacts(folder):
                    if entry.is_dir:
                        if depth >= MAX_DEPTH:
                            raise InvalidRequest(
                                f"{location} has folders below {MAX_DEPTH} levels.",
                                hint="Name the folder of the model.",
                            )
                        pending.append((entry.path, depth + 1))
                        continue
                    checked(entry.path)
                    files.append(RemoteFile(path=entry.path, size=entry.file_size))
                    if len(files) > MAX_FILES:
                        raise InvalidRequest(
                            f"{location} has more than {MAX_FILES:,} files.",
                            hint="Name the folder of the model alone.",
                        )
        if not files:
            raise NotFound(
                f"There are no files at {location}.",
                hint="Check the address. The files may have been deleted or moved.",
            )
        return Listing(files=files, uri=location)

    def fetch(self, location: str, file: RemoteFile, folder: str) -> None:
        """Fetch one file into the folder, unless it is there; an earlier part of it is continued.

        Raises Failed for a disk that is full, Unavailable for a broken line and for another content than was listed.
        """
        place = Path(folder) / file.path
        if place.is_file() and not differs(place, file):
            return
        with mlflow_errors(f"Cannot fetch {file.path}"):
            download(self._repository(location), file, place)

    def location_of(self, name: str, version: str) -> str:
        """Return where the files of a version are."""
        with mlflow_errors(f"Cannot read version {version} of the model {name!r}"):
            return str(self._client.get_model_version_download_uri(name, version))

    def _repository(self, location: str) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        return get_artifact_repository(location, tracking_uri=self._client.tracking_uri)

    def _hashes(self, manifest: str) -> dict[str, str]:
        """Return the sha256 of each file that GenOps Lab kept there; empty without them."""
        if not manifest.startswith("runs:/"):
            return {}
        run, _, path = manifest.removeprefix("runs:/").partition("/")
        folder = tempfile.mkdtemp(prefix="manifest-")
        try:
            with mlflow_errors("Cannot read the hashes of the files"):
                copy = Path(self._client.download_artifacts(run, path, folder))
                if copy.stat().st_size > MAX_MANIFEST:
                    raise Failed("The list of hashes is too large.", hint="Register the version again there.")
                kept = json.loads(copy.read_bytes())["files"]
                return {name: str(each["sha256"]) for name, each in kept.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Failed(
                "The list of hashes of the version is damaged.", hint="Register the version again there."
            ) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _lineage(self, run_id: str) -> Lineage | None:
        if not run_id:
            return None
        try:
            with mlflow_errors(f"Cannot read the run {run_id}"):
                run = self._client.get_run(run_id)
        except NotFound:  # deleted for good, while its version stays
            return None
        inputs = run.inputs.dataset_inputs if run.inputs else []
        return Lineage(
            run=run_id,
            params=dict(run.data.params),
            metrics=[(each.key, each.value, each.timestamp, each.step) for each in _metrics(run)],
            tags={
                key: value
                for key, value in run.data.tags.items()
                if key not in (*_OWN, IMPORT_TAG, SOURCE_TAG)
            },
            datasets=[
                {
                    "name": each.dataset.name,
                    "digest": each.dataset.digest,
                    "source_type": each.dataset.source_type,
                    "source": each.dataset.source,
                    "schema": each.dataset.schema or "",
                    "profile": each.dataset.profile or "",
                    "context": next((tag.value for tag in each.tags if tag.key == "mlflow.data.context"), ""),
                }
                for each in inputs
            ],
        )


def _metrics(run: Any) -> list[Any]:
    return list(run.data._metric_objs)  # the public dictionary has neither times nor steps
