"""Store slices at several resolutions: slices shorter than a cell are merged into runs that count them.

An item is a slice (``count`` 1) or a run of slices of one row that begin in the same cell. Cells are powers
of two of nanoseconds and begin at multiples of their length. So cells of a coarse level consist of cells of a
finer one, and a run always begins in the tile of its slices.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from ..columns import Int32, Int64

#: Distance of the stored levels, from the first cell at which merging pays.
FIRST_CELL_NS, STEP = 256, 4
WORTH = 0.6


@dataclass(frozen=True)
class Items:
    """Items sorted by row, then by start. Times are in nanoseconds.

    ``covered`` is the sum of the lengths of the slices. ``name`` covers most time, as far as the finer levels
    know, namely ``leading``. ``slice`` is the number of the first one.
    """

    row: Int32
    start: Int64
    end: Int64
    name: Int32
    count: Int32
    covered: Int64
    leading: Int64
    slice: Int32

    def __len__(self) -> int:
        return len(self.start)

    def renumbered(self, name: Int32, first_slice: int) -> Items:
        """Return the items with other names and slices numbered from ``first_slice``."""
        return replace(self, name=name, slice=self.slice + np.int32(first_slice))

    def take(self, where: Int64) -> Items:
        """Return some of the items."""
        return Items(**{each.name: getattr(self, each.name)[where] for each in fields(self)})


def joined(parts: list[Items]) -> Items:
    """Return all items, in the given order."""
    return Items(
        **{each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Items)}
    )


def merged(items: Items, cell_ns: int) -> Items:
    """Return the items; those shorter than ``cell_ns`` are merged by row and cell."""
    heads = _heads(items, cell_ns)
    if len(heads) == len(items):
        return items
    return _merged(items, heads)


def levels_of(items: Items) -> list[tuple[int, Items]]:
    """Return cell and items of each level that is worth storing, finest first; ``items`` are the slices
    themselves."""
    levels: list[tuple[int, Items]] = []
    if not len(items):
        return levels
    cell, last = FIRST_CELL_NS, int(items.end.max())
    while cell < last * STEP:
        heads = _heads(items, cell)
        if len(heads) <= WORTH * len(items):
            items = _merged(items, heads)
            levels.append((cell, items))
        cell *= STEP
    return levels


def _heads(items: Items, cell_ns: int) -> Int64:
    """Return the first item of each group."""
    short = items.end - items.start < cell_ns
    cell = items.start // cell_ns
    first = np.ones(len(items), bool)
    same = (items.row[1:] == items.row[:-1]) & (cell[1:] == cell[:-1])
    first[1:] = ~(short[1:] & short[:-1] & same)
    return np.flatnonzero(first)


def _merged(items: Items, heads: Int64) -> Items:
    size = np.diff(np.append(heads, len(items)))
    name, leading = items.name[heads], items.leading[heads]
    several = np.flatnonzero(size > 1)
    group = np.repeat(np.arange(len(heads)), size)
    members = np.flatnonzero(size[group] > 1)
    if len(members):
        name[several], leading[several] = _leading(
            group[members], items.name[members], items.leading[members]
        )
    return Items(
        row=items.row[heads],
        start=items.start[heads],
        end=np.maximum.reduceat(items.end, heads),
        name=name,
        count=np.add.reduceat(items.count, heads),
        covered=np.add.reduceat(items.covered, heads),
        leading=leading,
        slice=items.slice[heads],
    )


def _leading(group: Int64, name: Int32, time: Int64) -> tuple[Int32, Int64]:
    """Return, for each group (sorted), the name with most time, and that time."""
    names = int(name.max()) + 1
    key = group * names + name
    order = np.argsort(key, kind="stable")
    pairs = np.flatnonzero(np.diff(key[order], prepend=-1))
    pair, total = key[order][pairs], np.add.reduceat(time[order], pairs)
    group, name = pair // names, (pair % names).astype(np.int32)
    best = np.lexsort((-name, total, group))
    last = np.flatnonzero(np.diff(group[best], append=-1))
    return name[best[last]], total[best[last]]
