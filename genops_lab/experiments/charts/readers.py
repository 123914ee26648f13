"""Where histories come from: MLflow's database, or its API."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

from genops_lab.core.errors import NotFound, Unavailable
from genops_lab.experiments.columns.api import Api, ClientApi, HttpApi, Latest
from genops_lab.experiments.columns.postgres_source import told_by_postgres
from genops_lab.experiments.columns.source import KNOWN_REVISIONS, ReadAnew, UnknownSchema
from genops_lab.experiments.columns.sqlite_source import file_of, told_by_file

from .history import Points, points_of

_OF_RUN = "FROM metrics WHERE run_uuid = {0} AND key = {0}"
#: Without statistics SQLite takes another one: it reads all histories of the run, or those of all runs by this key.
_INDEX = "index_metrics_run_uuid_key_step"
_SNAPSHOT = "SELECT s::text, txid_snapshot_xmin(s) FROM (SELECT txid_current_snapshot() AS s) AS now"
#: How long after a look at a run through the API, while it goes on and after its end, it is not looked at again.
_RUNNING_S, _ENDED_S = 0.5, 60.0
_AT_ONCE = 4


class Part(NamedTuple):
    """Points of a run: the ``whole`` history or what is new; ``mark`` says up to where, for the reader."""

    points: Points
    mark: Any
    whole: bool


class Reader(Protocol):
    """Reads one store, in one thread at a time. May raise GenOpsError, UnknownSchema (when it is opened) or ReadAnew
    (it is another one)."""

    def read(self, key: str, marks: dict[str, Any]) -> dict[str, Part]:
        """The histories of the runs that are not as their marks have them; without a mark (None) all of it."""
        ...

    def starts(self, run_ids: list[str]) -> dict[str, float]:
        """When the runs began, in seconds since 1970, where that is known."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...


class SqliteReader:
    """One file. A row's number is higher than those of rows before it; ``mark`` is the highest one that was seen."""

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
            has_one = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
            has_index = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?"
            self._index = _INDEX if self._connection.execute(has_index, (_INDEX,)).fetchall() else ""
            revisions = (
                {row[0] for row in self._connection.execute("SELECT version_num FROM alembic_version")}
                if self._connection.execute(has_one).fetchall()
                else set()
            )
        if not revisions or not revisions <= KNOWN_REVISIONS:
            self.close()
            raise UnknownSchema(", ".join(sorted(revisions)) or "none")

    def read(self, key: str, marks: dict[str, Any]) -> dict[str, Part]:
        """New rows are found by their numbers."""
        found: dict[str, Part] = {}
        if not self._is_same_file():
            raise ReadAnew("the file is another one")
        with told_by_file(self._file):
            self._connection.execute("BEGIN")
            try:
                end = self._connection.execute("SELECT coalesce(max(rowid), 0) FROM metrics").fetchone()[0]
                for run_id, mark in marks.items():
                    if mark == end:
                        continue
                    # Rows were deleted, and their numbers may be given again.
                    whole = mark is None or mark > end
                    points = self._points(run_id, key, 0 if whole else mark)
                    if whole or len(points):
                        found[run_id] = Part(points, end, whole)
            finally:
                self._connection.execute("COMMIT")
        return found

    def starts(self, run_ids: list[str]) -> dict[str, float]:
        """As the table of runs has them."""
        marks = ", ".join("?" * len(run_ids))
        with told_by_file(self._file):
            rows = self._connection.execute(
                f"SELECT run_uuid, start_time FROM runs WHERE run_uuid IN ({marks})",  # noqa: S608  # question marks
                run_ids,
            ).fetchall()
        return {run_id: at / 1000 for run_id, at in rows if at}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _is_same_file(self) -> bool:
        try:
            return self._file.stat().st_ino == self._inode
        except OSError:
            return False

    def _points(self, run_id: str, key: str, after: int) -> Points:
        # No number may be NULL: an infinity, which MLflow never stores, stands for NaN. All in one row each, taken
        # by numpy from the cursor: half the time of fetchall.
        source = _OF_RUN.format("?")
        if after:
            source += f" AND rowid > {after:d}"
        elif self._index:
            source = source.replace("metrics", f"metrics INDEXED BY {self._index}")
        with closing(
            self._connection.execute(
                f"SELECT step, timestamp, iif(is_nan, 9e999, value) {source}", (run_id, key)
            )
        ) as rows:
            return points_of(rows, nan=float("inf"))


