"""What lies inside what: the call tree of each thread, from times alone."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from . import threads
from .columns import NOTHING, Bools, Columns, Int32, Int64, Whole, present
from .kinds import Kind, among


def parents(columns: Columns, kinds: Iterable[Kind]) -> Int32:
    """The innermost slice of ``kinds`` around the start of each slice, on the same lane; NOTHING without one.

    Its own child is not asked to end before it: asynchronous ends and clocks make slices that outlast what they
    lie in. Of slices with one start the longer is outside (the columns' order).
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
    """For each slice of a lane the last before it that holds (all do without ``holds``) and has not ended.

    All ask at once: who finds one that has ended goes on with the one that that one has come to, since all between
    have ended too. So the steps double, and after a few rounds nobody asks.
    """
    # A slice without length holds what follows it at the same time.
    end = start + np.maximum(length, 1)
    found = np.arange(len(start), dtype=np.int32)
    holds = np.ones(len(start), bool) if holds is None else holds
    found[~holds] = NOTHING
    np.maximum.accumulate(found, out=found)
    found[1:] = found[:-1]
    found[:1] = NOTHING
    # What begins when all before it have ended lies in nothing, and need not ask them.
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
