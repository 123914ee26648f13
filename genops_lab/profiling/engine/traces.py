"""One rank's trace, with data that several sums share. Each property is computed on first use."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from .columns import NOTHING, Columns, Int32, Int64, present
from .intervals import Intervals
from .kinds import Kind
from .nesting import parents
from .sums.operators import launchers, owners


class Trace:
    """The columns of one file, as the trace of ``rank``."""

    def __init__(self, columns: Columns, rank: int) -> None:
        self.columns = columns
        self.rank = rank

    @cached_property
    def around(self) -> Int32:
        """Return the innermost operator around each slice."""
        return parents(self.columns, [Kind.OPERATOR])

    @cached_property
    def device(self) -> Int64:
        """Return all slices that ran on a device, sorted by start."""
        return np.flatnonzero(self.columns.kind >= Kind.COMPUTE)

    @cached_property
    def launcher(self) -> Int32:
        """Return, for each slice of ``device``, the runtime call or else the operator that started it."""
        return launchers(self.columns, self.device)

    @cached_property
    def owner(self) -> Int32:
        """Return, for each slice, the operator that started it; NOTHING for host slices."""
        return self._of_all(owners(self.columns, self.around, self.device, self.launcher))

    @cached_property
    def call(self) -> Int32:
        """Return, for each slice, the runtime call that started it; NOTHING for host slices."""
        called = self.columns.kind[self.launcher] == Kind.RUNTIME
        return self._of_all(np.where(called, self.launcher, NOTHING).astype(np.int32))

    def find(self) -> None:
        """Compute all properties before several threads use them; otherwise each thread would compute
        them."""
        _ = self.owner, self.call, self.devices
        self.columns.rest()

    def _of_all(self, of_device: Int32) -> Int32:
        found = np.full(len(self.columns), NOTHING, np.int32)
        found[self.device] = of_device
        return found

    @cached_property
    def devices(self) -> dict[str, Int64]:
        """Return the slices of each device by its key, sorted by device number."""
        keys = [lane.device for lane in self.columns.lanes]
        lane = self.columns.lane[self.device]
        used = {keys[each] for each in present(len(keys), lane).tolist()}
        return {
            key: self.device[np.array([each == key for each in keys], bool)[lane]]
            for key in sorted(used, key=_natural)
        }

    def intervals(self, members: Int64) -> Intervals:
        """Return the times of the members."""
        start = self.columns.ts[members]
        return Intervals(start, start + self.columns.dur[members])

    def streams(self, members: Int64) -> dict[str, Int64]:
        """Return the positions among device slices of each stream in the trace, or of each thread where it
        names no streams."""
        names = [lane.stream or lane.thread for lane in self.columns.lanes]
        lane = self.columns.lane[members]
        used = dict.fromkeys(names[each] for each in present(len(names), lane).tolist())
        return {name: np.flatnonzero(np.array([each == name for each in names], bool)[lane]) for name in used}


def _natural(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdigit() else (1 << 30, key)
