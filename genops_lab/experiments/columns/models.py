"""Define the wire types of the run table. Times in seconds since 1970, durations in seconds.

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
    """A column to sort by. In both directions runs without a value come last, and NaN before them."""

    column: str
    descending: bool = False


class RunGrouping(msgspec.Struct, frozen=True, kw_only=True):
    """Groups by 1 to 4 columns of text, the outermost first.

    A group is named by its values from the outermost level on; null is the group of runs without a value. The
    groups of the first ``open_levels`` levels are open and all others closed, except the ``turned`` ones.
    With ``within`` a table has only the runs of these groups, and no heads.

    ``aggregates`` chooses how a column's numbers are aggregated; default: the mean, of start and end the
    latest. NaN and infinite values are left out. Groups are sorted by value, unless the query's ``sort``
    names one of their columns, a column of numbers (by its aggregate), or ``runs``, their number.
    """

    by: list[str]
    open_levels: int = 0
    turned: list[list[str | None]] = []
    within: list[list[str | None]] = []
    aggregates: dict[str, Aggregate] = {}


class RunsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """A choice of runs: ``experiments`` are names or ids, none for all.

    ``time_zone``: where days of the query begin, such as Asia/Kolkata; empty: in the zone of JupyterLab's machine.
    """

    experiments: list[str] = []
    query: str = ""
    lifecycle: Lifecycle = "active"
    time_zone: str = ""


class RunSearch(RunsAsked, frozen=True, kw_only=True):
    """A query for whole runs: see :class:`RunTableQuery`."""

    sort: list[RunSort] = []
    limit: int = 50
    offset: int = 0
    wait_s: float = 0


class RunTableQuery(RunSearch, frozen=True, kw_only=True):
    """A query for a part of the runs. ``experiments`` are names or ids, none for all.

    Without ``sort``, and for equal runs, the newest come first. ``limit`` is 0 to 1,000. ``wait_s``: seconds
    (at most 60) to wait until all present runs are read. With ``groups``, ``offset`` and ``limit`` count the
    groups' heads too.
    """

    limit: int = 100
    columns: list[str] = []
    groups: RunGrouping | None = None


class RunColumn(msgspec.Struct, frozen=True, kw_only=True):
    """The window's values of one column, None for a run without one.

    Numbers that JSON lacks are texts: "NaN", "Infinity", "-Infinity". A group's head has the aggregate, or
    the text that all its runs have.
    """

    column: str
    kind: Literal["number", "text"]
    values: list[float | str | None]


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """Advice that would make MLflow faster; ``code`` is ``no_statistics`` if ``analyze_runs`` helps."""

    code: Literal["no_statistics"]
    message: str
    hint: str


class RunsState(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the runs are read, and how old they are.

    ``version`` grows with each change of the shown runs; 0: only the runs that a question needed were read.
    ``read`` of ``total`` (None: unknown) runs are read; ``complete``: all. ``as_of``: all changes before that
    time are included (None: not all was read yet).

    ``refreshing``: the runs were saved by an earlier process, and MLflow is being asked for changes since.
    ``source``: the SQLite file, PostgreSQL, or MLflow's API. ``problem``: why there are no updates, empty
    without a problem.
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
    """The range of a group's numbers, their count, and how many are NaN or infinite."""

    low: float | None
    high: float | None
    finite: int
    other: int


class RunGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group whose head is ``at`` a place of the window (from 0 on).

    ``path``: its values from the outermost level on. It is the ``position``-th (from 1 on) of ``siblings``
    groups. ``spreads``: by column of numbers.
    """

    at: int
    path: list[str | None]
    runs: int
    open: bool
    position: int
    siblings: int
    spreads: dict[str, Spread]


class RunTable(msgspec.Struct, frozen=True, kw_only=True):
    """A window of the matching runs: of ``total`` runs in the experiments, ``matched`` match the query.

    ``doubts``: warnings about the query. ``places``: the number of rows; with groups these are the heads and
    the runs of open groups. A head's ``run_ids`` is empty.
    """

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
    """A query that is being written, and the cursor's position (characters from its begin)."""

    text: str
    position: int


class RunsFound(msgspec.Struct, frozen=True, kw_only=True):
    """The ``matched`` runs, from ``offset`` on. ``doubts``: as in :class:`RunTable`."""

    runs: list[Run]
    matched: int
    state: RunsState
    doubts: list[Doubt] = []


class RunTags(msgspec.Struct, frozen=True, kw_only=True):
    """Tags to set and to remove on a run."""

    set: dict[str, str] = {}
    remove: list[str] = []


class DeletedRuns(msgspec.Struct, frozen=True, kw_only=True):
    """Deleted runs, by whole ids; ``serving`` names deployments of their models, which keep running."""

    run_ids: list[str]
    serving: list[str] = []


class RunIds(msgspec.Struct, frozen=True, kw_only=True):
    """Some runs, by whole ids, at most 1,000."""

    run_ids: list[str]


class RunsTagging(RunIds, frozen=True, kw_only=True):
    """Tags to set on runs, by whole ids, at most 1,000."""

    set: dict[str, str]
