"""Read the source that runs keep, in the worker process."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from genops_lab.core.errors import Failed, NotFound
from genops_lab.experiments.restoring.run_source import (
    CELLS,
    FOLDER,
    INSTALLED,
    PATCH,
    RECORD,
    Kept,
    KeptCell,
    KeptDataset,
    Record,
    decoded,
)
from genops_lab.runtime.artifacts import SESSIONS

from .client import MlflowBackend, mlflow_errors
from .writing import MLFLOW_CONTEXT

#: Twice the kernel's limit in bytes; a larger file is not ours.
MAX_BYTES = 16_000_000


class MlflowKept(MlflowBackend):
    """Reads one MLflow."""

    def kept(self, run_id: str) -> Kept:
        """Return a run's source. Raises NotFound for a run without cells, Failed for unreadable cells."""
        sizes = self._sizes(run_id)
        if not any(path.endswith(CELLS.rpartition("/")[2]) for path in sizes):
            raise NotFound(
                f"The run {run_id} has no cells.",
                hint="GenOps Lab did not track the run, or --no-source was used. Only runs of %%track, genops.start "
                "and genops.run can be restored.",
                code="no_cells",
            )
        with mlflow_errors(f"The data sets of run {run_id} could not be read"):
            run = self._client.get_run(run_id)
        return self._kept(run, sizes)

    def kept_with_patch(self, run: Any) -> tuple[Kept, str]:
        """Return an MLflow run's source (perhaps empty), and its patch of uncommitted changes.

        Raises Failed for a file that cannot be read.
        """
        run_id = run.info.run_id
        sizes = self._sizes(run_id)
        return self._kept(run, sizes), self._text(run_id, PATCH, sizes) if PATCH in sizes else ""

    def _kept(self, run: Any, sizes: dict[str, int]) -> Kept:
        run_id = run.info.run_id
        cells: list[KeptCell] = []
        for path in sorted(
            sizes, key=lambda path: (path.count("/"), path)
        ):  # the first session's, then later ones'
            if path.endswith("/" + CELLS.rpartition("/")[2]):
                cells += self._cells(run_id, path, sizes)
        record = decoded(self._text(run_id, RECORD, sizes), Record) if RECORD in sizes else None
        return Kept(
            cells=cells,
            record=record,
            installed=self._text(run_id, INSTALLED, sizes) if INSTALLED in sizes else "",
            has_patch=PATCH in sizes,
            datasets=datasets_of(run),
        )

    def _cells(self, run_id: str, path: str, sizes: dict[str, int]) -> list[KeptCell]:
        cells = decoded(self._text(run_id, path, sizes), list[KeptCell])
        if cells is None:
            raise Failed(
                f"The cells of run {run_id} cannot be read: GenOps Lab did not write {path} like this.",
                hint=f"Look at the artifact {path} of the run in MLflow.",
            )
        return cells

    def patch(self, run_id: str) -> str:
        """Return the patch of uncommitted changes; empty if there were none."""
        sizes = self._sizes(run_id)
        return self._text(run_id, PATCH, sizes) if PATCH in sizes else ""

    def _sizes(self, run_id: str) -> dict[str, int]:
        with mlflow_errors(f"The source of run {run_id} could not be listed"):
            found = self._client.list_artifacts(run_id, FOLDER.rstrip("/"))
            for entry in list(found):
                if entry.is_dir and entry.path.startswith(FOLDER + SESSIONS):
                    found += self._client.list_artifacts(run_id, entry.path)
        return {entry.path: int(entry.file_size or 0) for entry in found if not entry.is_dir}

    def _text(self, run_id: str, path: str, sizes: dict[str, int]) -> str:
        if sizes[path] > MAX_BYTES:
            raise Failed(
                f"{path} of run {run_id} has {sizes[path]:,} bytes.",
                hint="GenOps Lab writes less than that. Look at the artifact in MLflow.",
            )
        with (
            tempfile.TemporaryDirectory(prefix="kept-", dir=self._scratch) as folder,
            mlflow_errors(f"{path} of run {run_id} could not be read"),
        ):
            local = Path(self._client.download_artifacts(run_id, path, folder))
            return local.read_bytes().decode("utf-8", "replace")


def datasets_of(run: Any) -> list[KeptDataset]:
    """Return the data sets among the inputs of an MLflow run."""
    return [
        KeptDataset(
            name=str(one.dataset.name),
            digest=str(one.dataset.digest),
            source=_uri(one.dataset.source),
            context=next((str(tag.value) for tag in one.tags if tag.key == MLFLOW_CONTEXT), ""),
        )
        for one in (run.inputs.dataset_inputs if run.inputs is not None else [])
    ]


def _uri(source: str | None) -> str:
    try:
        given = json.loads(source or "{}")
    except ValueError:
        return ""
    return str(given.get("uri") or given.get("url") or "") if isinstance(given, dict) else ""
