"""One rank's trace with what the sums share: found once, when first asked for."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .columns import NOTHING, Columns, Int32, Int64, present
from .intervals import Intervals
from .kinds import Kind
from .nesting import parents
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
        """For each of ``device`` what started it on the host: the runtime's call, or else the operator."""
        return launchers(self.columns, self.device)

    @cached_property
    def owner(self) -> Int32:
        """For each slice (of all) the operator that started it; NOTHING on the host."""
        return self._of_all(owners(self.columns, self.around, self.device, self.launcher))

    @cached_property
    def call(self) -> Int32:
        """For each slice (of all) the runtime's call that started it; NOTHING on the host."""
        called = self.columns.kind[self.launcher] == Kind.RUNTIME
        return self._of_all(np.where(called, self.launcher, NOTHING).astype(np.int32))

    def find(self) -> None:
        """All of this, before several threads ask for it: each would find it for itself."""
        _ = self.owner, self.call, self.devices
        self.columns.rest()

    def _of_all(self, of_device: Int32) -> Int32:
        found = np.full(len(self.columns), NOTHING, np.int32)
        found[self.device] = of_device
        return found

    @cached_property
    def devices(self) -> dict[str, Int64]:
        """The slices of each device, by its key; devices in the order of their numbers."""
        keys = [lane.device for lane in self.columns.lanes]
        lane = self.columns.lane[self.device]
        used = {keys[each] for each in present(len(keys), lane).tolist()}
        return {
            key: self.device[np.array([each == key for each in keys], bool)[lane]]
            for key in sorted(used, key=_natural)
        }

    def intervals(self, members: Int64) -> Intervals:
        """When the members ran."""
        start = self.columns.ts[members]
        return Intervals(start, start + self.columns.dur[members])

    def streams(self, members: Int64) -> dict[str, Int64]:
        """The places among device slices of each stream, as the trace has it; of a thread where it names none."""
        names = [lane.stream or lane.thread for lane in self.columns.lanes]
        lane = self.columns.lane[members]
        used = dict.fromkeys(names[each] for each in present(len(names), lane).tolist())
        return {name: np.flatnonzero(np.array([each == name for each in names], bool)[lane]) for name in used}


def _natural(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdigit() else (1 << 30, key)
