"""Group runs by columns of text, and return windows of the rows.

The rows are the groups' heads and, below an open head, its content.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genops_lab.core.arrow import places
from genops_lab.core.errors import InvalidRequest
from genops_lab.experiments.query.columns import Kind, Texts
from genops_lab.experiments.query.evaluate import LARGEST
from genops_lab.experiments.query.subjects import NUMBERS, TIMES, Subject

from .cells import NumberColumn, order_by, word_ranks
from .models import Aggregate, RunColumn, RunGroup, RunGrouping, RunSort, Spread
from .selection import Asked, Found, column_named
from .snapshot import Moment

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
#: A group's values from the outermost level to its own; None for runs without a value.
Path = tuple[str | None, ...]

MAX_LEVELS = 4
MAX_PATHS = 10_000
#: Groups can be sorted by columns, or by this: their number of runs.
RUNS = "runs"


@dataclass(frozen=True)
class Level:
    """The groups of one level, in order, none of them empty.

    ``begin`` and ``end`` are its runs' places among all runs in the order of the groups. ``parent`` is its
    group in the level above (0 in the first).
    """

    begin: Places
    end: Places
    parent: Places
    values: list[str | None]


@dataclass(frozen=True)
class Heads:
    """The shown heads, by their places: level, and number in the level. ``places`` counts heads and runs."""

    at: Places
    level: Places
    number: Places
    is_open: npt.NDArray[np.bool_]
    places: int


@dataclass(frozen=True)
class Head:
    """A group in a window."""

    at: int
    level: int
    number: int
    is_open: bool


@dataclass(frozen=True)
class Summary:
    """Arrays of the shape (groups,).

    ``mean``, ``low`` and ``high`` are of the ``finite`` values, NaN without any; ``other`` values are NaN or
    infinite.
    """

    mean: Floats
    low: Floats
    high: Floats
    finite: npt.NDArray[np.intp]
    other: npt.NDArray[np.intp]

    def aggregate(self, how: Aggregate) -> Floats:
        """Return one of the three aggregates."""
        return self.mean if how == "mean" else self.low if how == "min" else self.high


class Groups:
    """Grouped runs of one moment. ``rows``: those of the snapshot, group by group, in the requested order."""

    def __init__(self, rows: Places, levels: list[Level]) -> None:
        self.rows = rows
        self.levels = levels
        #: The place of each group's first child in the next level.
        self._children = [
            np.searchsorted(below.parent, np.arange(len(level.begin)))
            for level, below in itertools.pairwise(levels)
        ]
        self._numbers: list[dict[tuple[int, str | None], int] | None] = [None] * len(levels)
        self._heads: tuple[tuple[int, frozenset[Path]], Heads] | None = None
        self.summaries: dict[tuple[int, str], Summary] = {}
        self.common: dict[tuple[int, str], Texts | None] = {}

    def heads(self, open_levels: int, turned: frozenset[Path]) -> Heads:
        """Return the places of the heads.

        The first ``open_levels`` levels are open except the ``turned`` groups; of the other levels only the
        turned ones are open.
        """
        key = (open_levels, turned)
        if self._heads is None or self._heads[0] != key:
            self._heads = (key, self._laid_out(open_levels, turned))
        return self._heads[1]

    def window(self, heads: Heads, offset: int, limit: int) -> tuple[list[Head], Places, Places]:
        """Return the heads of a window by their places in it, the runs' places in it, and their rows."""
        shown = np.arange(offset, max(offset, min(offset + limit, heads.places)))
        of = np.searchsorted(heads.at, shown, "right") - 1
        is_head = heads.at[of] == shown if len(shown) else np.zeros(0, np.bool_)
        found = [
            Head(int(place), int(heads.level[head]), int(heads.number[head]), bool(heads.is_open[head]))
            for place, head in zip(np.flatnonzero(is_head), of[is_head], strict=True)
        ]
        below = of[~is_head]
        rows = self.levels[-1].begin[heads.number[below]] + shown[~is_head] - heads.at[below] - 1
        return found, np.flatnonzero(~is_head), self.rows[rows]

    def within(self, paths: Sequence[Path]) -> Places:
        """Return the rows of these groups, in order; none for a group that does not exist (any more)."""
        parts = sorted(
            (int(level.begin[number]), int(level.end[number]))
            for path in paths
            if (number := self._number(path)) is not None
            for level in [self.levels[len(path) - 1]]
        )
        found, done = [], 0
        for begin, end in parts:  # a group may lie in another one
            found.append(self.rows[max(begin, done) : end])
            done = max(done, end)
        return np.concatenate(found) if found else np.zeros(0, np.intp)

    def path(self, level: int, number: int) -> list[str | None]:
        """Return a group's values, the outermost level's first."""
        found: list[str | None] = []
        for at in range(level, -1, -1):
            found.append(self.levels[at].values[number])
            number = int(self.levels[at].parent[number])
        return found[::-1]

    def among(self, level: int, number: int) -> tuple[int, int]:
        """Return a group's position among its siblings, from 1 on, and their number."""
        parents = self.levels[level].parent
        begin, end = np.searchsorted(parents, [parents[number], parents[number] + 1])
        return number - int(begin) + 1, int(end - begin)

    def _number(self, path: Path) -> int | None:
        if not 0 < len(path) <= len(self.levels):
            return None
        number: int | None = 0
        for at, value in enumerate(path):
            known = self._numbers[at]
            if known is None:
                level = self.levels[at]
                known = {
                    key: number
                    for number, key in enumerate(zip(level.parent.tolist(), level.values, strict=True))
                }
                self._numbers[at] = known
            number = None if number is None else known.get((number, value))
        return number

    def _laid_out(self, open_levels: int, turned: frozenset[Path]) -> Heads:
        is_open = [
            np.full(len(level.begin), at < open_levels, np.bool_) for at, level in enumerate(self.levels)
        ]
        for path in turned:
            number = self._number(path)
            if number is not None:
                is_open[len(path) - 1][number] ^= True
        last = self.levels[-1]
        sizes = [1 + np.where(is_open[-1], last.end - last.begin, 0)]
        for at in range(len(self.levels) - 2, -1, -1):
            inside = np.add.reduceat(sizes[0], self._children[at]) if len(sizes[0]) else sizes[0]
            sizes.insert(0, 1 + np.where(is_open[at], inside, 0))
        starts = _before(sizes[0])
        shown = np.ones(len(starts), np.bool_)
        found = []
        for at, level in enumerate(self.levels):
            if at:
                parent, before = level.parent, _before(sizes[at])
                begins = starts[parent] + 1 + before - before[self._children[at - 1][parent]]
                shown = (shown & is_open[at - 1])[parent]
                starts = begins
            numbers = np.flatnonzero(shown)
            found.append((starts[numbers], np.full(len(numbers), at), numbers, is_open[at][numbers]))
        at_, levels, numbers, opens = (np.concatenate(part) for part in zip(*found, strict=True))
        order = np.argsort(at_)
        return Heads(at_[order], levels[order], numbers[order], opens[order], int(sizes[0].sum()))


