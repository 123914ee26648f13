"""Answer questions about all versions in the process that holds the runs; cheap to import."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genops_lab.experiments.columns.backend import bounded, checked, mirror_of, state_of, window
from genops_lab.experiments.columns.models import RunColumns, RunQueryText, RunsState, RunTable, RunTableQuery
from genops_lab.experiments.query.models import Completion

if TYPE_CHECKING:
    from genops_lab.experiments.columns.mirror import Shown
    from genops_lab.experiments.columns.selection import Asked
    from genops_lab.experiments.columns.source import Source


class VersionMirror:
    """The versions of one MLflow, beside the mirror of its runs. All methods block.

    ``deployed``: names of deployments by the id of a version's row.
    """

    def __init__(self, tracking_uri: str, cache: str, **_others: Any) -> None:
        from genops_lab.experiments.columns.mirror import Mirror

        from .columns import Join

        self._runs = mirror_of(tracking_uri, cache)
        self._versions = Mirror(ways_to(tracking_uri), Path(cache).with_name("versions"), "versions")
        self._join = Join()
        self._joining = threading.Lock()
        self._last: tuple[tuple[object, ...], Asked] | None = None

    def table(self, query: RunTableQuery, deployed: dict[str, list[str]], touched: list[str]) -> RunTable:
        """Return a window of the matching versions. ``touched``: models that GenOps Lab changed."""
        checked(query.limit, query.offset)
        if touched:
            self._versions.touch(touched)
        asked, state = self._now(deployed, bounded(query.wait_s))
        return window(asked, query, state)

    def columns(self, deployed: dict[str, list[str]]) -> RunColumns:
        """Return all columns."""
        asked, state = self._now(deployed, 0)
        return RunColumns(columns=asked.names(), state=state)

    def completions(self, text: RunQueryText, deployed: dict[str, list[str]]) -> list[Completion]:
        """Return completions for a query."""
        return self._now(deployed, 0)[0].completions(text.text, text.position)

    def state(self) -> RunsState:
        """Return how many of the versions are read."""
        return _joint(self._versions.state(), self._runs.state())

    def wait(self, version: int, wait_s: float) -> RunsState:
        """Return the state when its version changes, or after ``wait_s`` seconds."""
        runs = self._runs.state()
        return _joint(self._versions.wait(version - runs.version, bounded(wait_s)), self._runs.state())

    def _now(self, deployed: dict[str, list[str]], wait_s: float) -> tuple[Asked, RunsState]:
        from genops_lab.experiments.columns.selection import Asked

        # Versions do not wait until runs are read for the first time, unless the caller wants all.
        runs = self._runs.state()
        if wait_s or runs.complete:
            runs = self._runs.now(wait_s)
        versions = self._versions.now(wait_s)
        key = (versions.asked, runs.asked, sorted(deployed.items()))
        with self._joining:
            if self._last is None or self._last[0] != key:
                joined = self._join.of(versions.asked.snapshot, runs.asked.snapshot, deployed)
                self._last = (key, Asked(joined))
            return self._last[1], _joint(versions, runs)


def _joint(versions: Shown, runs: Shown) -> RunsState:
    """Return the state of the versions; all runs must be read too before all columns are known."""
    from msgspec.structs import replace

    state = state_of(versions)
    return replace(
        state,
        version=versions.version + runs.version,
        complete=versions.complete and (runs.complete or runs.problem is not None),
        problem=state.problem or (runs.problem.message if runs.problem else ""),
        advice=[],
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
