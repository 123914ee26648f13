"""Hold all runs at one moment, as columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from genops_lab.core.arrow import integers, places, strings
from genops_lab.experiments.query.columns import Kind, Numbers, Texts
from genops_lab.experiments.query.subjects import RUNS, Subject

from .cells import Column, NumberColumn, Rows, TextColumn
from .changes import Changes, Entries, ExperimentRow, Part, artifact_uri

KINDS: tuple[Kind, ...] = ("attribute", "metric", "param", "tag")
#: States of runs and of traces.
_ENDED = ("FINISHED", "FAILED", "KILLED", "OK", "ERROR")

Columns = dict[Kind, dict[str, Column]]


@dataclass(frozen=True, repr=False, eq=False)
class Snapshot:
    """An immutable snapshot. ``ids`` and ``places`` grow with later snapshots; entries beyond ``rows`` belong
    to those.

    The attribute columns are ``run_name``, ``status``, ``experiment_id``, ``user``, ``lifecycle_stage``,
    ``artifact_uri`` (texts) and ``start_time``, ``end_time`` (seconds).
    """

    rows: int = 0
    ids: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    columns: Columns = field(default_factory=lambda: {kind: {} for kind in KINDS})
    experiments: dict[str, ExperimentRow] = field(default_factory=dict)
    subject: Subject = RUNS

    def place(self, run_id: str) -> int | None:
        """Return the row of a run."""
        found = self.places.get(run_id)
        return found if found is not None and found < self.rows else None

    def running(self) -> list[str]:
        """Return the ids of runs that have not ended."""
        status = self.columns["attribute"].get("status")
        if not isinstance(status, TextColumn):
            return []
        open_words = [at for at, word in enumerate(status.words.to_pylist()) if word not in _ENDED]
        rows, codes = status.cells.pairs()
        return [self.ids[row] for row in rows[np.isin(codes, open_words)]]

    def apply(self, changes: Changes) -> Snapshot:
        """Return the runs after ``changes``; self if nothing is new."""
        base = self._without(changes.gone)
        experiments = base.experiments if changes.experiments is None else changes.experiments
        if experiments != base.experiments:
            base = replace(base, experiments=experiments)
        if not changes.runs:
            return base
        changed_ids = changes.ids
        new = [run_id for run_id in changed_ids if base.place(run_id) is None] if base.rows else changed_ids
        rows = base.rows + len(new)
        # A list and a dict that a later snapshot of the same base extended differently must not be shared.
        ids, places = base.ids, base.places
        if len(ids) > base.rows:
            ids = ids[: base.rows]
            places = {run_id: row for row, run_id in enumerate(ids)}
        places.update(zip(new, range(len(ids), rows), strict=True))
        ids.extend(new)
        where = np.fromiter(map(places.__getitem__, changed_ids), np.int32, len(changed_ids))
        columns: Columns = {kind: dict(base.columns[kind]) for kind in KINDS}
        old = where[where < base.rows]
        _put(columns["attribute"], changes.attributes(where), old)
        _put(columns["metric"], _numbers(changes.metrics, where), old if changes.may_lose_values else None)
        _put(columns["param"], _texts(changes.params, where), old if changes.may_lose_values else None)
        _put(columns["tag"], _texts(changes.tags, where), old)
        if not new and all(_same(columns[kind], base.columns[kind]) for kind in KINDS):
            return base
        return Snapshot(rows, ids, places, columns, experiments)

    def _without(self, gone: Sequence[str]) -> Snapshot:
        rows = sorted({row for run_id in gone if (row := self.place(run_id)) is not None})
        if not rows:
            return self
        kept = np.ones(self.rows, np.bool_)
        kept[rows] = False
        places = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
        ids = [run_id for run_id, stays in zip(self.ids, kept, strict=False) if stays]
        columns: Columns = {
            kind: {
                name: moved
                for name, column in self.columns[kind].items()
                if (moved := column.moved(places)) is not None
            }
            for kind in KINDS
        }
        return Snapshot(
            len(ids), ids, {run_id: row for row, run_id in enumerate(ids)}, columns, self.experiments
        )

    @property
    def values(self) -> int:
        """The number of present values, run ids included."""
        return self.rows + sum(column.cells.count for kind in KINDS for column in self.columns[kind].values())

    @property
    def nbytes(self) -> int:
        """The size of the columns' arrays in bytes, without run ids and the objects around the arrays."""
        return sum(column.nbytes for kind in KINDS for column in self.columns[kind].values())


def _same(ours: dict[str, Column], theirs: dict[str, Column]) -> bool:
    return len(ours) == len(theirs) and all(theirs.get(name) is column for name, column in ours.items())


