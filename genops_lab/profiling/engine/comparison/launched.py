"""Device work by kernel, and by the operators and shapes that launched it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ...models import KernelTime
from ..columns import Columns, Int64
from ..nesting import NOTHING
from ..traces import Trace

#: An operator's name and its inputs' shapes, as the trace writes them; "" where it does not.
Launcher = tuple[str, str]


class Launched(NamedTuple):
    """A kernel with one grid and block."""

    name: str
    grid: str
    block: str


@dataclass
class Kernel:
    """All launches of one kernel (or of one kind of copy or fill)."""

    count: int = 0
    total_ns: int = 0
    #: Nanoseconds by who launched them, where that is known.
    launchers: dict[Launcher, int] = field(default_factory=dict)


class KernelTally:
    """Device work by name, over all traces that are added."""

    def __init__(self) -> None:
        self.kernels: dict[str, Kernel] = {}
        #: The same of what was measured launch by launch: nanoseconds and launches, in the order of the first ones.
        self.launched: dict[Launched, tuple[int, int]] = {}

    @staticmethod
    def of(found: Iterable[KernelTime]) -> KernelTally:
        """From a summary, which tells of each kernel one operator and no shapes."""
        tally = KernelTally()
        for each in found:
            total = round(each.total_us * 1000)
            launchers = {(each.operator, ""): total} if each.operator else {}
            tally.kernels[each.name] = Kernel(each.count, total, launchers)
        return tally

    def add(self, trace: Trace) -> None:
        """Count a trace's device work."""
        columns, device = trace.columns, trace.device
        owner = trace.owner[device].astype(np.int64)
        known = owner != NOTHING
        operator = np.where(known, columns.name[np.maximum(owner, 0)], NOTHING)
        shapes = np.where(known, _shapes(columns)[np.maximum(owner, 0)], NOTHING)
        keys = np.column_stack([columns.name[device], operator, shapes])
        rows, place, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
        totals = np.zeros(len(rows), np.int64)
        np.add.at(totals, place.reshape(-1), columns.lengths(device))
        for (name, by, dims), count, total in zip(
            rows.tolist(), counts.tolist(), totals.tolist(), strict=True
        ):
            kernel = self.kernels.setdefault(columns.names[name], Kernel())
            kernel.count += count
            kernel.total_ns += total
            if by != NOTHING:
                launcher = columns.names[by], columns.texts[dims] if dims != NOTHING else ""
                kernel.launchers[launcher] = kernel.launchers.get(launcher, 0) + total
        self._add_launched(trace)

    def _add_launched(self, trace: Trace) -> None:
        columns = trace.columns
        numbers = columns.sparse.get("launch")
        if columns.measured is None or numbers is None:
            return
        lengths = columns.lengths(numbers.index.astype(np.int64)).tolist()
        for number, length in zip(numbers.value.tolist(), lengths, strict=True):
            launch = columns.measured.launches[number]
            key = Launched(launch.name, launch.grid, launch.block)
            total, count = self.launched.get(key, (0, 0))
            self.launched[key] = total + length, count + 1


def _shapes(columns: Columns) -> Int64:
    """For each slice the position of its shapes among the texts; NOTHING where it has none."""
    found = np.full(len(columns) or 1, NOTHING, np.int64)
    dims = columns.sparse.get("dims")
    if dims is not None:
        found[dims.index] = dims.value
    return found
