"""Detect changes in MLflow by other programs, while a page is open."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from pathlib import Path

from genops_lab.core.errors import GenOpsError
from genops_lab.core.events import EventBus
from genops_lab.core.sqlite_watch import SqliteWatch

from .backends.runs import MlflowRuns
from .mlflow import MlflowConnection

KINDS = ("experiment", "run", "model")
_ASK_EVERY_S = 0.8
_ASK_EVERY_WHILE_DOWN_S = 2.0

log = logging.getLogger("genops_lab")

Fingerprints = dict[str, str]

_QUESTIONS = {
    "experiment": (
        "SELECT COUNT(*), MAX(last_update_time), SUM(lifecycle_stage = 'active'), TOTAL(LENGTH(name)) FROM experiments"
    ),
    "model": (
        "SELECT (SELECT COUNT(*) || '/' || COALESCE(MAX(last_updated_time), 0) FROM registered_models), "
        "(SELECT COUNT(*) || '/' || COALESCE(MAX(last_updated_time), 0) FROM model_versions), "
        "(SELECT GROUP_CONCAT(name || '/' || alias || '/' || version) FROM registered_model_aliases)"
    ),
}


class OutsideChanges:
    """Emits events for changes of experiments, runs and models that did not come through this Lab."""

    def __init__(self, mlflow: MlflowConnection, events: EventBus) -> None:
        self._mlflow = mlflow
        self._events = events
        self._last: Fingerprints = {}
        self._asking: asyncio.Task[None] | None = None
        #: whether the run table reports changes of runs at the moment
        self.runs_are_reported = False
        file = mlflow.embedded_file
        self._watch = None if file is None else SqliteWatch(file, self._file_changed)

    def set_active(self, active: bool) -> None:
        """Watch while ``active``."""
        if self._watch is not None:
            self._watch.set_active(active)
        elif active and self._asking is None:
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        elif not active and self._asking is not None:
            self._asking.cancel()
            self._asking = None
        if not active:
            self._last = {}

    async def _file_changed(self) -> None:
        file = self._mlflow.embedded_file
        assert file is not None
        found = await asyncio.to_thread(_fingerprints, file)
        # A run changes with each metric: the file only shows that something changed.
        self._compare({**found, "run": self._last.get("run", "") + "."} if found else {})

    async def _ask(self) -> None:
        reachable = True
        while True:
            try:
                runs = not self.runs_are_reported
                found = await self._mlflow.worker.call(MlflowRuns.fingerprints, runs)
                if not runs:
                    found["run"] = self._last.get("run", "")
            except GenOpsError as error:
                if reachable:
                    log.warning("MLflow at %s does not answer: %s", self._mlflow.shown_uri, error.message)
                    self._compare({})
                reachable = False
            else:
                # The first answer says nothing about changes since a page asked: _compare reports everything then.
                self._compare(found if reachable else {})
                reachable, self._last = True, found
            await asyncio.sleep(_ASK_EVERY_S if reachable else _ASK_EVERY_WHILE_DOWN_S)

    def _compare(self, found: Fingerprints) -> None:
        """Report differences; report everything if nothing was known."""
        for kind in KINDS:
            if not found or found.get(kind) != self._last.get(kind):
                self._events.emit(kind)
        self._last = (
            {"run": found["run"][-8:], **{k: v for k, v in found.items() if k != "run"}} if found else {}
        )


def _fingerprints(file: Path) -> Fingerprints:
    """Return texts that differ after a change of their kind; empty if the file cannot be read."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=1)) as connection:
            return {
                kind: str(connection.execute(question).fetchone()) for kind, question in _QUESTIONS.items()
            }
    except sqlite3.Error:
        return {}