class PostgresReader:
    """One database. A mark is the transactions that were seen, and the oldest one that may not have ended then: rows
    of it and of later ones are new, or were seen already."""

    def __init__(self, uri: str) -> None:
        from sqlalchemy import create_engine
        from sqlalchemy.exc import NoSuchModuleError, ProgrammingError
        from sqlalchemy.pool import NullPool

        try:
            engine = create_engine(
                uri,
                poolclass=NullPool,
                execution_options={"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
            )
        except (ImportError, NoSuchModuleError) as error:
            raise UnknownSchema(f"no driver: {error}") from error
        with told_by_postgres():
            self._connection = engine.connect()
            try:
                revisions = {row[0] for row in self._all("SELECT version_num FROM alembic_version")}
            except ProgrammingError as error:
                self._connection.close()
                raise UnknownSchema("no alembic_version") from error
            self._connection.rollback()
        if not revisions or not revisions <= KNOWN_REVISIONS:
            self.close()
            raise UnknownSchema(", ".join(sorted(revisions)))

    def read(self, key: str, marks: dict[str, Any]) -> dict[str, Part]:
        """New rows are found by their transactions."""
        found: dict[str, Part] = {}
        with told_by_postgres():
            try:
                seen, base = self._all(_SNAPSHOT)[0]
                for run_id, mark in marks.items():
                    if mark is not None and mark[0] == seen:
                        continue
                    points = self._points(run_id, key, None if mark is None else mark[1])
                    found[run_id] = Part(points, (seen, base), mark is None)
            finally:
                self._connection.rollback()
        return found

    def starts(self, run_ids: list[str]) -> dict[str, float]:
        """As the table of runs has them."""
        with told_by_postgres():
            rows = self._all("SELECT run_uuid, start_time FROM runs WHERE run_uuid = ANY(%s)", run_ids)
            self._connection.rollback()
        return {run_id: at / 1000 for run_id, at in rows if at}

    def close(self) -> None:
        """Close the connection."""
        with told_by_postgres():
            self._connection.close()

    def _points(self, run_id: str, key: str, since: int | None) -> Points:
        new = "" if since is None else " AND age(xmin) <= age(%s::text::xid)"
        values = (run_id, key) if since is None else (run_id, key, str(since % 2**32))
        return points_of(
            map(
                tuple,
                self._all(
                    "SELECT step, timestamp, CASE WHEN is_nan THEN 'NaN' ELSE value END "
                    f"{_OF_RUN.format('%s')}{new} ORDER BY step, timestamp",
                    *values,
                ),
            )
        )

    def _all(self, statement: str, *values: Any) -> list[Any]:
        return list(self._connection.exec_driver_sql(statement, values or None).fetchall())


class _ApiMark(NamedTuple):
    latest: Latest
    looked_at: float


class ApiReader:
    """Any MLflow. It tells no more than how a metric stands: where that is another than before, the whole history is
    read again. A run that has ended is looked at once a minute."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._starts: dict[str, float] = {}

    def read(self, key: str, marks: dict[str, Any]) -> dict[str, Part]:
        """Some runs at a time."""
        now = time.monotonic()
        due = {run_id: mark for run_id, mark in marks.items() if mark is None or _is_due(mark, now)}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            parts = list(pool.map(lambda item: self._part(key, item[0], item[1], now), due.items()))
        return {run_id: part for run_id, part in zip(due, parts, strict=True) if part is not None}

    def starts(self, run_ids: list[str]) -> dict[str, float]:
        """Of runs that were read."""
        return {run_id: self._starts[run_id] for run_id in run_ids if run_id in self._starts}

    def close(self) -> None:
        """Nothing is open between two requests."""

    def _part(self, key: str, run_id: str, mark: _ApiMark | None, now: float) -> Part | None:
        try:
            latest = self._api.latest(run_id, key)
            if latest.start:
                self._starts[run_id] = latest.start / 1000
            if mark is not None and latest.point == mark.latest.point:
                return Part(points_of([]), _ApiMark(latest, now), False)
            rows = [] if latest.point is None else self._api.history(run_id, key)
        except NotFound:
            return Part(points_of([]), _ApiMark(Latest(None, None, False), now), True)
        return Part(points_of(rows), _ApiMark(latest, now), True)


def _is_due(mark: _ApiMark, now: float) -> bool:
    return now - mark.looked_at > (_RUNNING_S if mark.latest.running else _ENDED_S)


def readers_of(tracking_uri: str) -> list[Callable[[], Reader]]:
    """The readers to try, the best first; the last one takes any store that mlflow can open."""
    ways: list[Callable[[], Reader]] = []
    file = file_of(tracking_uri)
    if file is not None:
        ways.append(lambda: SqliteReader(file))
    if tracking_uri.startswith("postgresql"):
        ways.append(lambda: PostgresReader(tracking_uri))
    over_http = tracking_uri.startswith(("http://", "https://"))
    ways.append(lambda: ApiReader(HttpApi(tracking_uri) if over_http else ClientApi(tracking_uri)))
    return ways
