"""Remembering the models that a user's own ``mlflow.*`` calls logged into the embedded file.

Tracked runs are remembered at their end; these come through no one but the file itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import GenOpsError

from .hashes import model_digest
from .mlflow import MlflowConnection

if TYPE_CHECKING:
    from .ledger import TrackedRuns

_READY = 2
_AT_ONCE = 100
_NEW_MODELS = (
    "SELECT name, artifact_location, source_run_id, last_updated_timestamp_ms FROM logged_models "
    "WHERE status = ? AND last_updated_timestamp_ms > ? AND source_run_id IS NOT NULL "
    "ORDER BY last_updated_timestamp_ms LIMIT ?"
)

log = logging.getLogger("genops_lab")


class _NewModel(msgspec.Struct, array_like=True, frozen=True):
    name: str
    location: str
    run_id: str
    updated_at_ms: int


class OwnModels:
    """Looks for models that became ready since the last look."""

    def __init__(self, mlflow: MlflowConnection, runs: TrackedRuns) -> None:
        self._file = mlflow.embedded_file
        self._runs = runs
        self._since_ms: int | None = None
        self._size_and_time: tuple[int, int] | None = None

    async def look(self) -> None:
        """Remember the digests of new models; costs one ``stat`` while nothing was written."""
        if self._file is not None:
            await asyncio.to_thread(self._look, self._file)

    def _look(self, file: Path) -> None:
        try:
            found = file.stat()
        except FileNotFoundError:
            return
        if (found.st_size, found.st_mtime_ns) == self._size_and_time:
            return
        if self._since_ms is None:
            self._since_ms = int(self._runs.digests_remembered_until() * 1000)
        try:
            models = _new_models(file, self._since_ms)
        except (sqlite3.Error, msgspec.ValidationError) as error:
            log.warning("The models in %s could not be looked at: %s", file, error)
            models = []
        for model in models:
            try:
                self._runs.remember_digests(model.run_id, {model.name: model_digest(model.location)})
            except (GenOpsError, OSError) as error:
                log.warning(
                    "The model %s of run %s could not be remembered: %s", model.name, model.run_id, error
                )
            self._since_ms = model.updated_at_ms
        if len(models) < _AT_ONCE:
            self._size_and_time = (found.st_size, found.st_mtime_ns)


def _new_models(file: Path, since_ms: int) -> list[_NewModel]:
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=1)) as connection:
        rows = connection.execute(_NEW_MODELS, (_READY, since_ms, _AT_ONCE)).fetchall()
    return msgspec.convert([list(row) for row in rows], list[_NewModel])
