"""The timeline of a trace in tiles: one lane, one period, at one resolution.

Tiles are cut from the stored levels (see ``pyramid``); a level that is too fine is merged further.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..attribution.autograd import Backward, backward
from ..attribution.naming import shown_names
from ..column_files import written_whole
from ..columns import Columns, Int8, Int32, Int64
from .clocks import Collective, collectives_of
from .counters import CounterLanes, Values
from .pyramid import Items, joined, levels_of, merged

#: Raised also when that of columns is raised: levels number lanes, names and slices.
VERSION = 3
TILE_CELLS = 512
#: Most items of a tile, besides those that reach into it, one per row.
MOST_ITEMS = 2000
_META = "timeline.json"
_MERGED = ("end", "name", "count", "covered", "leading")

#: Slices that are nested deeper share the last row.
MOST_ROWS = 256


class StoredLane(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a lane's items. ``cells[0]`` is 1: the slices themselves."""

    lane: int
    rows: int
    slices: int
    first_ns: int
    last_ns: int
    cells: list[int]
    #: Position in ``offsets`` of the first level's rows + 1 offsets; those of the other levels follow.
    offsets: int


class _Meta(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    lanes: list[StoredLane]


@dataclass(frozen=True)
class Tile:
    """The drawn items of a lane from ``first_ns``; items shorter than ``cell_ns`` are merged."""

    first_ns: int
    cell_ns: int
    items: Items
    #: For a counter.
    values: Values | None = None


def save(columns: Columns, folder: Path) -> None:
    """Write the levels of all lanes to ``folder``, completely or not at all."""
    with written_whole(folder) as aside:
        _write(columns, aside)


def is_stored(folder: Path) -> bool:
    """Return whether ``load`` can read the folder."""
    try:
        return msgspec.json.decode((folder / _META).read_bytes(), type=_Meta).version == VERSION
    except (OSError, msgspec.DecodeError):
        return False


def _write(columns: Columns, folder: Path) -> None:
    kind_of_name = np.zeros(len(columns.names), np.int8)
    kind_of_name[columns.name] = columns.kind
    np.save(folder / "kinds.npy", kind_of_name)
    row_of_slice = np.zeros(len(columns), np.int16)
    order = np.argsort(columns.lane, kind="stable")
    bounds = np.searchsorted(columns.lane[order], np.arange(len(columns.lanes) + 1))
    offsets: list[Int64] = []
    lanes: list[StoredLane] = []
    parts: dict[str, list[Any]] = {name: [] for name in ("start", "slice", *_MERGED)}
    stored = position = 0
    for lane in range(len(columns.lanes)):
        members = order[bounds[lane] : bounds[lane + 1]]
        if not len(members):
            continue
        ts, dur = columns.ts[members], columns.lengths(members)
        row = rows_of(ts, dur)
        row_of_slice[members] = row
        rows = int(row.max()) + 1
        by_row = np.argsort(row.astype(np.int16), kind="stable")
        members, ts, dur, row = members[by_row], ts[by_row], dur[by_row], row[by_row]
        slices = Items(
            row=row,
            start=ts,
            end=ts + dur,
            name=columns.name[members],
            count=np.ones(len(members), np.int32),
            covered=dur,
            leading=dur,
            slice=members.astype(np.int32),
        )
        levels = levels_of(slices)
        lanes.append(
            StoredLane(
                lane=lane,
                rows=rows,
                slices=len(members),
                first_ns=int(ts.min()),
                last_ns=int(slices.end.max()),
                cells=[1, *(cell for cell, _ in levels)],
                offsets=position,
            )
        )
        for number, items in enumerate([slices, *(items for _, items in levels)]):
            offsets.append(stored + np.searchsorted(items.row, np.arange(rows + 1)))
            position += rows + 1
            stored += len(items)
            # All other data of slices is in the trace's columns.
            for name in parts if number else ("start", "slice"):
                parts[name].append(getattr(items, name))
    for name, values in parts.items():
        np.save(folder / f"{name}.npy", np.concatenate(values) if values else np.empty(0, np.int64))
    np.save(folder / "offsets.npy", np.concatenate(offsets) if offsets else np.empty(0, np.int64))
    np.save(folder / "rows.npy", row_of_slice)
    (folder / _META).write_bytes(msgspec.json.encode(_Meta(version=VERSION, lanes=lanes)))


class Timeline:
    """The stored levels of a trace, memory-mapped, with its columns. Raises FileNotFoundError."""

    def __init__(self, columns: Columns, folder: Path) -> None:
        self.columns = columns
        #: Display names of slices.
        self.names = shown_names(columns)
        meta = msgspec.json.decode((folder / _META).read_bytes(), type=_Meta)
        self.lanes = {lane.lane: lane for lane in meta.lanes}
        self.counters = CounterLanes(columns)
        self.kinds: Int8 = _mapped(folder / "kinds.npy")
        #: The row of each slice on its lane.
        self.rows: npt.NDArray[np.int16] = _mapped(folder / "rows.npy")
        self._offsets: Int64 = _mapped(folder / "offsets.npy")
        self._start: Int64 = _mapped(folder / "start.npy")
        self._slice: Int32 = _mapped(folder / "slice.npy")
        self._merged = {name: _mapped(folder / f"{name}.npy") for name in _MERGED}
        before = np.cumsum([lane.slices for lane in meta.lanes])
        self._slices_before = dict(zip(self.lanes, before.tolist(), strict=True))

    @cached_property
    def backward(self) -> Backward:
        """Return the backward pass, computed on first use."""
        return backward(self.columns)

    @cached_property
    def collectives(self) -> dict[str, Collective]:
        """Return the collectives by name and size, computed on first use."""
        return collectives_of(self.columns)

    def tile(self, lane_number: int, level: int, index: int) -> Tile:
        """Return the ``index``-th range of ``TILE_CELLS`` cells of 2 ** ``level`` nanoseconds. An unknown
        lane is empty.

        An item belongs to the tile in which it begins; earlier items that reach into the tile come first.
        """
        cell = 1 << level
        first, last = index * cell * TILE_CELLS, (index + 1) * cell * TILE_CELLS
        counter = lane_number - self.counters.first_lane
        if 0 <= counter < self.counters.lanes:
            return Tile(first, cell, *self.counters.tile(lane_number, first, last, cell))
        lane = self.lanes.get(lane_number)
        if lane is None:
            return Tile(first, cell, _NONE)
        number = max(place for place, stored in enumerate(lane.cells) if stored <= cell)
        within: list[Int64] = []
        reaching: list[int] = []
        for begin, end in self._row_bounds(lane, number):
            low, high = (begin + np.searchsorted(self._start[begin:end], [first, last])).tolist()
            within.append(np.arange(low, high))
            if low > begin:
                reaching.append(low - 1)
        items = merged(self._items(lane, number, np.concatenate(within)), cell)
        while len(items) > MOST_ITEMS:
            cell *= 2
            items = merged(items, cell)
        before = self._items(lane, number, np.array(reaching, np.int64))
        reach_in = (before.end > first) & (before.end - before.start >= 1 << level)
        return Tile(first, cell, joined([before.take(np.flatnonzero(reach_in)), items]))

    def at(self, lane_number: int, row: int, time_ns: int) -> int | None:
        """Return the slice that is open on a row at a time, or the last one before; None without one."""
        lane = self.lanes[lane_number]
        begin, end = self._row_bounds(lane, 0)[row]
        place = begin + int(np.searchsorted(self._start[begin:end], time_ns, side="right")) - 1
        return int(self._slice[place]) if place >= begin else None

    def neighbours(self, lane_number: int, row: int, number: int) -> tuple[int | None, int | None]:
        """Return the previous and the next slice on its row."""
        begin, end = self._row_bounds(self.lanes[lane_number], 0)[row]
        place = begin + int(np.searchsorted(self._start[begin:end], self.columns.ts[number]))
        while self._slice[place] != number:  # others may begin at the same time, with length 0
            place += 1
        before = int(self._slice[place - 1]) if place > begin else None
        return before, int(self._slice[place + 1]) if place + 1 < end else None

    def first_from(self, lane_number: int, row: int, first_ns: int, last_ns: int) -> int | None:
        """Return the first slice of a row that begins in a period, or at its start."""
        begin, end = self._row_bounds(self.lanes[lane_number], 0)[row]
        place = begin + int(np.searchsorted(self._start[begin:end], first_ns))
        inside = place < end and self._start[place] < max(last_ns, first_ns + 1)
        return int(self._slice[place]) if inside else None

    def slices(self, lane_number: int, first_ns: int, last_ns: int) -> Int32:
        """Return the slices of a lane between ``first_ns`` and ``last_ns``, also those that reach into it."""
        lane = self.lanes.get(lane_number)
        found = [np.empty(0, np.int32)]
        for begin, end in self._row_bounds(lane, 0) if lane is not None else []:
            low, high = (begin + np.searchsorted(self._start[begin:end], [first_ns, last_ns])).tolist()
            if low > begin and self._end_of(low - 1) > first_ns:
                low -= 1
            found.append(self._slice[low:high])
        return np.concatenate(found)

    def _end_of(self, place: int) -> int:
        number = self._slice[place]
        return int(self.columns.ts[number]) + int(self.columns.dur[number])

    def _row_bounds(self, lane: StoredLane, number: int) -> list[tuple[int, int]]:
        at = lane.offsets + number * (lane.rows + 1)
        return list(pairwise(self._offsets[at : at + lane.rows + 1].tolist()))

    def _items(self, lane: StoredLane, number: int, where: Int64) -> Items:
        at = lane.offsets + number * (lane.rows + 1)
        row = np.searchsorted(self._offsets[at : at + lane.rows + 1], where, side="right") - 1
        start, numbers = self._start[where], self._slice[where]
        if number:
            others = {
                name: column[where - self._slices_before[lane.lane]] for name, column in self._merged.items()
            }
        else:
            dur = self.columns.lengths(numbers)
            others = {"end": start + dur, "name": self.columns.name[numbers], "covered": dur, "leading": dur}
            others["count"] = np.ones(len(where), np.int32)
        return Items(row=row.astype(np.int32), start=start, slice=numbers, **others)


_NO_INT32, _NO_INT64 = np.empty(0, np.int32), np.empty(0, np.int64)
_NONE = Items(
    row=_NO_INT32,
    start=_NO_INT64,
    end=_NO_INT64,
    name=_NO_INT32,
    count=_NO_INT32,
    covered=_NO_INT64,
    leading=_NO_INT64,
    slice=_NO_INT32,
)


def _mapped(path: Path) -> Any:
    return np.load(path, mmap_mode="r", allow_pickle=False)


def rows_of(ts: Int64, dur: Int64) -> Int32:
    """Return the row of each slice of one lane (0: outermost). ``ts`` is sorted; of slices with one start the
    longer is first.

    In nested slices, the row is the number of slices open at the start. If slices only overlap (clocks,
    asynchronous ends), they get the first free row.
    """
    end = ts + dur
    lasting = dur > 0
    opened: Int64 = np.cumsum(lasting) - lasting
    closed = np.searchsorted(np.sort(end[lasting]), ts, side="right")
    row = (opened - closed).astype(np.int32)
    island = _islands(ts, end)
    for number in np.unique(island[_colliding(row, ts, end)]).tolist():
        first, last = np.searchsorted(island, [number, number + 1])
        row[first:last] = _first_fit(ts[first:last], end[first:last])
    return np.minimum(row, MOST_ROWS - 1)


def _islands(ts: Int64, end: Int64) -> Int64:
    """Return a rising number for each period in which a slice is always open."""
    starts = np.ones(len(ts), bool)
    starts[1:] = ts[1:] >= np.maximum.accumulate(end)[:-1]
    island: Int64 = np.cumsum(starts)
    return island


def _colliding(row: Int32, ts: Int64, end: Int64) -> Int64:
    """Return the slices that begin before the previous one on their row has ended."""
    order = np.argsort(row, kind="stable")
    lies_over = (row[order][1:] == row[order][:-1]) & (ts[order][1:] < end[order][:-1])
    colliding: Int64 = order[1:][lies_over]
    return colliding


def _first_fit(ts: Int64, end: Int64) -> list[int]:
    until: list[int] = []
    rows = []
    for start, stop in zip(ts.tolist(), end.tolist(), strict=True):
        row = next((row for row, busy in enumerate(until) if busy <= start), len(until))
        if row == len(until):
            # Deeper slices share the last row anyway; without a limit, each would compare with all earlier
            # ones.
            if row < MOST_ROWS:
                until.append(stop)
        else:
            until[row] = stop
        rows.append(row)
    return rows
