"""What lies inside what: the call tree of each thread, from times alone."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .columns import Columns, Int32
from .kinds import Kind

#: Stands where nothing lies around a slice.
NOTHING = -1


def parents(columns: Columns, kinds: Iterable[Kind]) -> Int32:
    """The innermost slice of ``kinds`` around the start of each slice, on the same lane; NOTHING without one.

    Its own child is not asked to end before it: asynchronous ends and clocks make slices that outlast what they
    lie in. Of slices with one start the longer is outside (the columns' order).
    """
    found = np.full(len(columns), NOTHING, np.int32)
    outer = np.isin(columns.kind, [int(kind) for kind in kinds])
    for lane in np.unique(columns.lane[outer]):
        members = np.flatnonzero(columns.lane == lane)
        starts, ends = columns.ts[members].tolist(), columns.end[members].tolist()
        holds = outer[members].tolist()
        inside = []
        stack: list[int] = []
        for place, start in enumerate(starts):
            while stack and ends[stack[-1]] <= start and not (ends[stack[-1]] == start == starts[place - 1]):
                stack.pop()
            inside.append(stack[-1] if stack else NOTHING)
            if holds[place]:
                stack.append(place)
        where = np.array(inside, np.int64)
        found[members] = np.where(where == NOTHING, NOTHING, members[where])
    return found
