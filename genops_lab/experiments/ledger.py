"""Remember tracked runs and the events of each that are safe in MLflow. All functions block."""

from __future__ import annotations

import json
import time
from typing import Any

from sqlalchemy import Row, Select, func, select

from genops_lab.core.store import LocalStore, upsert
from genops_lab.core.store.tables import model_hashes, sweep_trials, tracked_runs

from .models import OPEN, TrackedProcess, TrackedRun


class TrackedRuns:
    """The table of tracked runs."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def find(self, run_key: str) -> TrackedRun | None:
        """Return the run of this key."""
        found = self._runs(select(tracked_runs).where(tracked_runs.c.run_key == run_key))
        return found[0] if found else None

    def with_id(self, run_id: str) -> TrackedRun | None:
        """Return the run with this MLflow id; of a continued run, the latest session."""
        found = self.sessions(run_id)
        return found[0] if found else None

    def sessions(self, run_id: str) -> list[TrackedRun]:
        """Return all sessions that wrote the run with this MLflow id, the latest first."""
        asked = select(tracked_runs).where(tracked_runs.c.run_id == run_id)
        return self._runs(asked.order_by(tracked_runs.c.started_at.desc()))

    def open_runs(self, place: str = "") -> list[TrackedRun]:
        """Return the runs of processes at ``place`` that have not ended."""
        here = func.coalesce(tracked_runs.c.place, "") == place
        return self._runs(select(tracked_runs).where(tracked_runs.c.state == OPEN, here))

    def _runs(self, asked: Select[Any]) -> list[TrackedRun]:
        with self._store.reading() as connection:
            return [_run(row) for row in connection.execute(asked)]

    def trial_tags(self, kernel_id: str) -> dict[str, str]:
        """Return the tags of the sweep trial that the Lab started in this kernel; empty without one."""
        asked = select(sweep_trials).where(
            func.json_extract(sweep_trials.c.trial, "$.kernel_id") == kernel_id
        )
        with self._store.reading() as connection:
            row = connection.execute(asked).first() if kernel_id else None
        if row is None:
            return {}
        attempt = int(json.loads(row.trial).get("attempt", 1))
        return {
            "genops.sweep": row.sweep_id,
            "genops.trial": str(row.number),
            "genops.trial_attempt": str(attempt),
        }

    def add(self, run: TrackedRun) -> None:
        """Remember a run that was started."""
        with self._store.transaction() as connection:
            connection.execute(
                tracked_runs.insert().values(
                    run_key=run.run_key,
                    run_id=run.run_id,
                    experiment_id=run.experiment_id,
                    name=run.name,
                    state=run.state,
                    acked_seq=run.acked_seq,
                    pid=run.process.pid,
                    pid_created=run.process.created,
                    kernel_id=run.process.kernel_id,
                    notebook=run.process.notebook,
                    place=run.process.place or None,
                    started_at=time.time(),
                )
            )

    def forget(self, run_key: str) -> None:
        """Forget a run that is not in MLflow any more."""
        with self._store.transaction() as connection:
            connection.execute(tracked_runs.delete().where(tracked_runs.c.run_key == run_key))

    def acknowledge(self, run_key: str, seq: int, state: str) -> None:
        """Mark all events up to ``seq`` as safe in MLflow."""
        with self._store.transaction() as connection:
            connection.execute(
                tracked_runs.update()
                .where(tracked_runs.c.run_key == run_key)
                .values(acked_seq=seq, state=state)
            )

    def remember_digest(self, run_id: str, name: str, digest: str) -> None:
        """Remember the digest of a model that a process of this user logged."""
        row = {"digest": digest, "run_id": run_id[:64], "name": name, "recorded_at": time.time()}
        with self._store.transaction() as connection:
            upsert(connection, model_hashes, row)


def _run(row: Row[Any]) -> TrackedRun:
    return TrackedRun(
        run_key=row.run_key,
        run_id=row.run_id,
        experiment_id=row.experiment_id,
        name=row.name,
        state=row.state,
        acked_seq=row.acked_seq,
        process=TrackedProcess(
            pid=row.pid,
            created=row.pid_created,
            kernel_id=row.kernel_id,
            notebook=row.notebook,
            place=row.place or "",
        ),
    )
