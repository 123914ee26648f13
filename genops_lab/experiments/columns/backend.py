"""Run the mirror in its worker process for the service; cheap to import, because numpy comes with the first
call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genops_lab.core.errors import GenOpsError, InvalidRequest
from genops_lab.experiments.charts.models import Importance, ImportanceQuery
from genops_lab.experiments.query.models import Completion
from genops_lab.experiments.run_tags import HIDDEN_TAGS

from .models import (
    Advice,
    RunColumns,
    RunGrouping,
    RunQueryText,
    RunSearch,
    RunsFound,
    RunsState,
    RunTable,
    RunTableQuery,
)

if TYPE_CHECKING:
    from .mirror import Mirror, Shown
    from .selection import Asked
    from .source import Source

MAX_WINDOW = 1000
MAX_WAIT_S = 60.0
#: Runs that are read beyond the newest requested ones, because some may be deleted.
_SPARE_ROWS = 100
_NO_STATISTICS = Advice(
    code="no_statistics",
    message="MLflow's SQLite file has no statistics, so MLflow's own searches by a metric or a parameter take up to "
    "100 times longer.",
    hint="Run ANALYZE once (`genops runs optimize-db`); it changes no data.",
)


class RunMirror:
    """The mirror of one MLflow. All methods block."""

    def __init__(self, tracking_uri: str, cache: str, **_others: Any) -> None:
        self._uri = tracking_uri
        self._mirror = mirror_of(tracking_uri, cache)

    def table(self, query: RunTableQuery) -> RunTable:
        """Return a window of the matching runs."""
        checked(query.limit, query.offset)
        shown = self._mirror.now(bounded(query.wait_s))
        return window(shown.asked, query, state_of(shown))

    def search(self, query: RunSearch) -> RunsFound:
        """Return whole matching runs."""
        checked(query.limit, query.offset)
        if not self._mirror.is_started and (few := self._narrowed(query)) is not None:
            return few
        shown = self._mirror.now(bounded(query.wait_s))
        found = shown.asked.find(query.experiments, query.query, query.sort, query.lifecycle, query.time_zone)
        return RunsFound(
            runs=shown.asked.runs(found.rows[query.offset : query.offset + query.limit], HIDDEN_TAGS),
            matched=len(found.rows),
            state=state_of(shown),
            doubts=found.doubts,
        )

    def _narrowed(self, query: RunSearch) -> RunsFound | None:
        """Return the requested runs without reading the others, as a command without a Lab does.

        None if all runs are needed.
        """
        from .narrowing import narrowed
        from .selection import Asked
        from .snapshot import Snapshot
        from .source import UnknownSchema

        asked = narrowed(query, _SPARE_ROWS)
        if asked is None:
            return None
        try:
            source = self._mirror.opens[0]()
        except (GenOpsError, UnknownSchema):  # the mirror tries the other ways, and reports the error
            return None
        try:
            total, part = source.total(), source.some(asked)
            lacks_statistics = source.lacks_statistics()
        except (GenOpsError, UnknownSchema):
            return None
        finally:
            source.close()
        if part is None or (asked.where and not part.whole):
            return None
        read = Asked(Snapshot().apply(part.changes))
        found = read.find(query.experiments, query.query, query.sort, query.lifecycle, query.time_zone)
        wanted = query.offset + query.limit
        if len(found.rows) < wanted and not part.whole:  # most of the read runs are deleted
            return None
        matched = len(found.rows) if part.whole or part.total is None else part.total
        return RunsFound(
            runs=read.runs(found.rows[query.offset : wanted], HIDDEN_TAGS),
            matched=matched,
            state=RunsState(
                version=0,
                complete=part.whole,
                read=read.snapshot.rows,
                total=total,
                source=source.kind,
                advice=[_NO_STATISTICS] if lacks_statistics else [],
            ),
        )

    def completions(self, asked: RunQueryText) -> list[Completion]:
        """Return completions for a query."""
        return self._mirror.now(0).asked.completions(asked.text, asked.position)

    def columns(self) -> RunColumns:
        """Return all columns."""
        shown = self._mirror.now(0)
        hidden = {f"tags.{name}" for name in HIDDEN_TAGS}
        names = [each for each in shown.asked.names() if each.column not in hidden]
        return RunColumns(columns=names, state=state_of(shown))

    def importance(self, query: ImportanceQuery) -> Importance:
        """Return how much each parameter explains of a metric, in the matching runs."""
        from genops_lab.experiments.charts.importance import Parameter, importance

        asked = self._mirror.now(0).asked
        rows = asked.find(query.experiments, query.query, [], query.lifecycle, query.time_zone).rows
        parameters = asked.parameters(rows)
        return importance(
            query.metric,
            asked.metric(query.metric, rows),
            [Parameter(name, values) for name, values in parameters.items()],
        )

    def state(self) -> RunsState:
        """Return how many of the runs are read."""
        return state_of(self._mirror.state())

    def wait(self, version: int, wait_s: float) -> RunsState:
        """Return the state when its version changes, or after ``wait_s`` seconds."""
        return state_of(self._mirror.wait(version, bounded(wait_s)))

    def touch(self, run_ids: list[str]) -> None:
        """Note that GenOps Lab changed these runs."""
        self._mirror.touch(run_ids)

    def analyze(self) -> None:
        """Run ANALYZE on the SQLite file. Raises InvalidRequest for another kind of store."""
        from .sqlite_source import analyze, file_of

        file = file_of(self._uri)
        if file is None:
            raise InvalidRequest(
                "This MLflow does not use an SQLite file on this machine.",
                hint="Its administrator can run ANALYZE in its database.",
            )
        analyze(file)
        self._mirror.read_statistics()


@functools.cache
def mirror_of(tracking_uri: str, cache: str) -> Mirror:
    """Return the one mirror of the runs in this process."""
    from .mirror import Mirror

    return Mirror(ways_to(tracking_uri), Path(cache))


def window(asked: Asked, query: RunTableQuery, state: RunsState) -> RunTable:
    """Return the window of the rows that a query asks for."""
    if query.groups is not None:
        return _grouped(asked, query, query.groups, state)
    found = asked.find(query.experiments, query.query, query.sort, query.lifecycle, query.time_zone)
    rows = found.rows[query.offset : query.offset + query.limit]
    return RunTable(
        total=found.total,
        matched=len(found.rows),
        places=len(found.rows),
        offset=query.offset,
        run_ids=[asked.snapshot.ids[row] for row in rows.tolist()],
        columns=asked.columns(query.columns, rows),
        state=state,
        doubts=found.doubts,
    )


def _grouped(asked: Asked, query: RunTableQuery, groups: RunGrouping, state: RunsState) -> RunTable:
    from .grouping import window, without_heads

    found = asked.find(
        query.experiments, query.query, without_heads(query.sort), query.lifecycle, query.time_zone
    )
    made = window(asked, found, groups, query.sort, query.columns, query.offset, query.limit)
    return RunTable(
        total=found.total,
        matched=made.matched,
        places=made.places,
        offset=query.offset,
        run_ids=made.run_ids,
        columns=made.columns,
        groups=made.groups,
        state=state,
        doubts=found.doubts,
    )


def checked(limit: int, offset: int) -> None:
    """Raise InvalidRequest for a window that is too large."""
    if not 0 <= limit <= MAX_WINDOW or offset < 0:
        raise InvalidRequest(
            f"A window of {limit} rows from {offset} is not possible.",
            hint=f"Request 0 to {MAX_WINDOW} rows, from 0 on.",
        )


def bounded(wait_s: float) -> float:
    """Return the seconds that a question may wait."""
    return min(max(wait_s, 0.0), MAX_WAIT_S)


def state_of(shown: Shown) -> RunsState:
    """Return the state of the runs in an answer's form."""
    return RunsState(
        version=shown.version,
        complete=shown.complete,
        read=shown.asked.snapshot.rows,
        total=shown.total,
        as_of=shown.as_of,
        refreshing=shown.complete and not shown.current and shown.problem is None,
        source=shown.source or "",
        problem=shown.problem.message if shown.problem is not None else "",
        advice=[_NO_STATISTICS] if shown.lacks_statistics else [],
    )


def ways_to(tracking_uri: str) -> list[Callable[[], Source]]:
    """Return the sources to try, the best first; the last one reads any store that mlflow can open."""
    from .sqlite_source import SqliteSource, file_of

    ways: list[Callable[[], Source]] = []
    file = file_of(tracking_uri)
    if file is not None:
        ways.append(lambda: SqliteSource(file))
    if tracking_uri.startswith("postgresql"):
        ways.append(lambda: _postgres(tracking_uri))
    ways.append(lambda: _api(tracking_uri))
    return ways


def _postgres(tracking_uri: str) -> Source:
    from .postgres_source import PostgresSource

    return PostgresSource(tracking_uri)


def _api(tracking_uri: str) -> Source:
    from .api import ApiSource, ClientApi, HttpApi

    over_http = tracking_uri.startswith(("http://", "https://"))
    return ApiSource(HttpApi(tracking_uri) if over_http else ClientApi(tracking_uri))
