"""Find the innermost slice around moments of a lane: call trees without a loop over events."""

from __future__ import annotations

import numpy as np

from ..columns import NOTHING, Bools, Columns, Int32, Int64
from ..nesting import nearest_around


class Enclosing:
    """``members`` (sorted positions in the columns) as a forest; ``up`` gives parents that are known without
    times."""

    def __init__(self, columns: Columns, members: Int64, up: Int64 | None = None) -> None:
        lasting = columns.dur[members] > 0
        self.members: Int64 = members[lasting]
        self._start, self._end = columns.ts[self.members], columns.ends(self.members)
        lanes = columns.lane[self.members]
        self._by_lane = {int(lane): np.flatnonzero(lanes == lane) for lane in np.unique(lanes)}
        #: The parent of each member, as a position in ``members``; NOTHING for outermost members.
        self.up: Int64 = np.full(len(self.members), NOTHING, np.int64)
        if up is None:
            for places in self._by_lane.values():
                inside = nearest_around(self._start[places], self._end[places] - self._start[places])
                self.up[places] = np.where(inside == NOTHING, NOTHING, places[inside])
        elif len(members):
            # A slice of length 0 contains nothing, so it has no children to lose.
            place = np.cumsum(lasting) - 1
            above = up[lasting]
            kept = (above != NOTHING) & lasting[above]
            self.up = np.where(kept, place[above], NOTHING)

    def __len__(self) -> int:
        return len(self.members)

    @property
    def lanes(self) -> list[int]:
        """Return the lanes of the members."""
        return list(self._by_lane)

    def around(self, lane: Int32, at: Int64) -> Int64:
        """Return, for each moment, the innermost member around it, as a position in ``members``; else
        NOTHING."""
        return self._climb(self.before(lane, at), at)

    def before(self, lane: Int32, at: Int64) -> Int64:
        """Return, for each moment, the member that began last, ended or not, as a position in ``members``;
        else NOTHING."""
        found = np.full(len(at), NOTHING, np.int64)
        for number, places in self._by_lane.items():
            asked = np.flatnonzero(lane == number)
            if len(asked):
                last = np.searchsorted(self._start[places], at[asked], side="right") - 1
                found[asked] = np.where(last < 0, NOTHING, places[last])
        return found

    def _climb(self, candidate: Int64, at: Int64) -> Int64:
        ended = np.flatnonzero(candidate != NOTHING)
        while len(ended := ended[self._end[candidate[ended]] <= at[ended]]):
            candidate[ended] = self.up[candidate[ended]]
            ended = ended[candidate[ended] != NOTHING]
        return candidate

    def nearest(self, wanted: Bools) -> Int64:
        """Return, for each member, itself or the innermost member around it that is ``wanted`` (booleans);
        else NOTHING."""
        everything = np.arange(len(self.members))
        # Each member points to the next candidate; pointers double their reach until all have arrived.
        after = np.where(wanted, everything, self.up)
        while True:
            further = np.where(after == NOTHING, NOTHING, after[after])
            if np.array_equal(further, after):
                break
            after = further
        arrived = (after != NOTHING) & wanted[after]
        return np.where(arrived, after, NOTHING)

    def own_times(self, chosen: Int64) -> Int64:
        """Return the time of each ``chosen`` member without the chosen members inside it (positions in
        members)."""
        wanted = np.zeros(len(self.members), bool)
        wanted[chosen] = True
        nearest = self.nearest(wanted)
        above = self.up[chosen]
        outer = np.where(above == NOTHING, NOTHING, nearest[above])
        inside = outer != NOTHING
        own = np.zeros(len(self.members), np.int64)
        own[chosen] = self._end[chosen] - self._start[chosen]
        taken = np.minimum(self._end[chosen[inside]], self._end[outer[inside]]) - self._start[chosen[inside]]
        np.subtract.at(own, outer[inside], np.maximum(taken, 0))
        return own[chosen]