def checked(grouping: RunGrouping) -> None:
    """Raise InvalidRequest for too many levels or groups."""
    if not 0 < len(set(grouping.by)) == len(grouping.by) <= MAX_LEVELS:
        raise InvalidRequest(
            f"Runs cannot be grouped by {', '.join(grouping.by)[:200] or 'nothing'}.",
            hint=f"Name 1 to {MAX_LEVELS} different columns.",
        )
    if len(grouping.turned) + len(grouping.within) > MAX_PATHS:
        raise InvalidRequest(
            f"{len(grouping.turned) + len(grouping.within)} groups were named.",
            hint=f"Name at most {MAX_PATHS:,} groups; `open_levels` opens all.",
        )


def grouped(
    moment: Moment,
    rows: Places,
    by: Sequence[tuple[Kind, str]],
    sort: Sequence[tuple[RunSort, tuple[Kind, str] | None]],
    aggregates: dict[str, Aggregate],
) -> Groups:
    """Group ``rows``.

    Groups are sorted by their values, unless ``sort`` names another order: a column of the grouping, their
    number of runs (None), or an aggregate of a column of numbers.
    """
    above = np.zeros(len(rows), np.int64)
    levels: list[tuple[Places, list[str | None]]] = []
    owners: list[npt.NDArray[np.int64]] = []
    for column in by:
        texts = _texts(moment, column)
        words = 0 if texts is None else len(texts.words)
        codes = np.full(len(rows), -1) if texts is None else texts.codes[rows]
        # Runs without a value are the last group.
        keys = above * (words + 1) + np.where(codes < 0, words, codes)
        distinct, of = _distinct(keys)
        parents, codes = distinct // (words + 1), distinct % (words + 1)
        there = codes < words
        values: list[str | None] = [None] * len(distinct)
        if texts is not None and there.any():
            used, back = np.unique(codes[there], return_inverse=True)
            named = texts.words.take(places(used))
            ranks = np.zeros(len(distinct))
            ranks[there] = word_ranks(named)[back]
            texts_of = named.to_pylist()
            for group, word in zip(np.flatnonzero(there).tolist(), back.tolist(), strict=True):
                values[group] = texts_of[word]
        else:
            ranks = np.zeros(len(distinct))
        order = order_by(ranks, there, False)
        for asked, what in reversed(sort):
            if what == column:
                wanted, has = ranks, there
            elif what is None:
                wanted, has = np.bincount(of, minlength=len(distinct)).astype(np.float64), np.ones_like(there)
            elif what in by:
                continue  # decides at its own level
            else:
                found = _aggregated(moment, what, rows, of, len(distinct), kept(asked.column, aggregates))
                if found is None:
                    continue
                wanted, has = found
            order = order[order_by(wanted[order], has[order], asked.descending)]
        order = order[np.argsort(parents[order], kind="stable")]
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        above = rank[of] if len(of) else above
        owners.append(above)
        levels.append((parents[order], [values[group] for group in order.tolist()]))
    return Groups(
        rows[np.argsort(above, kind="stable")],
        [
            _level(parents, values, np.bincount(owner, minlength=len(values)))
            for (parents, values), owner in zip(levels, owners, strict=True)
        ],
    )


