"""Compute the call tree of each thread from times alone."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from . import threads
from .columns import NOTHING, Bools, Columns, Int32, Int64, Whole, present
from .kinds import Kind, among


def parents(columns: Columns, kinds: Iterable[Kind]) -> Int32:
    """Return the innermost slice of ``kinds`` around the start of each slice, on the same lane; NOTHING
    without one.

    A child may end after its parent: asynchronous ends and clocks make slices that last longer than the slice
    around them. If two slices have one start, the longer one is outside (the columns' order).
    """
    found = np.full(len(columns), NOTHING, np.int32)
    outer = among(columns.kind, kinds)

    def find(lane: int) -> None:
        members = np.flatnonzero(columns.lane == lane).astype(np.int32)
        around = nearest_around(columns.ts[members], columns.dur[members], outer[members])
        inside = around != NOTHING
        found[members[inside]] = members[around[inside]]

    threads.each(find, present(len(columns.lanes), columns.lane[outer]).tolist())
    return found


def nearest_around(start: Int64, length: Whole, holds: Bools | None = None) -> Int32:
    """Return, for each slice of a lane, the last earlier slice that can contain it (any, without ``holds``)
    and has not ended.

    All slices search at once. A search that meets an ended slice continues with the result of that slice,
    because all slices between have ended too. So the steps double, and a few rounds are enough.
    """
    # A slice of length 0 contains the following slices of the same time.
    end = start + np.maximum(length, 1)
    found = np.arange(len(start), dtype=np.int32)
    holds = np.ones(len(start), bool) if holds is None else holds
    found[~holds] = NOTHING
    np.maximum.accumulate(found, out=found)
    found[1:] = found[:-1]
    found[:1] = NOTHING
    # A slice that begins after all earlier slices have ended is inside none of them.
    reach = np.maximum.accumulate(np.where(holds, end, start[:1]))
    found[1:][reach[:-1] <= start[1:]] = NOTHING
    del reach
    asking = np.flatnonzero((end[found] <= start) & (found != NOTHING)).astype(np.int32)
    while len(asking):
        onward = found[found[asking]]
        found[asking] = onward
        asking, onward = asking[onward != NOTHING], onward[onward != NOTHING]
        ended = end[onward] <= start[asking]
        asking = asking[ended]
    return found
