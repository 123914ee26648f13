"""Read runs directly from MLflow's SQLite file, read-only."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from genops_lab.core.errors import Unavailable

from .changes import Changes, ExperimentRow, RunRow
from .narrowing import Narrowed, Part, part_of
from .slices import SliceDigests
from .snapshot import Snapshot
from .source import FullReadNeeded, SourceKind, UnknownSchema, refuse_unknown

#: Block sizes: small blocks of few runs leave less memory behind as Python objects; of many runs large ones,
#: because each block is put into growing columns.
_LEAST_BLOCK, _LARGEST_BLOCK, _BLOCKS = 250, 2000, 40
#: The time for finding changes in one poll.
_BUDGET_S = 0.004
#: Runs whose reading takes as long.
_ENOUGH_RUNS = 50
_MANY_RUNS = 200

_RUN = (
    "SELECT m.run_uuid, m.name, m.status, m.start_time, m.end_time, m.lifecycle_stage, "
    "CAST(m.experiment_id AS TEXT), m.user_id, m.artifact_uri "
    "FROM json_each(?) j CROSS JOIN runs m ON m.run_uuid = j.value"
)
_OF_RUNS = "SELECT j.key, m.key, {} FROM json_each(?) j CROSS JOIN {} m ON m.run_uuid = j.value"
#: Without NOT INDEXED SQLite reads the index on the runs, to make them distinct.
_GROWN = "SELECT DISTINCT run_uuid FROM {} NOT INDEXED WHERE rowid > ?"
_END = "SELECT coalesce(max(rowid), 0) FROM {}"
#: Everything that may change in a table, as one text for a slice, and the runs of its rows.
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


class SqliteFile:
    """MLflow's SQLite file, opened read-only for one thread at a time."""

    def __init__(self, file: Path) -> None:
        if not file.is_file():
            raise Unavailable(f"MLflow's file {file} does not exist.", hint="Check MLflow's address.")
        self._file = file
        self._inode = file.stat().st_ino
        with sqlite_errors(file):
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
                f"MLflow's file {self._file} cannot be read: {error.strerror}.",
                hint="Check whether it was moved. GenOps Lab looks for it again by itself.",
            ) from error
        if not same:
            raise FullReadNeeded("the file is another one")

    def _all(self, statement: str, *values: Any) -> list[Any]:
        with sqlite_errors(self._file):
            return self._connection.execute(statement, values).fetchall()

    def _check(self) -> None:
        try:
            revisions = {row[0] for row in self._all("SELECT version_num FROM alembic_version")}
        except Unavailable as error:
            raise UnknownSchema("no alembic_version") from error
        refuse_unknown(revisions)

    def _version(self) -> int:
        return int(self._all("PRAGMA data_version")[0][0])

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Read one view of the store, without later commits."""
        with sqlite_errors(self._file):
            self._connection.execute("BEGIN")
        try:
            yield
        finally:
            with sqlite_errors(self._file):
                self._connection.execute("COMMIT")

    def _experiments(self) -> dict[str, ExperimentRow]:
        rows = self._all("SELECT CAST(experiment_id AS TEXT), name, lifecycle_stage FROM experiments")
        return {id: ExperimentRow(name, stage) for id, name, stage in rows}


class SqliteSource(SqliteFile):
    """One SQLite file.

    ``PRAGMA data_version`` differs after each commit of another connection. Then new rows of ``metrics``
    (each logged value leaves one) and of ``params`` name their runs. ``runs`` and ``tags``, whose rows change
    in place, are compared with their earlier state: slice by slice, newest first, for some milliseconds a
    poll, until all were compared.
    """

    kind: SourceKind = "sqlite"
    every_s = 0.4
    again_s = 0.05

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self._seen_version = -1
        self._last = {"metrics": 0, "params": 0}
        self._digests = SliceDigests(_DIGESTS, self._all, _BUDGET_S, _ENOUGH_RUNS)
        with self._reading():
            self._check()

    @property
    def settled(self) -> bool:
        """Whether the results of :meth:`poll` include all changes."""
        return self._digests.settled

    @property
    def swept_since(self) -> float | None:
        """Return the time before which all changes are known; later ones may be."""
        return self._digests.swept_since

    def identity(self) -> str:
        """Return the file and its oldest experiment."""
        with self._reading():
            oldest = self._all(
                "SELECT experiment_id, creation_time, artifact_location FROM experiments ORDER BY experiment_id LIMIT 1"
            )
        return json.dumps(["sqlite", str(self._file), oldest])

    def total(self) -> int:
        """Return the number of runs."""
        with self._reading():
            return int(self._all("SELECT count(*) FROM runs")[0][0])

    def newest(self, count: int) -> Changes:
        """Return the newest runs."""
        with self._reading():
            ids = [
                row[0]
                for row in self._all("SELECT run_uuid FROM runs ORDER BY start_time DESC LIMIT ?", count)
            ]
            return self._whole(ids, experiments=True)

    def some(self, asked: Narrowed) -> Part | None:
        """Return the runs that a question needs."""
        with self._reading():
            return part_of(asked, self._experiments(), self._all, partial(self._whole, experiments=True), "?")

    def blocks(self) -> Iterator[Changes]:
        """Yield all runs, newest first. Changes during the reading are found later."""
        with self._reading():
            self._check()
            self._seen_version = self._version()
            self._last = {table: self._end_of(table) for table in self._last}
            self._digests.remember()
            ids = [row[0] for row in self._all("SELECT run_uuid FROM runs ORDER BY start_time DESC")]
        block = min(max(len(ids) // _BLOCKS, _LEAST_BLOCK), _LARGEST_BLOCK)
        for begin in range(0, len(ids), block):
            with self._reading():
                yield self._whole(ids[begin : begin + block], experiments=begin == 0)
        if not ids:
            yield Changes(experiments=self._experiments())

    def resume(self, mark: str) -> bool:
        """Return False: reading a file is faster than comparing it."""
        return False

    def mark(self) -> str:
        """Return an empty mark, because a file is always read again."""
        return ""

    def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
        """Return the runs that changed since, as far as this poll's few milliseconds allow."""
        self._same_file()
        begun = time.time()
        with self._reading():
            version = self._version()
            changed = set(touched)
            experiments = version != self._seen_version
            if experiments:
                self._check()
                changed |= self._grown()
                self._digests.committed()
                self._seen_version = version
            changed |= self._digests.changed(begun)
            changes = self._whole(sorted(changed), experiments)
        found = {run.run_id for run in changes.runs}
        if any(run not in found and known.place(run) is not None for run in changed):
            # The numbers of their rows are used again for others, which would not be seen.
            raise FullReadNeeded("runs were deleted for good")
        return changes

    def lacks_statistics(self) -> bool:
        """Return whether MLflow's own searches are quadratic: 100 times slower at 10,000 runs."""
        with self._reading():
            if self._all("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'") and self._all(
                "SELECT 1 FROM sqlite_stat1 WHERE tbl = 'latest_metrics'"
            ):
                return False
            return len(self._all("SELECT 1 FROM runs LIMIT ?", _MANY_RUNS)) == _MANY_RUNS

    # -- changes

    def _grown(self) -> set[str]:
        """Return the runs that have new metrics or parameters."""
        found: set[str] = set()
        for table, last in self._last.items():
            end = self._end_of(table)
            if end < last:
                raise FullReadNeeded(f"rows of {table} are gone")
            found.update(row[0] for row in self._all(_GROWN.format(table), last))
            self._last[table] = end
        return found

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

    def _end_of(self, table: str) -> int:
        return int(self._all(_END.format(table))[0][0])


@contextlib.contextmanager
def sqlite_errors(file: Path) -> Iterator[None]:
    """Turn errors of SQLite into ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise Unavailable(
            f"MLflow's file {file} could not be read: {error}.",
            hint=(
                "Check whether the disk is full or another program locks the file. GenOps Lab tries again "
                "by itself."
            ),
        ) from error


def analyze(file: Path) -> None:
    """Run ANALYZE, limited so that writers wait for less than a second. Raises Unavailable."""
    with (
        sqlite_errors(file),
        contextlib.closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA analysis_limit = 1000")
        connection.execute("ANALYZE")


def file_of(tracking_uri: str) -> Path | None:
    """Return the file that a ``sqlite:///`` address names."""
    if not tracking_uri.startswith("sqlite:///"):
        return None
    name = tracking_uri.removeprefix("sqlite:///").partition("?")[0]
    return Path(name).absolute() if name and name != ":memory:" and not name.startswith("file:") else None
