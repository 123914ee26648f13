"""Wire types of the run table. Times in seconds since 1970, durations in seconds.

A column is named ``metrics.NAME``, ``params.NAME``, ``tags.NAME`` or by an attribute's name (``start_time``).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from genops_lab.experiments.models import Run
from genops_lab.experiments.query.models import Doubt

Lifecycle = Literal["active", "deleted", "all"]


class RunSort(msgspec.Struct, frozen=True, kw_only=True):
    """Runs without a value come last in both directions, those whose value is NaN before them."""

    column: str
    descending: bool = False


class RunTableQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of the runs. ``experiments`` are names or ids, none for all. Without ``sort``, and where it leaves
    runs alike, the newest come first. ``limit`` is 0 to 1,000. ``wait_s``: wait so long (at most 60) until all runs are
    read as they are now."""

    experiments: list[str] = []
    query: str = ""
    sort: list[RunSort] = []
    columns: list[str] = []
    offset: int = 0
    limit: int = 100
    lifecycle: Lifecycle = "active"
    wait_s: float = 0


class RunColumn(msgspec.Struct, frozen=True, kw_only=True):
    """The window's values of one column, None where a run has none. What JSON cannot hold of numbers is text: "NaN",
    "Infinity", "-Infinity"."""

    column: str
    kind: Literal["number", "text"]
    values: list[float | str | None]


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What would make MLflow better; ``code`` is ``no_statistics`` where ``analyze_runs`` helps."""

    code: Literal["no_statistics"]
    message: str
    hint: str


class RunsState(msgspec.Struct, frozen=True, kw_only=True):
    """How far the runs are read. ``version`` grows with each change of what is shown.

    ``read`` of ``total`` (None: not known) runs are here; ``complete``: all. ``as_of``: each change before that time is
    seen (None: not all was looked at yet). ``source``: the SQLite file, PostgreSQL, or MLflow's API. ``problem``: why
    nothing new comes, empty while it does.
    """

    version: int
    complete: bool
    read: int
    total: int | None = None
    as_of: float | None = None
    source: Literal["sqlite", "postgresql", "api", ""] = ""
    problem: str = ""
    advice: list[Advice] = []


class RunTable(msgspec.Struct, frozen=True, kw_only=True):
    """A window of the runs that match: ``total`` are in the experiments, ``matched`` of them answer the query.
    ``doubts``: what in the query was perhaps not meant so."""

    total: int
    matched: int
    offset: int
    run_ids: list[str]
    columns: list[RunColumn]
    state: RunsState
    doubts: list[Doubt] = []


class RunColumnInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A column and how many runs have a value in it."""

    column: str
    kind: Literal["number", "text"]
    runs: int


class RunColumns(msgspec.Struct, frozen=True, kw_only=True):
    """All columns: attributes, metrics, parameters, tags, each by name."""

    columns: list[RunColumnInfo]
    state: RunsState


class RunQueryText(msgspec.Struct, frozen=True, kw_only=True):
    """A query that is being written, and where (characters from its begin)."""

    text: str
    position: int


class RunSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Whole runs: see :class:`RunTableQuery`."""

    experiments: list[str] = []
    query: str = ""
    sort: list[RunSort] = []
    limit: int = 50
    lifecycle: Lifecycle = "active"
    wait_s: float = 0


class RunsFound(msgspec.Struct, frozen=True, kw_only=True):
    """The first of the ``matched`` runs."""

    runs: list[Run]
    matched: int
    state: RunsState


class RunTags(msgspec.Struct, frozen=True, kw_only=True):
    """Tags to set and to remove on a run."""

    set: dict[str, str] = {}
    remove: list[str] = []


class RunIds(msgspec.Struct, frozen=True, kw_only=True):
    """Some runs, by whole ids, at most 1,000."""

    run_ids: list[str]
