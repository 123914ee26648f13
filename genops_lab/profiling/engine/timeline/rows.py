"""On which row of its lane a slice is drawn: below what it lies in, never over another."""

from __future__ import annotations

import numpy as np

from ..columns import Int32, Int64

#: What is nested deeper shares the last row.
MOST_ROWS = 256


def rows_of(ts: Int64, dur: Int64) -> Int32:
    """The row of each slice of one lane (0: outermost). ``ts`` rises; of slices with one start the longer is first.

    How many slices are open at a start is its depth, where they are nested. Where they only overlap (clocks,
    asynchronous ends), the slices around get the first row that is free.
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
    """A number for each stretch of time in which always something is open; it rises."""
    starts = np.ones(len(ts), bool)
    starts[1:] = ts[1:] >= np.maximum.accumulate(end)[:-1]
    island: Int64 = np.cumsum(starts)
    return island


def _colliding(row: Int32, ts: Int64, end: Int64) -> Int64:
    """Slices that begin before the one on their row has ended."""
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
            # Deeper ones share the last row anyway; without a bound each would look at all before it.
            if row < MOST_ROWS:
                until.append(stop)
        else:
            until[row] = stop
        rows.append(row)
    return rows
