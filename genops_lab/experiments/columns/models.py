"""Wire types of the run table. Times in seconds since 1970, durations in seconds.

A column is named ``metrics.NAME``, ``params.NAME``, ``tags.NAME`` or by an attribute's name (``start_time``).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from genops_lab.experiments.models import Run
from genops_lab.experiments.query.models import Doubt

Lifecycle = Literal["active", "deleted", "all"]
Aggregate = Literal["mean", "min", "max"]


class RunSort(msgspec.Struct, frozen=True, kw_only=True):
    """Runs without a value come last in both directions, those whose value is NaN before them."""

    column: str
    descending: bool = False


class RunGrouping(msgspec.Struct, frozen=True, kw_only=True):
    """Runs in groups by 1 to 4 columns of text, the outermost first. A group is named by its values from the outermost
    level on; null is that of the runs without a value.

    The groups of the first ``open_levels`` levels are open and those below closed, but for those that are ``turned``.
    With ``within`` a table holds the runs of these groups alone, and no heads. ``aggregates``: how a column's numbers
    are told of a group, the mean where nothing is said (of start and end the latest); NaN and infinite values are not
    in it. Groups are sorted by value, unless the query's ``sort`` names one of their columns, a column of numbers (by
    its aggregate), or ``runs``, their number.
    """

    by: list[str]
    open_levels: int = 0
    turned: list[list[str | None]] = []
    within: list[list[str | None]] = []
    aggregates: dict[str, Aggregate] = {}


class RunsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs: ``experiments`` are names or ids, none for all."""

    experiments: list[str] = []
    query: str = ""
    lifecycle: Lifecycle = "active"


class RunSearch(RunsAsked, frozen=True, kw_only=True):
    """Whole runs: see :class:`RunTableQuery`."""

    sort: list[RunSort] = []
    limit: int = 50
    offset: int = 0
    wait_s: float = 0


class RunTableQuery(RunSearch, frozen=True, kw_only=True):
    """Which part of the runs. ``experiments`` are names or ids, none for all. Without ``sort``, and where it leaves
    runs alike, the newest come first. ``limit`` is 0 to 1,000. ``wait_s``: wait so long (at most 60) until all runs are
    read as they are now. With ``groups``, ``offset`` and ``limit`` count the groups' heads too."""

    limit: int = 100
    columns: list[str] = []
    groups: RunGrouping | None = None


class RunColumn(msgspec.Struct, frozen=True, kw_only=True):
    """The window's values of one column, None where a run has none. What JSON cannot hold of numbers is text: "NaN",
    "Infinity", "-Infinity". At a group's head: the aggregate; of texts the one that all its runs have, if they do."""

    column: str
    kind: Literal["number", "text"]
    values: list[float | str | None]


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What would make MLflow better; ``code`` is ``no_statistics`` where ``analyze_runs`` helps."""

    code: Literal["no_statistics"]
    message: str
    hint: str


class RunsState(msgspec.Struct, frozen=True, kw_only=True):
    """How far the runs are read. ``version`` grows with each change of what is shown; 0: only the runs that a question
    needed were read.

    ``read`` of ``total`` (None: not known) runs are here; ``complete``: all. ``as_of``: each change before that time is
    seen (None: not all was looked at yet). ``refreshing``: the runs are those that an earlier process kept, and MLflow
    is being asked what has changed since. ``source``: the SQLite file, PostgreSQL, or MLflow's API. ``problem``: why
    nothing new comes, empty while it does.
    """

    version: int
    complete: bool
    read: int
    total: int | None = None
    as_of: float | None = None
    refreshing: bool = False
    source: Literal["sqlite", "postgresql", "api", ""] = ""
    problem: str = ""
    advice: list[Advice] = []


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Between which values a group's numbers lie, how many they are, and how many are NaN or infinite."""

    low: float | None
    high: float | None
    finite: int
    other: int


class RunGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group whose head stands ``at`` a place of the window (from 0 on). ``path``: its values from the outermost level
    on. It is the ``position``-th (from 1 on) of ``siblings`` groups. ``spreads``: of the columns of numbers."""

    at: int
    path: list[str | None]
    runs: int
    open: bool
    position: int
    siblings: int
    spreads: dict[str, Spread]


class RunTable(msgspec.Struct, frozen=True, kw_only=True):
    """A window of the runs that match: ``total`` are in the experiments, ``matched`` of them answer the query.
    ``doubts``: what in the query was perhaps not meant so. ``places``: how many rows the table has, which with groups
    are their heads and the runs of those that are open; a head's ``run_ids`` is empty."""

    total: int
    matched: int
    places: int
    offset: int
    run_ids: list[str]
    columns: list[RunColumn]
    state: RunsState
    doubts: list[Doubt] = []
    groups: list[RunGroup] = []


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


class RunsFound(msgspec.Struct, frozen=True, kw_only=True):
    """The ``matched`` runs, from ``offset`` on. ``doubts``: as of :class:`RunTable`."""

    runs: list[Run]
    matched: int
    state: RunsState
    doubts: list[Doubt] = []


class RunTags(msgspec.Struct, frozen=True, kw_only=True):
    """Tags to set and to remove on a run."""

    set: dict[str, str] = {}
    remove: list[str] = []


class DeletedRuns(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted, by whole ids; ``serving`` names deployments of models of these runs, which go on."""

    run_ids: list[str]
    serving: list[str] = []


class RunIds(msgspec.Struct, frozen=True, kw_only=True):
    """Some runs, by whole ids, at most 1,000."""

    run_ids: list[str]


class RunsTagging(RunIds, frozen=True, kw_only=True):
    """Tags to set on runs, by whole ids, at most 1,000."""

    set: dict[str, str]
