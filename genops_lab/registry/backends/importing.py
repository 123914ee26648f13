"""Look at files, and copy them into a run of MLflow file by file, in the worker process for transfers."""

from __future__ import annotations

import hashlib
import posixpath
import shutil
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.errors import Failed, InvalidRequest, NotFound
from genops_lab.experiments.backends.artifacts import MlflowArtifacts
from genops_lab.experiments.backends.client import all_pages, experiment_named, mlflow_errors, quoted
from genops_lab.registry.files.models import ModelFacts
from genops_lab.registry.files.reader import facts, inspect, inspect_file
from genops_lab.registry.models import ModelVersion
from genops_lab.registry.origins import MANIFEST_TAG
from genops_lab.registry.remote import Lineage

from .file_copies import upload
from .mlflow_models import KEY_TAG, MlflowModels

#: The experiment of runs that hold imported files.
EXPERIMENT = "Imported models"
#: The run's folder of the model's files, and the list of their hashes beside it.
FOLDER = "model"
MANIFEST = "genops-manifest.json"
#: The tag of a run that names the work which copies files into it.
IMPORT_TAG = "genops.import"
_CHUNK = 1 << 20
#: Most parameters, tags and metrics of one request: MLflow's limit for parameters and tags.
_BATCH = 100
#: Formats of weights that can be a model without a description of MLflow.
_FORMATS = frozenset(["safetensors", "GGUF", "ONNX"])


class SourceFile(msgspec.Struct, frozen=True):
    """A file to copy, by its path in the model. ``changed_ns`` notices that it changes meanwhile."""

    path: str
    size: int
    changed_ns: int
    sha256: str = ""


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """The files at a path with the folder that holds them, and what they say."""

    root: str
    files: list[SourceFile]
    facts: ModelFacts


class ModelFiles(MlflowArtifacts, MlflowModels):
    """Copies the files of models into one MLflow."""

    def __init__(self, tracking_uri: str, scratch: str | None = None, **_others: object) -> None:
        MlflowModels.__init__(self, tracking_uri)
        self._scratch = scratch

    def look(self, path: str, allow_code: bool, shown: str = "") -> Looked:
        """Judge the files at a path; errors call it ``shown``.

        Raises NotFound, and InvalidRequest if the files are no model or are refused.
        """
        place = Path(path)
        try:
            place = place.resolve(strict=True)
            inspected = inspect(place) if place.is_dir() else inspect_file(place)
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", "") or "it leads to itself"
            raise NotFound(
                f"Cannot read {path}: {reason}.", hint="Check the path on the machine of the Lab."
            ) from error
        found = facts(inspected)
        root = place if place.is_dir() else place.parent
        check_model(shown or path, found, allow_code)
        if not inspected.complete:
            raise InvalidRequest(
                f"{path} has more files than GenOps Lab reads.",
                hint="Register the folder that holds the model alone.",
            )
        files = [
            SourceFile(each, size, (root / each).stat().st_mtime_ns)
            for each, size in sorted(inspected.sizes.items())
        ]
        return Looked(root=str(root), files=files, facts=found)

    def hashed(self, root: str, file: SourceFile) -> SourceFile:
        """Return the file with its sha256. Raises Failed if it changed since the first look."""
        with mlflow_errors(f"Cannot read {file.path}"):
            digest = hashlib.sha256()
            with _unchanged(root, file).open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
            _unchanged(root, file)
        return SourceFile(file.path, file.size, file.changed_ns, digest.hexdigest())

    def begin(self, work: str, title: str, tags: dict[str, str], lineage: Lineage | None) -> str:
        """Return the id of the run that this work copies into; start the run if there is none.

        The run gets what the run of a copied version logged.
        """
        with mlflow_errors("Cannot start a run for the files"):
            experiment = experiment_named(self._client, EXPERIMENT)[0]
            found = self._client.search_runs(
                [experiment], f"tags.`{IMPORT_TAG}` = {quoted(work)}", max_results=1
            )
            run = str(
                found[0].info.run_id
                if found
                else self._client.create_run(
                    experiment, run_name=title, tags={**tags, IMPORT_TAG: work}
                ).info.run_id
            )
            if lineage is not None:
                self._log(run, lineage)
            return run

    def _log(self, run: str, lineage: Lineage) -> None:
        """Log what another run logged; what is there already stays as it is."""
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

        items = [
            *(Param(key, value) for key, value in lineage.params.items()),
            *(RunTag(key, value) for key, value in lineage.tags.items()),
        ]
        metrics = [Metric(*each) for each in lineage.metrics]
        for start in range(0, len(items), _BATCH):
            part = items[start : start + _BATCH]
            self._client.log_batch(
                run,
                params=[each for each in part if isinstance(each, Param)],
                tags=[each for each in part if isinstance(each, RunTag)],
            )
        for start in range(0, len(metrics), _BATCH):
            self._client.log_batch(run, metrics=metrics[start : start + _BATCH])
        inputs = [
            DatasetInput(
                Dataset(
                    each["name"], each["digest"], each["source_type"], each["source"],
                    each["schema"] or None, each["profile"] or None,
                ),
                [InputTag("mlflow.data.context", each["context"])] if each["context"] else [],
            )
            for each in lineage.datasets
        ]  # fmt: skip
        if inputs:
            self._client.log_inputs(run, inputs)

    def present(self, run_id: str) -> dict[str, int | None]:
        """Return the sizes of the model's files that the run has already."""
        sizes, _ = self.files(run_id)
        return {
            path.removeprefix(f"{FOLDER}/"): size
            for path, size in sizes.items()
            if path.startswith(f"{FOLDER}/")
        }

    def upload(self, run_id: str, root: str, file: SourceFile) -> None:
        """Copy one file into the run. Raises Failed if it changed since it was hashed, and for a full disk."""
        folder = posixpath.join(FOLDER, posixpath.dirname(file.path)).rstrip("/")
        with mlflow_errors(f"Cannot copy {file.path} into MLflow"):
            upload(self._files_of(run_id), _unchanged(root, file), folder)
            _unchanged(root, file)

    def _files_of(self, run_id: str) -> Any:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        location = self._client.get_run(run_id).info.artifact_uri
        return get_artifact_repository(location, tracking_uri=self._client.tracking_uri)

    def finish(
        self,
        work: str,
        run_id: str,
        name: str,
        files: list[SourceFile],
        tags: dict[str, str],
        description: str,
    ) -> ModelVersion:
        """Check that all files are in the run, keep their hashes, and register the version last. Repeatable."""
        missing = self._missing(run_id, files)
        if missing:
            raise Failed(
                f"MLflow lost {missing[0]} while the files were copied.",
                hint="Check the disk of MLflow's artifacts, then register the model again.",
            )
        version = self.registered_with(name, work)
        if version is None:
            with mlflow_errors(f"Cannot register the files as {name!r}"):
                self._keep_manifest(run_id, files)
                self._ensure_model(name)
                source = f"{self._client.get_run(run_id).info.artifact_uri.rstrip('/')}/{FOLDER}"
                manifest = {MANIFEST_TAG: f"runs:/{run_id}/{MANIFEST}"}
                made = self._client.create_model_version(
                    name, source, run_id=run_id, tags={**tags, **manifest, KEY_TAG: work},
                    description=description or None,
                )  # fmt: skip
                version = self._version(made)
        with mlflow_errors(f"Cannot end the run {run_id}"):
            self._client.set_terminated(run_id, "FINISHED")
        return version

    def _missing(self, run_id: str, files: list[SourceFile]) -> list[str]:
        there = self.present(run_id)
        return [
            each.path
            for each in files
            if there.get(each.path, each.size) != each.size or each.path not in there
        ]

    def _keep_manifest(self, run_id: str, files: list[SourceFile]) -> None:
        folder = tempfile.mkdtemp(prefix="manifest-", dir=self._scratch)
        try:
            listed = {each.path: {"sha256": each.sha256, "size": each.size} for each in files}
            path = Path(folder) / MANIFEST
            path.write_bytes(msgspec.json.format(msgspec.json.encode({"files": listed})))
            self._client.log_artifact(run_id, str(path))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def undo(self, work: str) -> None:
        """Delete the run of a work that did not register a version, and its files."""
        with mlflow_errors("Cannot delete the files that were copied so far"):
            experiment = self._client.get_experiment_by_name(EXPERIMENT)
            if experiment is None:
                return
            for run in all_pages(
                self._client.search_runs,
                experiment_ids=[experiment.experiment_id],
                filter_string=f"tags.`{IMPORT_TAG}` = {quoted(work)}",
            ):
                versions = self._client.search_model_versions(f"run_id = {quoted(run.info.run_id)}")
                if versions:
                    continue
                self._client.set_terminated(run.info.run_id, "KILLED")
                self._client.delete_run(run.info.run_id)
                self._files_of(run.info.run_id).delete_artifacts()