def _level(parents: Places, values: list[str | None], counts: npt.NDArray[np.intp]) -> Level:
    return Level(_before(counts), np.cumsum(counts), parents, values)


def _before(sizes: npt.NDArray[np.intp]) -> Places:
    """Return the sum of all sizes before each."""
    return np.cumsum(sizes) - sizes


def _distinct(keys: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Places]:
    """Return the distinct keys, ascending, and the place of each key in them; without a sort if they are
    small.
    """
    if not len(keys) or int(keys.max()) > 8 * len(keys) + 1000:
        return np.unique(keys, return_inverse=True)
    there = np.zeros(int(keys.max()) + 1, np.bool_)
    there[keys] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[keys]


def _texts(moment: Moment, column: tuple[Kind, str]) -> Texts | None:
    found = moment.texts(*column)
    if found is None or column != ("attribute", "experiment"):
        return found
    # Two experiments may have the same name for a moment: one group.
    encoded = found.words.dictionary_encode()
    same = np.asarray(encoded.indices.to_pylist(), np.int32)
    return Texts(np.where(found.codes < 0, -1, same[found.codes]), encoded.dictionary)


def _aggregated(
    moment: Moment, what: tuple[Kind, str], rows: Places, of: Places, groups: int, how: Aggregate
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]] | None:
    """Return a column's aggregate for each group, and which groups have one; None without numbers."""
    numbers = numbers_at(moment, *what, rows)
    if numbers is None:
        return None
    order = np.argsort(of, kind="stable")
    begins = _before(np.bincount(of, minlength=groups))
    found = sums(numbers[0][order], numbers[1][order], begins)
    values = found.aggregate(how)
    return values, ~np.isnan(values)


def kept(column: str, aggregates: dict[str, Aggregate]) -> Aggregate:
    """Return a column's aggregate: the requested one, else the latest for times and the mean for other
    numbers.
    """
    return aggregates.get(column, "max" if column.removeprefix("attributes.") in TIMES else "mean")


def numbers_at(
    moment: Moment, kind: Kind, name: str, rows: npt.NDArray[np.intp]
) -> tuple[Floats, npt.NDArray[np.bool_]] | None:
    """Return the numbers at ``rows`` and which are present; None if the column has none."""
    if (kind, name) == ("attribute", "duration"):
        found = moment.numbers(kind, name)
        return None if found is None else (found.values[rows], found.present[rows])
    column = moment.snapshot.columns[kind].get(name)
    is_number = kind == "metric" or (kind == "attribute" and name in NUMBERS)
    return column.cells.at(rows) if is_number and isinstance(column, NumberColumn) else None


