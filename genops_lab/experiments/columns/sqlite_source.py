"""Runs read straight from MLflow's SQLite file, read-only."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from genops_lab.core.errors import Unavailable

from .changes import Changes, ExperimentRow, RunRow
from .narrowing import Narrowed, Part, part_of
from .snapshot import Snapshot
from .source import ReadAnew, SourceKind, UnknownSchema, refuse_unknown

#: Of few runs small blocks, whose rows as Python's objects leave less memory behind; of many large ones, for each is
#: put into columns that grow.
_LEAST_BLOCK, _LARGEST_BLOCK, _BLOCKS = 250, 2000, 40
#: A slice's digest takes about 0.15 ms.
_SLICE = 256
_BUDGET_S = 0.004
#: Reading so many runs takes as long.
_ENOUGH_RUNS = 50
_MANY_RUNS = 200

_RUN = (
    "SELECT m.run_uuid, m.name, m.status, m.start_time, m.end_time, m.lifecycle_stage, "
    "CAST(m.experiment_id AS TEXT), m.user_id, m.artifact_uri "
    "FROM json_each(?) j CROSS JOIN runs m ON m.run_uuid = j.value"
)
_OF_RUNS = "SELECT j.key, m.key, {} FROM json_each(?) j CROSS JOIN {} m ON m.run_uuid = j.value"
#: Without NOT INDEXED the index on the runs is read through, to have them distinct.
_GROWN = "SELECT DISTINCT run_uuid FROM {} NOT INDEXED WHERE rowid > ?"
_END = "SELECT coalesce(max(rowid), 0) FROM {}"
#: All that may change in a table, as one text for a slice of it, and whose rows they are.
_DIGESTS = {
    "runs": (
        "SELECT group_concat(rowid || '|' || run_uuid || '|' || status || '|' || lifecycle_stage || '|' || "
        "experiment_id || '|' || coalesce(end_time, '') || '|' || coalesce(start_time, '') || '|' || "
        "coalesce(name, x'00'), x'1e'), "
        "group_concat(run_uuid) FROM runs WHERE rowid >= ? AND rowid < ?"
    ),
    "tags": (
        "SELECT group_concat(rowid || '|' || run_uuid || '|' || length(key) || '|' || key || "
        "coalesce(value, x'00'), x'1e'), "
        "group_concat(DISTINCT run_uuid) FROM tags WHERE rowid >= ? AND rowid < ?"
    ),
}


class _Slice(NamedTuple):
    digest: int
    runs: str


class SqliteFile:
    """MLflow's SQLite file, opened read-only for one thread at a time."""

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise Unavailable(
                f"MLflow's file {file} is not there.", hint="See whether the address of MLflow is right."
            )
        self._file = file
        self._inode = file.stat().st_ino
        with told_by_file(file):
            self._connection = sqlite3.connect(
                f"file:{quote(str(file))}?mode=ro", uri=True, timeout=2, isolation_level=None,
                check_same_thread=False,
            )  # fmt: skip

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _same_file(self) -> None:
        try:
            same = self._file.stat().st_ino == self._inode
        except OSError as error:
            raise Unavailable(
                f"MLflow's file {self._file} is not there: {error.strerror}.",
                hint="See whether it was moved; it is looked for again.",
            ) from error
        if not same:
            raise ReadAnew("the file is another one")

    def _all(self, statement: str, *values: Any) -> list[Any]:
        with told_by_file(self._file):
            return self._connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """One view of the store: what others commit meanwhile is not seen."""
        with told_by_file(self._file):
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            with told_by_file(self._file):
                self._connection.execute("COMMIT")


