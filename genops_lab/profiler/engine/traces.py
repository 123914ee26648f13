"""One rank's trace with what the sums share: found once, when first asked for."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .columns import Columns, Int32, Int64
from .intervals import Intervals
from .kinds import Kind
from .nesting import NOTHING, parents
from .sums.launching import launching_calls
from .sums.operators import launchers, owners


class Trace:
    """Columns of one file, as the trace of ``rank``."""

    def __init__(self, columns: Columns, rank: int) -> None:
        self.columns = columns
        self.rank = rank

    @cached_property
    def around(self) -> Int32:
        """The innermost operator around each slice."""
        return parents(self.columns, [Kind.OPERATOR])

    @cached_property
    def device(self) -> Int64:
        """All slices that ran on a device, in the order of their starts."""
        return np.flatnonzero(self.columns.kind >= Kind.COMPUTE)

    @cached_property
    def launcher(self) -> Int32:
        """For each slice on a device what started it on the host: the runtime's call, or else the operator."""
        return launchers(self.columns)

    @cached_property
    def owner(self) -> Int32:
        """For each slice on a device the operator that started it."""
        return owners(self.columns, self.around, self.launcher)

    @cached_property
    def call(self) -> Int32:
        """For each slice (of all) the runtime's call that started it; NOTHING on the host."""
        found = np.full(len(self.columns), NOTHING, np.int32)
        found[self.device] = launching_calls(self.columns, self.device)
        return found

    @cached_property
    def devices(self) -> dict[str, Int64]:
        """The slices of each device, by its key; devices in the order of their numbers."""
        keys = [lane.device for lane in self.columns.lanes]
        lane = self.columns.lane[self.device]
        used = {keys[each] for each in np.unique(lane).tolist()}
        return {
            key: self.device[np.array([each == key for each in keys], bool)[lane]]
            for key in sorted(used, key=_natural)
        }

    def intervals(self, members: Int64) -> Intervals:
        """When the members ran."""
        start = self.columns.ts[members]
        return Intervals(start, start + self.columns.dur[members])

    def stream(self, lane: int) -> str:
        """A device's stream as the trace has it; the thread where it names none."""
        found = self.columns.lanes[lane]
        return found.stream or found.thread


def _natural(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdigit() else (1 << 30, key)
