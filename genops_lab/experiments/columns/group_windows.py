"""A window of a table whose runs are in groups: heads and runs, as they go over the wire."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genops_lab.core.errors import InvalidRequest
from genops_lab.experiments.query.columns import NUMBER_ATTRIBUTES, Kind, Texts

from .grouping import (
    RUNS,
    Groups,
    Head,
    Path,
    Places,
    Summary,
    checked,
    grouped,
    kept,
    numbers_at,
    sums,
)
from .models import RunColumn, RunGroup, RunGrouping, RunSort, Spread
from .selection import Asked, Found, column_named
from .snapshot import Moment


@dataclass(frozen=True)
class Window:
    """The parts of a table that groups change."""

    run_ids: list[str]
    columns: list[RunColumn]
    groups: list[RunGroup]
    places: int
    matched: int


def without_heads(sort: Sequence[RunSort]) -> list[RunSort]:
    """What the runs are sorted by: not by their number."""
    return [by for by in sort if by.column != RUNS]


def window(asked: Asked, found: Found, grouping: RunGrouping, sort: Sequence[RunSort], names: list[str],
           offset: int, limit: int) -> Window:  # fmt: skip
    """Raises InvalidRequest: a column that is none, or cannot be grouped by."""
    groups = _groups(asked, found, grouping, sort)
    ids = asked.snapshot.ids
    if grouping.within:
        every = groups.within([tuple(path) for path in grouping.within])
        rows = every[offset : offset + limit]
        columns = asked.columns(names, rows)
        return Window([ids[row] for row in rows], columns, [], len(every), len(every))
    turned: frozenset[Path] = frozenset(tuple(path) for path in grouping.turned)
    laid_out = groups.heads(grouping.open_levels, turned)
    heads, run_places, rows = groups.window(laid_out, offset, limit)
    run_ids = [""] * (len(heads) + len(rows))
    for place, row in zip(run_places.tolist(), rows.tolist(), strict=True):
        run_ids[place] = ids[row]
    moment = Moment(asked.snapshot, time.time())
    spreads: list[dict[str, Spread]] = [{} for _ in heads]
    columns = [
        _joined(moment, groups, column, heads, spreads, run_places, grouping)
        for column in asked.columns(names, rows)
    ]
    told = [_told(groups, head, spread) for head, spread in zip(heads, spreads, strict=True)]
    return Window(run_ids, columns, told, laid_out.places, len(groups.rows))


def _groups(asked: Asked, found: Found, grouping: RunGrouping, sort: Sequence[RunSort]) -> Groups:
    checked(grouping)
    by = [_text_column(name) for name in grouping.by]
    of_groups = [(each, None if each.column == RUNS else column_named(each.column)) for each in sort]
    key = (
        tuple(by),
        tuple((each.column, each.descending) for each in sort),
        tuple(sorted(grouping.aggregates.items())),
    )
    known = asked.groupings.found(key)
    if known is not None and known[0] is found.rows:
        return known[1]
    moment = Moment(asked.snapshot, time.time())
    made = grouped(moment, found.rows, by, of_groups, grouping.aggregates)
    asked.groupings[key] = (found.rows, made)
    return made


def _text_column(name: str) -> tuple[Kind, str]:
    kind, key = column_named(name)
    if kind == "metric" or (kind == "attribute" and key in NUMBER_ATTRIBUTES):
        raise InvalidRequest(
            f"Runs cannot be grouped by {name[:80]!r}, which holds numbers.",
            hint="Group by a parameter, a tag, experiment, status or user.",
        )
    return kind, key


def _told(groups: Groups, head: Head, spreads: dict[str, Spread]) -> RunGroup:
    level = groups.levels[head.level]
    position, siblings = groups.among(head.level, head.number)
    return RunGroup(
        at=head.at,
        path=groups.path(head.level, head.number),
        runs=int(level.end[head.number] - level.begin[head.number]),
        open=head.is_open,
        position=position,
        siblings=siblings,
        spreads=spreads,
    )


def _joined(moment: Moment, groups: Groups, column: RunColumn, heads: list[Head], spreads: list[dict[str, Spread]],
            run_places: Places, grouping: RunGrouping) -> RunColumn:  # fmt: skip
    """The runs' values and the heads', at their places."""
    values: list[float | str | None] = [None] * (len(heads) + len(run_places))
    for place, value in zip(run_places.tolist(), column.values, strict=True):
        values[place] = value
    fresh: dict[int, Summary] = {}
    for head, spread in zip(heads, spreads, strict=True):
        if column.kind == "text":
            common = _common(moment, groups, column.column, head.level)
            if common is not None and common.codes[head.number] >= 0:
                values[head.at] = common.words[int(common.codes[head.number])].as_py()
            continue
        found = _summary(moment, groups, column.column, head.level, fresh)
        if found is None:
            continue
        values[head.at] = _or_none(found.aggregate(kept(column.column, grouping.aggregates))[head.number])
        if found.finite[head.number] or found.other[head.number]:
            spread[column.column] = Spread(
                low=_or_none(found.low[head.number]),
                high=_or_none(found.high[head.number]),
                finite=int(found.finite[head.number]),
                other=int(found.other[head.number]),
            )
    return RunColumn(column=column.column, kind=column.kind, values=values)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _summary(
    moment: Moment, groups: Groups, column: str, level: int, fresh: dict[int, Summary]
) -> Summary | None:
    """Of all groups of the level: the next window needs the others'."""
    # Durations grow while runs go on: they hold for one window, in `fresh`.
    known = fresh.get(level) if column == "duration" else groups.summaries.get((level, column))
    if known is None:
        numbers = numbers_at(moment, *column_named(column), groups.rows)
        if numbers is None:
            return None
        known = fresh[level] = sums(*numbers, groups.levels[level].begin)
        if column != "duration":
            groups.summaries[level, column] = known
    return known


def _common(moment: Moment, groups: Groups, column: str, level: int) -> Texts | None:
    """For each group of the level the text that all its runs have, none where they differ."""
    if (level, column) not in groups.common:
        kind, name = column_named(column)
        texts = None if (kind, name) == ("attribute", "run_id") else moment.texts(kind, name)
        begins = groups.levels[level].begin
        if texts is not None and len(begins):
            codes = texts.codes[groups.rows]
            low, high = np.minimum.reduceat(codes, begins), np.maximum.reduceat(codes, begins)
            texts = Texts(np.where(low == high, low, -1), texts.words)
        groups.common[level, column] = texts
    return groups.common[level, column]