def sums(values: Floats, there: npt.NDArray[np.bool_], begins: npt.NDArray[np.intp]) -> Summary:
    """Summarise adjacent groups that begin at ``begins``, none of them empty."""
    # MLflow's databases store infinite metrics as the largest numbers.
    finite = there & (np.abs(values) < LARGEST)
    count = _each(np.add, finite.astype(np.intp), begins)
    other = _each(np.add, (there & ~finite).astype(np.intp), begins)
    none = count == 0
    total = _each(np.add, np.where(finite, values, 0.0), begins)
    low = _each(np.minimum, np.where(finite, values, np.inf), begins)
    high = _each(np.maximum, np.where(finite, values, -np.inf), begins)
    low[none], high[none] = np.nan, np.nan
    # A sum of large numbers may overflow, and a mean's last digits may leave the range.
    mean = np.clip(total / np.where(none, 1, count), low, high)
    return Summary(np.where(none, np.nan, mean), low, high, count, other)


def _each(reduce: Any, values: npt.NDArray[Any], begins: npt.NDArray[np.intp]) -> npt.NDArray[Any]:
    return np.asarray(reduce.reduceat(values, begins)) if len(begins) else values[:0]


@dataclass(frozen=True)
class Window:
    """The parts of a table that groups change."""

    run_ids: list[str]
    columns: list[RunColumn]
    groups: list[RunGroup]
    places: int
    matched: int


def without_heads(sort: Sequence[RunSort]) -> list[RunSort]:
    """Return the sort without the number of runs, which only groups have."""
    return [by for by in sort if by.column != RUNS]


def window(asked: Asked, found: Found, grouping: RunGrouping, sort: Sequence[RunSort], names: list[str],
           offset: int, limit: int) -> Window:  # fmt: skip
    """Return a window of grouped runs. Raises InvalidRequest for a column that does not exist or has numbers."""
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
    shown = [_run_group(groups, head, spread) for head, spread in zip(heads, spreads, strict=True)]
    return Window(run_ids, columns, shown, laid_out.places, len(groups.rows))


def _groups(asked: Asked, found: Found, grouping: RunGrouping, sort: Sequence[RunSort]) -> Groups:
    checked(grouping)
    subject = asked.snapshot.subject
    by = [_text_column(name, subject) for name in grouping.by]
    of_groups = [(each, None if each.column == RUNS else column_named(each.column, subject)) for each in sort]
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


def _text_column(name: str, subject: Subject) -> tuple[Kind, str]:
    kind, key = column_named(name, subject)
    if kind == "metric" or (kind == "attribute" and key in NUMBERS):
        raise InvalidRequest(
            f"Runs cannot be grouped by {name[:80]!r}, which has numbers.",
            hint="Group by a parameter, a tag, experiment, status or user.",
        )
    return kind, key


def _run_group(groups: Groups, head: Head, spreads: dict[str, Spread]) -> RunGroup:
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
    """Return the values of runs and heads, at their places."""
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
    """Return the summary of all groups of the level, because the next window needs the others."""
    # Durations grow while runs are running: they are valid for one window, in `fresh`.
    known = fresh.get(level) if column == "duration" else groups.summaries.get((level, column))
    if known is None:
        numbers = numbers_at(moment, *column_named(column, moment.snapshot.subject), groups.rows)
        if numbers is None:
            return None
        known = fresh[level] = sums(*numbers, groups.levels[level].begin)
        if column != "duration":
            groups.summaries[level, column] = known
    return known


def _common(moment: Moment, groups: Groups, column: str, level: int) -> Texts | None:
    """Return, for each group of the level, the text that all its runs have; none if they differ."""
    if (level, column) not in groups.common:
        kind, name = column_named(column, moment.snapshot.subject)
        texts = None if (kind, name) == ("attribute", "run_id") else moment.texts(kind, name)
        begins = groups.levels[level].begin
        if texts is not None and len(begins):
            codes = texts.codes[groups.rows]
            low, high = np.minimum.reduceat(codes, begins), np.maximum.reduceat(codes, begins)
            texts = Texts(np.where(low == high, low, -1), texts.words)
        groups.common[level, column] = texts
    return groups.common[level, column]
