"""Read histories from MLflow's database or its API, and keep them while they are in use."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from genops_lab.core.errors import GenOpsError, NotFound
from genops_lab.experiments.columns.api import Api, ClientApi, HttpApi, Latest
from genops_lab.experiments.columns.postgres_source import PostgresDatabase
from genops_lab.experiments.columns.source import FullReadNeeded, UnknownSchema, refuse_unknown
from genops_lab.experiments.columns.sqlite_source import SqliteFile, file_of, sqlite_errors

from .history import History, Points, points_of

_OF_RUN = "FROM metrics WHERE run_uuid = {0} AND key = {0}"
#: Without statistics SQLite chooses another index, and reads all histories of the run, or of all runs by this
#: key.
_INDEX = "index_metrics_run_uuid_key_step"
#: Seconds between two readings of a run through the API, while it is running and after its end.
_RUNNING_S, _ENDED_S = 0.5, 60.0
_AT_ONCE = 4
#: Points of 24 bytes, and up to twice as much along axes.
MOST_POINTS = 2_000_000


class Part(NamedTuple):
    """Points of a run: the ``whole`` history or the new ones; ``mark`` is the reader's position."""

    points: Points
    mark: Any
    whole: bool


class Reader(Protocol):
    """Reads one store, in one thread at a time.

    May raise GenOpsError, UnknownSchema (when it is opened) or FullReadNeeded (it is another store).
    """

    def read(self, key: str, marks: dict[str, Any]) -> dict[str, Part]:
        """Return the histories of the runs that differ from their marks; without a mark (None) the whole
        history.
        """

    def starts(self, run_ids: list[str]) -> dict[str, float]:
        """Return when the runs began, in seconds since 1970, if known."""

    def close(self) -> None:
        """Close the store."""


class SqliteReader(SqliteFile):
    """One SQLite file. New rows have higher numbers; ``mark`` is the highest number seen."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        has_index = "SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?"
        try:
            self._index = _INDEX if self._all(has_index, _INDEX) else ""
            has_one = self._all("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'")
            revisions = self._all("SELECT version_num FROM alembic_version") if has_one else []
            refuse_unknown({row[0] for row in revisions})
        except BaseException:
            self.close()
            raise

    def read(self, key: str, marks: dict[str, Any]) -> dict[str, Part]:
        """Find new rows by their numbers."""
        found: dict[str, Part] = {}
        self._same_file()
        with self._reading():
            end = self._all("SELECT coalesce(max(rowid), 0) FROM metrics")[0][0]
            for run_id, mark in marks.items():
                if mark == end:
                    continue
                # Rows were deleted, and their numbers may be used again.
                whole = mark is None or mark > end
                points = self._points(run_id, key, 0 if whole else mark)
                if whole or len(points):
                    found[run_id] = Part(points, end, whole)
        return found

    def starts(self, run_ids: list[str]) -> dict[str, float]:
        """Return the start times in the table of runs."""
        marks = ", ".join("?" * len(run_ids))
        asked = f"SELECT run_uuid, start_time FROM runs WHERE run_uuid IN ({marks})"  # noqa: S608  # question marks
        return {run_id: at / 1000 for run_id, at in self._all(asked, *run_ids) if at}

    def _points(self, run_id: str, key: str, after: int) -> Points:
        # No number may be NULL: an infinity, which MLflow never stores, stands for NaN. numpy takes each
        # history as one row from the cursor: half the time of fetchall.
        source = _OF_RUN.format("?")
        if after:
            source += f" AND rowid > {after:d}"
        elif self._index:
            source = source.replace("metrics", f"metrics INDEXED BY {self._index}")
        asked = f"SELECT step, timestamp, iif(is_nan, 9e999, value) {source}"
        with sqlite_errors(self._file), closing(self._connection.execute(asked, (run_id, key))) as rows:
            return points_of(rows, nan=float("inf"))


class PostgresReader(PostgresDatabase):
    """One PostgreSQL database. A mark has the transactions seen, and the oldest one that may not have ended.

    Rows of that transaction and of later ones are new, or were seen already.
    """

    def read(self, key: str, marks: dict[str, Any]) -> dict[str, Part]:
        """Find new rows by their transactions."""
        found: dict[str, Part] = {}
        with self._reading():
            seen, base = self._now()
            for run_id, mark in marks.items():
                if mark is not None and mark[0] == seen:
                    continue
                points = self._points(run_id, key, None if mark is None else mark[1])
                found[run_id] = Part(points, (seen, base), mark is None)
        return found

    def starts(self, run_ids: list[str]) -> dict[str, float]:
        """Return the start times in the table of runs."""
        with self._reading():
            rows = self._all("SELECT run_uuid, start_time FROM runs WHERE run_uuid = ANY(%s)", run_ids)
        return {run_id: at / 1000 for run_id, at in rows if at}

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


class _ApiMark(NamedTuple):
    latest: Latest
    looked_at: float


class ApiReader:
    """Any MLflow. The API only gives a metric's latest value, so a changed history is read again as a whole.

    A run that has ended is read once a minute.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._starts: dict[str, float] = {}

    def read(self, key: str, marks: dict[str, Any]) -> dict[str, Part]:
        """Read some runs at a time."""
        now = time.monotonic()
        due = {run_id: mark for run_id, mark in marks.items() if mark is None or _is_due(mark, now)}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            parts = list(pool.map(lambda item: self._part(key, item[0], item[1], now), due.items()))
        return {run_id: part for run_id, part in zip(due, parts, strict=True) if part is not None}

    def starts(self, run_ids: list[str]) -> dict[str, float]:
        """Return the start times of runs that were read."""
        return {run_id: self._starts[run_id] for run_id in run_ids if run_id in self._starts}

    def close(self) -> None:
        """Do nothing: no connection is open between two requests."""

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
    """Return the readers to try, the best first; the last one reads any store that mlflow can open."""
    ways: list[Callable[[], Reader]] = []
    file = file_of(tracking_uri)
    if file is not None:
        ways.append(lambda: SqliteReader(file))
    if tracking_uri.startswith("postgresql"):
        ways.append(lambda: PostgresReader(tracking_uri))
    over_http = tracking_uri.startswith(("http://", "https://"))
    ways.append(lambda: ApiReader(HttpApi(tracking_uri) if over_http else ClientApi(tracking_uri)))
    return ways


