"""Wire types of lineage. Times in seconds since 1970."""

from __future__ import annotations

from typing import Literal

import msgspec

from genops_lab.core.paging import PageQuery

NodeKind = Literal["data", "base", "commit", "run", "version", "deployment"]
#: input: a run read the data; logged: a run made the version; evaluated: a run judged the version; derived: a version
#: was made from another; base: a version was made from a model outside of the registry.
EdgeKind = Literal["input", "commit", "logged", "evaluated", "derived", "base", "serves"]
Direction = Literal["both", "up", "down"]


class LineageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``of``: ``data:NAME@DIGEST``, ``base:SOURCE``, ``commit:SHA``, ``run:ID``, ``model:NAME@VERSION`` or
    ``deployment:NAME``.

    ``up``: what the object was made from; ``down``: what stands on it. ``limit``: the most nodes, 1 to 1,000.
    """

    of: str
    direction: Direction = "both"
    limit: int = 200


class LineageRunsQuery(PageQuery, frozen=True, kw_only=True):
    """``of``: ``data:NAME@DIGEST`` or ``commit:SHA``, of which the runs without a version are listed."""

    of: str


class LineageNode(msgspec.Struct, frozen=True, kw_only=True):
    """An object with its facts; fields of other kinds are empty.

    ``name``: of the data set, base model, commit, run, model or deployment. ``column``: its place in the picture, from
    the left. ``deleted``: the object is named by others, but was deleted. ``owner``: the user of another Lab whose
    deployment this is. ``cells``: the number of tracked cells, None if unknown.
    """

    id: str
    kind: NodeKind
    name: str
    column: int = 0
    deleted: bool = False
    digest: str = ""
    source: str = ""
    run_id: str = ""
    status: str = ""
    experiment: str = ""
    user: str = ""
    started_at: float | None = None
    commit: str = ""
    dirty: bool = False
    cells: int | None = None
    environment: str = ""
    model: str = ""
    version: str = ""
    aliases: list[str] = []
    state: str = ""
    owner: str = ""


class LineageEdge(msgspec.Struct, frozen=True, kw_only=True):
    """``end`` was made from ``start``, or serves or judges it. ``context``: MLflow's context of a data set."""

    start: str
    end: str
    kind: EdgeKind
    context: str = ""


class LineageFold(msgspec.Struct, frozen=True, kw_only=True):
    """``count`` further nodes of a kind in a column that are not sent; ``upward``: the root was made from them.

    ``without_version``: runs that lead to no version. ``GET /lineage/runs`` lists all of these. ``at_least``: MLflow
    does not count, and there may be more.
    """

    kind: NodeKind
    count: int
    upward: bool
    column: int
    without_version: bool = False
    at_least: bool = False


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """The ancestors and descendants of ``root``, nearest first. ``notes`` say what could not be read."""

    root: str
    nodes: list[LineageNode]
    edges: list[LineageEdge]
    folds: list[LineageFold] = []
    notes: list[str] = []
