"""Store sweeps: plans and trials in the store, code in a file that only this user can read.

All functions block. The code must run, so it cannot be redacted. It is removed when the sweep is done, or
:data:`CODE_KEPT_S` after a sweep was stopped or failed.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from genops_lab.core.errors import Conflict, NotFound
from genops_lab.core.locks import FileLock
from genops_lab.core.paging import Page, PageQuery
from genops_lab.core.paths import private_dir, write_private
from genops_lab.core.store import LocalStore, upsert
from genops_lab.core.store.keyset import page_of
from genops_lab.core.store.tables import sweep_trials, sweeps

from .models import (
    Direction,
    Method,
    MetricSummary,
    Objective,
    Pruning,
    SetupCell,
    Sweep,
    SweepState,
    TrackedParts,
    Trial,
)
from .space import Dimension

CODE_KEPT_S = 7 * 86400.0
ENDED: tuple[SweepState, ...] = ("done", "stopped", "failed")

Fence = Callable[[Connection], None]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of a sweep, without its code. ``slots`` has a kernelspec for each trial that runs at once."""

    name: str
    experiment: str
    method: Method
    space: list[Dimension]
    metric: str
    direction: Direction
    objective: Objective
    planned: int
    parallel: int
    on: list[str]
    slots: list[str]
    seed: int
    prune: Pruning
    timeout_s: float
    hours: float
    notebook: str
    cwd: str
    setup: list[str]
    tags: dict[str, str]
    params: dict[str, str]
    track: TrackedParts


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """The cells of a sweep."""

    cell: str
    setup: list[SetupCell]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep in the store."""

    id: str
    state: SweepState
    plan: Plan
    message: str = ""
    hint: str = ""
    summary: list[MetricSummary] = []
    created_at: float = 0.0
    ended_at: float | None = None


class SweepLedger:
    """The tables of sweeps, and the folder with their code."""

    def __init__(self, store: LocalStore, data_dir: Path) -> None:
        self._store = store
        self._folder = data_dir / "sweeps"

    def is_held_by_a_former_lab(self, sweep_id: str) -> bool:
        """Return whether a Lab of an older version runs the sweep; such a Lab holds a lock file."""
        path = self._folder / f"{sweep_id}.lock"
        lock = FileLock(path)
        if path.exists() and not lock.try_acquire():
            return True
        lock.release()
        path.unlink(missing_ok=True)
        return False

    def add(self, connection: Connection, record: Record, code: Code) -> None:
        """Insert a new sweep."""
        private_dir(self._folder.parent)
        private_dir(self._folder)
        write_private(self._code_path(record.id), msgspec.json.encode(code).decode())
        connection.execute(
            sweeps.insert().values(
                id=record.id,
                state=record.state,
                plan=_text(record.plan),
                message=record.message,
                hint=record.hint,
                summary=_text(record.summary),
                created_at=record.created_at,
                ended_at=record.ended_at,
            )
        )

    def code(self, sweep_id: str) -> Code:
        """Return the cells. Raises Conflict if they were removed."""
        try:
            return msgspec.json.decode(self._code_path(sweep_id).read_bytes(), type=Code)
        except (OSError, msgspec.DecodeError) as error:
            raise Conflict(
                f"The code of the sweep {sweep_id} was removed.",
                hint="Start a new sweep from its cell. The runs of this sweep stay in MLflow.",
            ) from error

    def forget_old_code(self) -> None:
        """Remove the cells of sweeps that are done or ended long ago, and of sweeps that are not in the store."""
        if not self._folder.is_dir():
            return
        with self._store.reading() as connection:
            rows = connection.execute(select(sweeps.c.id, sweeps.c.state, sweeps.c.ended_at)).all()
        known = {row.id: row for row in rows}
        for path in self._folder.glob("*.json"):
            row = known.get(path.stem)
            ended = row.ended_at if row is not None else path.stat().st_mtime
            # A Lab that was killed after it wrote "done" leaves the cells of a sweep that is done.
            is_done = row is not None and row.state == "done"
            if is_done or (ended is not None and time.time() - ended > CODE_KEPT_S):
                path.unlink(missing_ok=True)

    def delete_ended(self, sweep_id: str) -> bool:
        """Delete a sweep that has ended, its trials and its cells. Return whether it had ended."""
        with self._store.transaction() as connection:
            ended = (sweeps.c.id == sweep_id) & sweeps.c.state.in_(ENDED)
            if connection.execute(sweeps.delete().where(ended)).rowcount == 0:
                return False
            connection.execute(sweep_trials.delete().where(sweep_trials.c.sweep_id == sweep_id))
        self._code_path(sweep_id).unlink(missing_ok=True)
        return True

    def change(self, record: Record, holds: Fence | None = None) -> None:
        """Write the state of a sweep, and remove the cells of one that is done.

        ``holds`` raises if another Lab runs it by now.
        """
        with self._store.transaction() as connection:
            if holds is not None:
                holds(connection)
            connection.execute(
                sweeps.update()
                .where(sweeps.c.id == record.id)
                .values(
                    state=record.state,
                    message=record.message,
                    hint=record.hint,
                    summary=_text(record.summary),
                    ended_at=record.ended_at,
                )
            )
        if record.state == "done":
            self._code_path(record.id).unlink(missing_ok=True)

    def put(self, sweep_id: str, trial: Trial, holds: Fence) -> None:
        """Insert or update a trial."""
        columns = {"state": trial.state, "trial": _text(trial)}
        with self._store.transaction() as connection:
            holds(connection)
            row = {"sweep_id": sweep_id, "number": trial.number, **columns}
            upsert(connection, sweep_trials, row, change=columns)

    def page(self, query: PageQuery) -> Page[Record]:
        """Return a page of sweeps, newest first."""
        with self._store.reading() as connection:
            return page_of(connection, select(sweeps), sweeps.c.created_at, sweeps.c.id, query, _record)

    def unfinished(self) -> list[Record]:
        """Return the sweeps that have not ended."""
        with self._store.reading() as connection:
            rows = connection.execute(select(sweeps).where(sweeps.c.state.not_in(ENDED))).all()
        return [_record(row) for row in rows]

    def find(self, ref: str) -> Record:
        """Return a sweep by its id, a unique prefix of it, or ``latest``. Raises NotFound."""
        if ref == "latest":
            found = self.page(PageQuery(limit=1)).items
        else:
            with self._store.reading() as connection:
                asked = select(sweeps).where(sweeps.c.id.startswith(ref, autoescape=True)).limit(2)
                found = [_record(row) for row in connection.execute(asked)]
        if len(found) != 1:
            few = f"Several sweeps begin with {ref[:64]!r}." if found else f"There is no sweep {ref[:64]!r}."
            raise NotFound(few, hint="List the sweeps: `genops sweeps list`")
        return found[0]

    def trials(self, sweep_id: str) -> list[Trial]:
        """Return the trials of a sweep, by number."""
        with self._store.reading() as connection:
            rows = connection.execute(
                select(sweep_trials.c.trial)
                .where(sweep_trials.c.sweep_id == sweep_id)
                .order_by(sweep_trials.c.number)
            ).all()
        return [msgspec.json.decode(row.trial, type=Trial) for row in rows]

    def _code_path(self, sweep_id: str) -> Path:
        return self._folder / f"{sweep_id}.json"


def shown(record: Record, trials: list[Trial], *, attended: bool, version: int = 0) -> Sweep:
    """Return the wire type of a sweep."""
    plan = record.plan
    best = best_of(trials, plan.direction)
    return Sweep(
        id=record.id,
        name=plan.name,
        state=record.state,
        method=plan.method,
        metric=plan.metric,
        direction=plan.direction,
        objective=plan.objective,
        planned=plan.planned,
        parallel=plan.parallel,
        on=plan.on,
        trials=trials,
        setup=plan.setup,
        counts=dict(Counter(trial.state for trial in trials)),
        best=best,
        best_value=next((trial.value for trial in trials if trial.number == best), None),
        summary=record.summary,
        message=record.message,
        hint=record.hint,
        experiment=plan.experiment,
        notebook=plan.notebook,
        seed=plan.seed,
        prune=plan.prune,
        attended=attended or record.state in ENDED,
        created_at=record.created_at,
        ended_at=record.ended_at,
        version=version,
    )


def best_of(trials: list[Trial], direction: Direction) -> int | None:
    """Return the number of the best finished trial; of equal ones, the first."""
    values = [
        (trial.value, trial.number)
        for trial in trials
        if trial.state == "finished" and trial.value is not None
    ]
    if not values:
        return None
    sign = 1 if direction == "minimize" else -1
    return min(values, key=lambda pair: (sign * pair[0], pair[1]))[1]


def _record(row: Row[Any]) -> Record:
    return Record(
        id=row.id,
        state=row.state,
        plan=msgspec.json.decode(row.plan, type=Plan),
        message=row.message,
        hint=row.hint,
        summary=msgspec.json.decode(row.summary, type=list[MetricSummary]),
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