@dataclass
class _Entry:
    history: History
    mark: Any


class KeptHistories:
    """Histories by run and metric; the most recently used ones stay.

    ``opens`` are ways to the store, the best first: one with an unknown schema gives way to the next.
    """

    def __init__(self, opens: list[Callable[[], Reader]]) -> None:
        self._opens = opens
        self._reader: Reader | None = None
        self._kept: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._epoch = 0
        self._reading = threading.Lock()

    def now(self, key: str, run_ids: list[str]) -> dict[str, History]:
        """Return the present histories, by run. Raises GenOpsError."""
        with self._reading:
            try:
                try:
                    parts, starts = self._parts(key, run_ids)
                except FullReadNeeded:
                    self._close()
                    parts, starts = self._parts(key, run_ids)
            except GenOpsError:
                self._close()
                raise
            known = {run_id: self._kept.get((run_id, key)) for run_id in run_ids}
            for run_id, part in parts.items():
                entry = known[run_id]
                if entry is None or part.whole:
                    self._epoch += 1
                    start = starts.get(run_id) if entry is None else entry.history.start
                    entry = _Entry(History(part.points, start, self._epoch), part.mark)
                    self._kept[run_id, key] = entry
                else:
                    entry.history = entry.history.with_more(part.points)
                    entry.mark = part.mark
            for run_id in run_ids:
                self._kept.move_to_end((run_id, key))
            found = {run_id: self._kept[run_id, key].history for run_id in run_ids}
            self._forget(len(run_ids))
            return found

    def _parts(self, key: str, run_ids: list[str]) -> tuple[dict[str, Part], dict[str, float]]:
        reader = self._opened()
        known = {run_id: self._kept.get((run_id, key)) for run_id in run_ids}
        parts = reader.read(key, {run_id: entry and entry.mark for run_id, entry in known.items()})
        new = [run_id for run_id in parts if known[run_id] is None]
        return parts, reader.starts(new) if new else {}

    def _opened(self) -> Reader:
        while self._reader is None:
            try:
                self._reader = self._opens[0]()
            except UnknownSchema:
                self._opens.pop(0)
        return self._reader

    def _close(self) -> None:
        """Close the reader after a failure, and drop its marks, which another reader cannot use."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._kept.clear()

    def _forget(self, needed: int) -> None:
        points = sum(len(entry.history.points) for entry in self._kept.values())
        while points > MOST_POINTS and len(self._kept) > needed:
            _, entry = self._kept.popitem(last=False)
            points -= len(entry.history.points)