def _put(columns: dict[str, Column], parts: Iterator[Part], whole: Rows | None) -> None:
    """Write the parts; rows in ``whole`` lose all values that the parts do not have."""
    seen: dict[str, Rows] = {}
    for name, rows, values in parts:
        seen[name] = rows
        column = columns.get(name)
        if column is not None:
            columns[name] = column.put(rows, values)
        elif isinstance(values, np.ndarray):
            columns[name] = NumberColumn.of(rows, values)
        else:
            columns[name] = TextColumn.of(rows, values)
    if whole is None or not len(whole):
        return
    for name, column in list(columns.items()):
        written = seen.get(name)
        untold = whole if written is None else np.setdiff1d(whole, written)
        left = column.without(untold) if len(untold) else column
        if left is None:
            del columns[name]
        else:
            columns[name] = left


def _numbers(entries: Entries, where: Rows) -> Iterator[Part]:
    values = np.array(entries.values, np.float64)
    for name, rows, order in _by_name(entries.runs, entries.names, where):
        yield name, rows, values[order]


def _texts(entries: Entries, where: Rows) -> Iterator[Part]:
    values = strings(entries.values)
    for name, rows, order in _by_name(entries.runs, entries.names, where):
        yield name, rows, values.take(places(order))


def _by_name(
    runs: Sequence[int], names: Sequence[str], where: Rows
) -> Iterator[tuple[str, Rows, npt.NDArray[np.intp]]]:
    """Yield each name with its rows, ascending, and their places in the lists."""
    if not names:
        return
    encoded = strings(names).dictionary_encode()
    codes = integers(encoded.indices).astype(np.int64)
    rows = where[np.array(runs, np.intp)]
    order = np.argsort((codes << 32) | rows, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(encoded.dictionary) + 1))
    for at, name in enumerate(encoded.dictionary.to_pylist()):
        part = order[bounds[at] : bounds[at + 1]]
        yield name, rows[part], part


class Moment:
    """A snapshot at the time ``now``, as a query needs it
    (:class:`genops_lab.experiments.query.columns.Columns`).
    """

    def __init__(self, snapshot: Snapshot, now: float) -> None:
        self.snapshot = snapshot
        self.now = now
        self._numbers: dict[tuple[Kind, str], Numbers | None] = {}
        self._texts: dict[tuple[Kind, str], Texts | None] = {}

    @property
    def rows(self) -> int:
        """The number of runs."""
        return self.snapshot.rows

    def numbers(self, kind: Kind, name: str) -> Numbers | None:
        """Return a metric's latest values, or start_time, end_time, duration; None if no run has it."""
        if (kind, name) not in self._numbers:
            made = self._duration() if (kind, name) == ("attribute", "duration") else self._spread(kind, name)
            self._numbers[kind, name] = made
        return self._numbers[kind, name]

    def _spread(self, kind: Kind, name: str) -> Numbers | None:
        column = self.snapshot.columns[kind].get(name)
        if not isinstance(column, NumberColumn):
            return None
        values, present = column.cells.spread(self.rows, np.nan)
        return Numbers(values, present) if present.any() else None

    def _duration(self) -> Numbers | None:
        start, end = self.numbers("attribute", "start_time"), self.numbers("attribute", "end_time")
        if start is None:
            return None
        going_on = np.zeros(self.rows, np.bool_)
        for run_id in self.snapshot.running():
            going_on[self.snapshot.places[run_id]] = True
        ended = np.zeros(self.rows, np.bool_) if end is None else end.present
        until = np.full(self.rows, self.now) if end is None else np.where(ended, end.values, self.now)
        return Numbers(until - start.values, start.present & (ended | going_on))

    def texts(self, kind: Kind, name: str) -> Texts | None:
        """Return a parameter, a tag or a text attribute; None if no run has it."""
        if (kind, name) not in self._texts:
            self._texts[kind, name] = self._text(kind, name)
        return self._texts[kind, name]

    def _text(self, kind: Kind, name: str) -> Texts | None:
        if not self.rows:
            return None
        if kind == "attribute" and name == "run_id" and self.snapshot.subject is RUNS:
            ids = self.snapshot.ids[: self.rows]
            return Texts(np.arange(self.rows, dtype=np.int32), strings(ids))
        if kind == "attribute" and name == "experiment":
            return self._experiments()
        column = self.snapshot.columns[kind].get(name)
        if not isinstance(column, TextColumn):
            return None
        if kind == "attribute" and name == "artifact_uri":
            rows = column.cells.pairs()[0]
            uris = [
                artifact_uri(text, self.snapshot.ids[row]) or ""
                for text, row in zip(column.texts(rows), rows, strict=True)
            ]
            column = TextColumn.of(rows, strings(uris))
        codes = column.codes(self.rows)
        return Texts(codes, column.words) if (codes >= 0).any() else None

    def _experiments(self) -> Texts | None:
        ids = self.texts("attribute", "experiment_id")
        if ids is None:
            return None
        known = self.snapshot.experiments
        words = [known[id].name if id in known else id for id in ids.words.to_pylist()]
        return Texts(ids.codes, strings(words))

    def names(self, kind: Kind) -> Sequence[str]:
        """Return the existing names, sorted."""
        if kind != "attribute":
            return sorted(self.snapshot.columns[kind])
        return sorted(self.snapshot.subject.attributes)
