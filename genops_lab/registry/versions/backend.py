"""Answer questions about all versions in the process that holds the runs; cheap to import."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from genops_lab.experiments.columns.backend import bounded, checked, mirror_of, state_of, window
from genops_lab.experiments.columns.models import RunColumns, RunQueryText, RunsState, RunTable, RunTableQuery
from genops_lab.experiments.query.models import Completion, Doubt

if TYPE_CHECKING:
    from genops_lab.experiments.columns.mirror import Shown
    from genops_lab.experiments.columns.selection import Asked
    from genops_lab.experiments.columns.snapshot import Snapshot
    from genops_lab.experiments.columns.source import Source

FORMAT = "format"
#: Seconds after a question during which the formats that it wants are read.
_WANTED_FOR_S = 15.0


class VersionMirror:
    """The versions of one MLflow, beside the mirror of its runs. All methods block.

    ``deployed``: names of deployments by the id of a version's row.
    """

    def __init__(self, tracking_uri: str, cache: str, **_others: Any) -> None:
        from genops_lab.experiments.columns.mirror import Mirror

        from .columns import Join
        from .formats import KeptFormats

        self._runs = mirror_of(tracking_uri, cache)
        self._versions = Mirror(ways_to(tracking_uri), Path(cache).with_name("versions"), "versions")
        self._formats = KeptFormats(Path(cache).with_name("versions"), tracking_uri)
        #: The rows whose formats the last question wanted, whether it wants all others too, and when it came.
        self._wanted: tuple[list[str], bool, float] | None = None
        self._join = Join()
        self._joining = threading.Lock()
        self._last: tuple[tuple[object, ...], Asked] | None = None

    def table(self, query: RunTableQuery, deployed: dict[str, list[str]], touched: list[str]) -> RunTable:
        """Return a window of the matching versions. ``touched``: models that GenOps Lab changed."""
        checked(query.limit, query.offset)
        if touched:
            self._versions.touch(touched)
        asked, state = self._now(deployed, bounded(query.wait_s))
        table = window(asked, query, state)
        asks_all = _asks_for(FORMAT, query)
        if asks_all or FORMAT in query.columns:
            self._wanted = (table.run_ids, asks_all, time.monotonic())
        unread = self._unread_of(asked.snapshot) if asks_all else []
        if unread:
            table = replace(table, doubts=[*table.doubts, _not_read(len(unread))])
        return table

    def unread_formats(self, count: int) -> list[tuple[str, float]]:
        """Return up to ``count`` versions, by id and creation, whose formats a page wants and that were not read."""
        wanted = self._wanted
        if wanted is None or time.monotonic() - wanted[2] > _WANTED_FOR_S:
            return []
        ids, asks_all, _ = wanted
        versions = self._versions.state().asked.snapshot
        rows = [row for id in ids if (row := versions.place(id)) is not None]
        found = self._formats.unread(versions, rows)
        return (found or (self._unread_of(versions) if asks_all else []))[:count]

    def put_formats(self, found: list[tuple[str, float, str | None]]) -> None:
        """Keep formats by id and creation; None: the files cannot be read now."""
        with self._joining:
            self._formats.put(found)

    def _unread_of(self, versions: Snapshot) -> list[tuple[str, float]]:
        return self._formats.unread(versions, range(versions.rows))

    def columns(self, deployed: dict[str, list[str]]) -> RunColumns:
        """Return all columns."""
        asked, state = self._now(deployed, 0)
        return RunColumns(columns=asked.names(), state=state)

    def completions(self, text: RunQueryText, deployed: dict[str, list[str]]) -> list[Completion]:
        """Return completions for a query."""
        return self._now(deployed, 0)[0].completions(text.text, text.position)

    def state(self) -> RunsState:
        """Return how many of the versions are read."""
        return self._joint(self._versions.state(), self._runs.state())

    def wait(self, version: int, wait_s: float) -> RunsState:
        """Return the state when its version changes, or after ``wait_s`` seconds."""
        others = self._runs.state().version + self._formats.version
        return self._joint(self._versions.wait(version - others, bounded(wait_s)), self._runs.state())

    def _now(self, deployed: dict[str, list[str]], wait_s: float) -> tuple[Asked, RunsState]:
        from genops_lab.experiments.columns.selection import Asked

        # Versions do not wait until runs are read for the first time, unless the caller wants all.
        runs = self._runs.state()
        if wait_s or runs.complete:
            runs = self._runs.now(wait_s)
        versions = self._versions.now(wait_s)
        with self._joining:
            key = (versions.asked, runs.asked, self._formats.version, sorted(deployed.items()))
            if self._last is None or self._last[0] != key:
                formats = self._formats.column(versions.asked.snapshot)
                joined = self._join.of(versions.asked.snapshot, runs.asked.snapshot, deployed, formats)
                self._last = (key, Asked(joined))
            return self._last[1], self._joint(versions, runs)

    def _joint(self, versions: Shown, runs: Shown) -> RunsState:
        """Return the state of the versions; all runs must be read too before all columns are known."""
        state = state_of(versions)
        return replace(
            state,
            version=versions.version + runs.version + self._formats.version,
            complete=versions.complete and (runs.complete or runs.problem is not None),
            problem=state.problem or (runs.problem.message if runs.problem else ""),
            advice=[],
        )


def _asks_for(attribute: str, query: RunTableQuery) -> bool:
    """Return whether a query finds or orders its rows by an attribute."""
    from genops_lab.experiments.query import parse
    from genops_lab.experiments.query.subjects import VERSIONS

    if any(by.column == attribute for by in query.sort):
        return True
    return attribute in query.query.casefold() and any(
        (name.kind, name.key) == ("attribute", attribute) for name in parse(query.query, VERSIONS).names
    )


def _not_read(unread: int) -> Doubt:
    versions = "version is" if unread == 1 else "versions is"
    return Doubt(
        message=f"The format of {unread:,} {versions} not read yet.",
        hint="The page reads the files in the background and shows more versions as it finds them.",
        position=0,
        length=0,
    )


def ways_to(tracking_uri: str) -> list[Callable[[], Source]]:
    """Return the sources to try, the best first; the last one reads any store that mlflow can open."""
    from genops_lab.experiments.columns.sqlite_source import file_of

    from .api import ApiVersions
    from .databases import PostgresVersions, SqliteVersions

    ways: list[Callable[[], Source]] = []
    file = file_of(tracking_uri)
    if file is not None:
        ways.append(partial(SqliteVersions, file))
    if tracking_uri.startswith("postgresql"):
        ways.append(partial(PostgresVersions, tracking_uri))
    ways.append(partial(ApiVersions, tracking_uri))
    return ways