def check_model(path: str, found: ModelFacts, allow_code: bool) -> None:
    """Raise InvalidRequest unless these files are a model that may be registered."""
    if not found.files:
        raise InvalidRequest(f"{path} has no files.", hint="Name a folder or a file with a model.")
    worst = found.files[0]
    if found.verdict == "refused":
        raise InvalidRequest(
            f"{worst.path} is refused: {worst.reason}",
            code="refused",
            hint="The file is damaged or built to mislead. Get the model again from where it was made.",
        )
    code = [each for each in found.files if each.verdict == "code"]
    if not found.flavors and not _FORMATS & set(found.formats) and not (allow_code and code):
        if code:
            raise InvalidRequest(
                f"{code[0].path} runs code when it is loaded: {code[0].reason}",
                code="runs_code",
                hint="If you trust who made the file, allow files that run code: --allow-code. "
                "Safer: save the model as safetensors or ONNX.",
            )
        shown = ", ".join(dict.fromkeys(each.format for each in found.files[:50])) or "nothing"
        raise InvalidRequest(
            f"{path} has no model: its files are {shown}.",
            code="no_model",
            hint="GenOps Lab knows safetensors, ONNX, GGUF and folders with an MLmodel file.",
        )
    if code and not allow_code:
        others = f" and {len(code) - 1} more" if len(code) > 1 else ""
        raise InvalidRequest(
            f"{code[0].path}{others} of {path} runs code when it is loaded.",
            code="runs_code",
            hint="If you trust who made the files, allow files that run code: --allow-code.",
        )


def _unchanged(root: str, file: SourceFile) -> Path:
    place = Path(root) / file.path
    now = place.lstat()
    if (now.st_size, now.st_mtime_ns) != (file.size, file.changed_ns):
        raise Failed(
            f"{file.path} changed while it was read.",
            hint="Wait until nothing writes the file, then register it again.",
        )
    return place
