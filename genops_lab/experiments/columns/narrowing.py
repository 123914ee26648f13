"""Find the runs that a question needs, so that a command without a Lab reads only these.

The store's query may choose too many runs, never too few. The question is then answered from the read runs as
usual.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from genops_lab.experiments.backends.client import quoted
from genops_lab.experiments.query import parse
from genops_lab.experiments.query.names import Name
from genops_lab.experiments.query.nodes import Comparison, Every, Node, Number, Text

from .changes import Changes, ExperimentRow
from .models import Lifecycle, RunSearch, RunSort

#: Most runs that are read as candidates for a query; above it all runs are read.
MOST_CANDIDATES = 5000
_NEWEST = [RunSort(column="start_time", descending=True)]


class Narrowed(NamedTuple):
    """Runs of ``experiments`` (names or ids; none: all) that match ``where``, ``most`` at the most.

    The first by ``metric`` come first, without one the newest.
    """

    most: int
    experiments: tuple[str, ...] = ()
    lifecycle: Lifecycle = "active"
    where: tuple[Comparison, ...] = ()
    names: tuple[Name, ...] = ()
    metric: str = ""
    descending: bool = False


class Part(NamedTuple):
    """Read runs. ``whole``: there are no others. ``total``: their number, None if unknown."""

    changes: Changes
    whole: bool
    total: int | None


def narrowed(asked: RunSearch, spare: int) -> Narrowed | None:
    """Return the runs to read for a question; None if that would be all.

    ``spare``: further runs, because some may be deleted. Raises InvalidRequest for an invalid query.
    """
    newest = Narrowed(asked.offset + asked.limit + spare, tuple(asked.experiments), asked.lifecycle)
    if asked.query.strip():
        query = parse(asked.query)
        where = tuple(_pushed(query.node))
        return newest._replace(most=MOST_CANDIDATES, where=where, names=query.names) if where else None
    if not asked.sort:
        return newest
    if asked.offset:  # a client that pages needs all in the end
        return None
    if asked.sort == _NEWEST:
        return newest
    kind, dot, metric = asked.sort[0].column.partition(".")
    if len(asked.sort) > 1 or not dot or kind not in ("metric", "metrics") or "`" in metric:
        return None
    return newest._replace(metric=metric, descending=asked.sort[0].descending)


def _pushed(node: Node) -> Iterator[Comparison]:
    """Yield the conditions that every matching run fulfils, and that mean the same in every store."""
    if isinstance(node, Every):
        for item in node.items:
            yield from _pushed(item)
    elif isinstance(node, Comparison) and "`" not in node.name.key:
        name, value = node.name, node.value
        number = isinstance(value, Number) and math.isfinite(value.value) and node.operator != "!="
        text = isinstance(value, Text) and node.operator == "="
        if (name.kind == "metric" and number) or (name.kind in ("param", "tag") and text):
            yield node


def experiments_of(asked: Narrowed, known: dict[str, ExperimentRow]) -> list[str] | None:
    """Return the ids, none for all; None if one does not exist, because reading all gives the best error."""
    ids = []
    for given in asked.experiments:
        named = [id for id, experiment in known.items() if experiment.name == given]
        if not named and given not in known:
            return None
        ids.append(named[0] if named else given)
    return ids


def spelled(condition: Comparison) -> str:
    """Return the condition in MLflow's filter language. Raises InvalidRequest for a text that it cannot
    express.
    """
    value = condition.value
    assert isinstance(value, Number | Text)
    written = quoted(value.value) if isinstance(value, Text) else repr(value.value)
    return f"{condition.name.kind}s.`{condition.name.key}` {condition.operator} {written}"


_TABLES = {"metric": "latest_metrics", "param": "params", "tag": "tags"}


def part_of(
    asked: Narrowed,
    known: dict[str, ExperimentRow],
    ask: Callable[..., list[Any]],
    read: Callable[[list[str]], Changes],
    mark: str,
) -> Part | None:
    """Return a database's answer.

    ``ask`` takes a statement and its values, whose places are written as ``mark``; ``read`` reads whole runs.
    None if no run has a name: reading all finds similar names.
    """
    experiments = experiments_of(asked, known)
    if experiments is None:
        return None
    for name in asked.names:
        if name.kind != "attribute":
            statement = f"SELECT 1 FROM {_TABLES[name.kind]} WHERE key = {mark} LIMIT 1"  # noqa: S608  # names of ours
            if not ask(statement, name.key):
                return None
    where, values = _conditions(asked, experiments, mark)
    table, order, before = "runs r", "", []
    if asked.metric:
        table += f" JOIN latest_metrics m ON m.run_uuid = r.run_uuid AND m.key = {mark}"
        order = f"m.is_nan, m.value {'DESC' if asked.descending else 'ASC'}, "
        before = [asked.metric]
    total = int(ask(f"SELECT count(*) FROM runs r WHERE {where}", *values)[0][0])  # noqa: S608
    rows = ask(
        f"SELECT r.run_uuid FROM {table} WHERE {where} "  # noqa: S608
        f"ORDER BY {order}coalesce(r.start_time, -1) DESC, r.run_uuid LIMIT {mark}",
        *before, *values, asked.most,
    )  # fmt: skip
    return Part(read([row[0] for row in rows]), whole=len(rows) == total, total=total)


def _conditions(asked: Narrowed, experiments: list[str], mark: str) -> tuple[str, list[Any]]:
    parts, values = ["1 = 1"], list[Any]()
    if asked.lifecycle != "all":
        parts.append(f"r.lifecycle_stage = {mark}")
        values.append(asked.lifecycle)
    if experiments:
        parts.append(f"r.experiment_id IN ({', '.join([mark] * len(experiments))})")
        values += map(int, experiments)
    for each in asked.where:
        assert isinstance(each.value, Number | Text)
        parts.append(
            f"r.run_uuid IN (SELECT run_uuid FROM {_TABLES[each.name.kind]} "  # noqa: S608
            f"WHERE key = {mark} AND value {each.operator} {mark})"
        )
        values += [each.name.key, each.value.value]
    return " AND ".join(parts), values
