"""Classify the work of host threads: data loading, waiting, copying, launching, or plain Python."""

from __future__ import annotations

import re
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..columns import NOTHING, Bools, Int64, present, without
from ..intervals import Intervals, union
from ..kinds import Kind, among
from ..traces import Trace

_DATALOADER = re.compile(r"enumerate\(DataLoader\)|utils/data/dataloader\.py\(\d+\): __next__")
#: Calls that return when the device is done, such as cudaMemcpy without Async and its HIP form.
_SYNCHRONIZE = re.compile(r"(cuda|hip|cu|mtia|synapse|ze|ur)\w*Synchronize", re.IGNORECASE)
_COPY = re.compile(r"(cuda|hip|cu)Memcpy|urEnqueueUSMMemcpy|runFunction - copy", re.IGNORECASE)
#: Operators whose result depends on values on the device, so that the host waits for them.
_READS_VALUES = re.compile(
    r"aten::(item|_local_scalar_dense|nonzero|is_nonzero|masked_select|unique\w*|_unique2|equal)"
)
_COPIES_TENSORS = re.compile(r"aten::(copy_|to|_to_copy|_copy_from|_copy_from_and_resize)")
#: Collectives that block the host until they are done.
_WAITS_FOR_RANKS = re.compile(r"gloo:|c10d::(barrier|monitored_barrier)|\bwait_tensor\b|Work::wait|mpi:")


#: Slices per block of work.
BLOCK = 1 << 18


class Activity(NamedTuple):
    """The times of one activity of a thread."""

    code: str
    times: Intervals


class Host:
    """The host side of a trace, by activity."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self._activities: dict[int, list[Activity]] = {}

    def named(self, pattern: re.Pattern[str], *kinds: Kind) -> Int64:
        """Return the slices of ``kinds`` whose name matches the pattern."""
        columns = self.trace.columns
        fits = columns.named(pattern)
        if not fits.any():
            return np.empty(0, np.int64)
        found = np.flatnonzero(fits[columns.name])
        return found[among(columns.kind[found], kinds)]

    @cached_property
    def dataloading(self) -> Int64:
        """Return waits for the next batch."""
        return self.named(_DATALOADER, Kind.ANNOTATION, Kind.OPERATOR, Kind.PYTHON)

    @cached_property
    def synchronizing(self) -> Int64:
        """Return calls that wait for the device, also those inside copies."""
        return self.named(_SYNCHRONIZE, Kind.RUNTIME)

    @cached_property
    def copying(self) -> Int64:
        """Return copying calls, and the waits inside copies of tensors."""
        copies = self.named(_COPY, Kind.RUNTIME)
        waits = self.synchronizing[self._inside(self.synchronizing, _COPIES_TENSORS)]
        copies = copies[~self._inside(copies, _READS_VALUES)]
        return present(len(self.trace.columns), copies, waits)

    @cached_property
    def waiting(self) -> Int64:
        """Return waits for the device outside copies: explicit ones, and operators that read values."""
        reads = self.named(_READS_VALUES, Kind.OPERATOR)
        size = len(self.trace.columns)
        return present(size, without(size, self.synchronizing, self.copying), reads)

    @cached_property
    def communicating(self) -> Int64:
        """Return waits for other ranks."""
        return self.named(_WAITS_FOR_RANKS, Kind.OPERATOR, Kind.ANNOTATION)

    def activities(self, lane: int) -> list[Activity]:
        """Return the activities of a thread; where two overlap, the earlier in the list counts."""
        if lane not in self._activities:
            columns = self.trace.columns
            found = []
            for code, members in (
                ("dataloader", self.dataloading),
                ("communication", self.communicating),
                ("copy", self.copying),
                ("synchronization", self.waiting),
            ):
                mine = members[columns.lane[members] == lane]
                found.append(Activity(code, union(self.trace.intervals(mine))))
            self._activities[lane] = [*found, Activity("launch", self._launching(lane))]
        return self._activities[lane]

    def _launching(self, lane: int) -> Intervals:
        """Return the times when the thread ran operators and calls, which launch device work.

        These are most of a trace, so their union is computed block by block.
        """
        columns = self.trace.columns
        found = []
        for begin in range(0, len(columns), BLOCK):
            block = slice(begin, begin + BLOCK)
            kinds = columns.kind[block]
            works = (kinds == Kind.OPERATOR) & ~self._steps[columns.name[block]] | (kinds == Kind.RUNTIME)
            mine = np.flatnonzero(works & (columns.lane[block] == lane)) + begin
            found.append(union(self.trace.intervals(mine)))
        starts, ends = zip(*found, strict=True) if found else ((columns.ts,), (columns.ts,))
        return union(Intervals(np.concatenate(starts), np.concatenate(ends)))

    def _inside(self, members: Int64, pattern: re.Pattern[str]) -> Bools:
        """Return which members are inside an operator of such a name, directly or further out."""
        columns, around = self.trace.columns, self.trace.around
        fits = np.array([pattern.fullmatch(name) is not None for name in columns.names], bool)
        found = np.zeros(len(members), bool)
        above = around[members].astype(np.int64)
        while (climbing := above != NOTHING).any():
            found |= climbing & fits[columns.name[above]]
            above = np.where(climbing, around[above], NOTHING)
        return found

    @cached_property
    def _steps(self) -> Bools:
        """Return the steps, by name. Old traces record annotations as operators, which also contain the
        thread's Python."""
        outer = re.compile(r"ProfilerStep#|Optimizer\.(step|zero_grad)#|enumerate\(DataLoader\)")
        return np.array([outer.match(name) is not None for name in self.trace.columns.names], bool)


def covered(times: Intervals, at: Int64) -> Int64:
    """Return how much of ``times`` (a union) is before each of ``at``."""
    if not len(times.start):
        return np.zeros(len(at), np.int64)
    before = np.concatenate([[0], np.cumsum(times.end - times.start)])
    place = np.searchsorted(times.start, at, side="right")
    inside = np.minimum(at, times.end[np.maximum(place - 1, 0)]) - times.start[np.maximum(place - 1, 0)]
    found: Int64 = np.where(place == 0, 0, before[np.maximum(place - 1, 0)] + inside)
    return found


def overlap(times: Intervals, begin: Int64, end: Int64) -> Int64:
    """Return how much of ``times`` (a union) is in each period from ``begin`` to ``end``."""
    return covered(times, end) - covered(times, begin)