class SqliteSource(SqliteFile):
    """One file. What changed in it is seen so:

    ``PRAGMA data_version`` differs after each commit of another connection. Then new rows of ``metrics`` (where each
    logged value leaves one) and of ``params`` name their runs; ``runs`` and ``tags``, whose rows change in place, are
    compared slice by slice with what they were, newest first, for some milliseconds a poll, until all were looked at.
    """

    kind: SourceKind = "sqlite"
    every_s = 0.4
    again_s = 0.05
    swept_since: float | None = None

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._seen_version = -1
        self._last = {"metrics": 0, "params": 0}
        self._slices: dict[tuple[str, int], _Slice] = {}
        self._due: list[tuple[str, int]] = []
        self.settled = True
        with self._reading():
            self._check()

    def identity(self) -> str:
        """The file and its oldest experiment."""
        with self._reading():
            oldest = self._all(
                "SELECT experiment_id, creation_time, artifact_location FROM experiments ORDER BY experiment_id LIMIT 1"
            )
        return json.dumps(["sqlite", str(self._file), oldest])

    def total(self) -> int:
        """How many runs there are."""
        with self._reading():
            return int(self._all("SELECT count(*) FROM runs")[0][0])

    def newest(self, count: int) -> Changes:
        """The newest runs."""
        with self._reading():
            ids = [
                row[0]
                for row in self._all("SELECT run_uuid FROM runs ORDER BY start_time DESC LIMIT ?", count)
            ]
            return self._whole(ids, experiments=True)

    def some(self, asked: Narrowed) -> Part | None:
        """Those that a question needs."""
        with self._reading():
            return part_of(asked, self._experiments(), self._all, partial(self._whole, experiments=True), "?")

    def blocks(self) -> Iterator[Changes]:
        """All runs, newest first. What is changed while they are read is seen later, as a change."""
        with self._reading():
            self._check()
            self._seen_version = self._version()
            self._last = {table: self._end_of(table) for table in self._last}
            self._slices = {part: made for part in self._parts() if (made := self._look_at(part)) is not None}
            self._due, self.settled = [], True
            ids = [row[0] for row in self._all("SELECT run_uuid FROM runs ORDER BY start_time DESC")]
        block = min(max(len(ids) // _BLOCKS, _LEAST_BLOCK), _LARGEST_BLOCK)
        for begin in range(0, len(ids), block):
            with self._reading():
                yield self._whole(ids[begin : begin + block], experiments=begin == 0)
        if not ids:
            yield Changes(experiments=self._experiments())

    def resume(self, mark: str) -> bool:
        """A file is read in less time than it would take to compare."""
        return False

    def mark(self) -> str:
        """Nothing is gone on from."""
        return ""

    def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
        """The runs that changed since, as far as this poll's few milliseconds go."""
        self._same_file()
        with self._reading():
            version = self._version()
            changed = set(touched)
            experiments = version != self._seen_version
            if experiments:
                self._check()
                changed |= self._grown()
                self._due = self._parts()
                self._seen_version = version
            changed |= self._compare()
            self.settled = not self._due
            changes = self._whole(sorted(changed), experiments)
        found = {run.run_id for run in changes.runs}
        if any(run not in found and known.place(run) is not None for run in changed):
            # Their rows' numbers are given again to others, which would not be seen.
            raise ReadAnew("runs were deleted for good")
        return changes

    def lacks_statistics(self) -> bool:
        """Whether MLflow's own searches are quadratic (RECIPES: 100 times slower at 10,000 runs)."""
        with self._reading():
            if self._all("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'") and self._all(
                "SELECT 1 FROM sqlite_stat1 WHERE tbl = 'latest_metrics'"
            ):
                return False
            return len(self._all("SELECT 1 FROM runs LIMIT ?", _MANY_RUNS)) == _MANY_RUNS

    # -- what changed

    def _grown(self) -> set[str]:
        """The runs that have new metrics or parameters."""
        found: set[str] = set()
        for table, last in self._last.items():
            end = self._end_of(table)
            if end < last:
                raise ReadAnew(f"rows of {table} are gone")
            found.update(row[0] for row in self._all(_GROWN.format(table), last))
            self._last[table] = end
        return found

    def _parts(self) -> list[tuple[str, int]]:
        """All slices, the newest last (where they are taken from)."""
        parts = {(table, at) for table in _DIGESTS for at in range(self._end_of(table) // _SLICE + 1)}
        return sorted(parts | set(self._slices), key=lambda part: (part[1], part[0]))

    def _compare(self) -> set[str]:
        """The runs in slices that differ from what they were; at least one slice, then as time goes."""
        changed: set[str] = set()
        begin = time.thread_time()
        while self._due:
            part = self._due.pop()
            old, new = self._slices.get(part), self._look_at(part)
            if (old and old.digest) != (new and new.digest):
                # Of a slice where little changed most runs are read for nothing: some dozens, once.
                changed.update(run for each in (old, new) if each for run in each.runs.split(","))
                if new is None:
                    del self._slices[part]
                else:
                    self._slices[part] = new
            if time.thread_time() - begin > _BUDGET_S or len(changed) > _ENOUGH_RUNS:
                break
        return changed

    def _look_at(self, part: tuple[str, int]) -> _Slice | None:
        table, at = part
        content, runs = self._all(_DIGESTS[table], at * _SLICE, (at + 1) * _SLICE)[0]
        return None if content is None else _Slice(hash(content), runs)

    # -- reading

    def _whole(self, ids: list[str], experiments: bool) -> Changes:
        changes = Changes(experiments=self._experiments() if experiments else None)
        if not ids:
            return changes
        changes.runs = [RunRow(*row) for row in self._all(_RUN, json.dumps(ids))]
        found = json.dumps([run.run_id for run in changes.runs])
        changes.metrics.put(
            self._all(
                _OF_RUNS.format("CASE m.is_nan WHEN 1 THEN NULL ELSE m.value END", "latest_metrics"), found
            )
        )
        changes.params.put(self._all(_OF_RUNS.format("m.value", "params"), found))
        changes.tags.put(self._all(_OF_RUNS.format("coalesce(m.value, '')", "tags"), found))
        return changes

    def _experiments(self) -> dict[str, ExperimentRow]:
        rows = self._all("SELECT CAST(experiment_id AS TEXT), name, lifecycle_stage FROM experiments")
        return {id: ExperimentRow(name, stage) for id, name, stage in rows}

    def _check(self) -> None:
        try:
            revisions = {row[0] for row in self._all("SELECT version_num FROM alembic_version")}
        except Unavailable as error:
            raise UnknownSchema("no alembic_version") from error
        refuse_unknown(revisions)

    def _version(self) -> int:
        return int(self._all("PRAGMA data_version")[0][0])

    def _end_of(self, table: str) -> int:
        return int(self._all(_END.format(table))[0][0])


@contextlib.contextmanager
def told_by_file(file: Path) -> Iterator[None]:
    """Errors of SQLite as ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(
            f"MLflow's file {file} could not be read: {error}.",
            hint="It is tried again; see whether the disk is full or another program holds the file.",
        ) from error


def analyze(file: Path) -> None:
    """Run ANALYZE, bounded so that writers wait for less than a second. Raises Unavailable."""
    with (
        told_by_file(file),
        contextlib.closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA analysis_limit = 1000")
        connection.execute("ANALYZE")


def file_of(tracking_uri: str) -> Path | None:
    """The file that a ``sqlite:///`` address names."""
    if not tracking_uri.startswith("sqlite:///"):
        return None
    name = tracking_uri.removeprefix("sqlite:///").partition("?")[0]
    return Path(name).absolute() if name and name != ":memory:" and not name.startswith("file:") else None
