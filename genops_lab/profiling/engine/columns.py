"""A trace as columns: what every reader fills and every question is asked of.

Arrays may be read-only, and large ones lie in files: whoever changes one copies it before.

Times are integers of nanoseconds after ``origin_ns``; a double cannot hold nanoseconds since 1970. The columns
of slices take 29 bytes an event, 41 where their numbers are large; what only some events have lies apart, beside the
indices of those that have it.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import heap

# Programs that only read are waited for, and need no wire types.
if TYPE_CHECKING:
    from .nsight_compute.launch import Measured

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int8 = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
#: int32 where all its numbers fit, else int64: what is computed of it goes on in int64.
Whole = npt.NDArray[np.int32] | npt.NDArray[np.int64]

#: Columns so large are worth giving back what was freed while they were asked: it is taken again page by page.
LARGE_BYTES = 16 << 20
#: Stands where an event has no such id.
NO_ID = -1
#: Stands where there is no slice: nothing lies around it, nothing launched it.
NOTHING = -1


class Lane(NamedTuple):
    """Where slices lie one after the other: a thread, or a stream of a device."""

    process: str
    thread: str
    #: As the trace names it ("stream 7", "pt_main_thread"); "" where it does not.
    label: str = ""
    #: "" on the host.
    device: str = ""
    stream: str = ""


@dataclass(frozen=True)
class Sparse:
    """What some slices have. ``value[n]`` belongs to slice ``index[n]``; ``index`` rises."""

    index: Int32
    value: Int64

    def __len__(self) -> int:
        return len(self.index)


#: Names of the sparse columns. The values of the first are numbers, those of the second positions in ``texts``.
NUMBERS = (
    "sequence",  # autograd's number, of an operator and of the backward operator that belongs to it
    "forward_thread",
    "bytes",  # of a copy
    "python_id",
    "python_parent",
    "elements",  # of a collective's input
    "group_size",  # ranks in a collective
    "graph",  # of the CUDA graph that a kernel belongs to
    "graph_node",
    "occupancy",  # estimated, in per mille
    "shared_memory",  # bytes a block
    "registers",  # a thread
    "launch",  # of a report of Nsight Compute: its number in ``measured``
)
TEXTS = (
    "dims",  # JSON, as the trace has it: [[64, 3, 224, 224], []]
    "strides",
    "types",  # JSON: ["float", "c10::Half"]
    "concrete",  # JSON: values of scalar inputs
    "grid",
    "block",
    "collective",
    "dtype",  # of a collective
    "module",  # torch.nn's, where the trace tells it
    "stack",  # JSON: calls of Python, the innermost first, with ; between them
)


@dataclass(frozen=True)
class Allocations:
    """Memory events in the order of their times. ``bytes`` is below 0 when memory is given back."""

    ts: Int64
    #: Position in ``Columns.lanes`` of the thread.
    lane: Int32
    #: "cpu" or a device's key, by position in ``devices``.
    device: Int32
    bytes: Int64
    address: Int64
    #: As the allocator has them after this one; NO_ID: not told.
    allocated: Int64
    reserved: Int64
    devices: list[str]


class CounterSeries(NamedTuple):
    """One of the lines of a counter: one event of a trace may tell several."""

    process: str
    #: With its id, where the trace has one.
    counter: str
    series: str


@dataclass(frozen=True)
class Counters:
    """Samples of counters. Those of ``series[n]`` are ``bounds[n]`` to ``bounds[n + 1]``, in the order of their times;
    each holds until the next. Some may lie before the first slice."""

    ts: Int64
    value: Float64
    series: list[CounterSeries]
    bounds: list[int]

    def __len__(self) -> int:
        return len(self.ts)


class MarkedCell(NamedTuple):
    """A cell, or a file, that markers name: how the notebook counts it, and the text of lines that are known."""

    name: str
    number: int | None
    lines: dict[int, str]


@dataclass(frozen=True)
class Columns:
    """One file's complete slices in the order of their starts (an outer one before those inside it)."""

    ts: Int64
    #: To 2.1 s they fit into int32, of which two must not be added.
    dur: Whole
    #: Position in ``names``.
    name: Int32
    #: Position in ``lanes``.
    lane: Int32
    kind: Int8
    #: Ties a runtime's call to what it started.
    correlation: Whole
    #: Ties an operator to the calls inside it, in some traces.
    external: Whole
    names: list[str]
    lanes: list[Lane]
    sparse: Mapping[str, Sparse] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    allocations: Allocations | None = None
    counters: Counters | None = None
    #: Nanoseconds that ``ts`` 0 stands for.
    origin_ns: int = 0
    #: All events of the file, also those that are no slices.
    events: int = 0
    rank: int | None = None
    world_size: int | None = None
    #: As Kineto tells them: name, totalGlobalMem, numSms, computeMajor, ...
    device_properties: list[dict[str, Any]] = field(default_factory=list)
    #: What the markers of ``%%profile`` stand for.
    cells: list[MarkedCell] = field(default_factory=list)
    #: What Nsight Compute measured of the kernels. Then the clock is made up: they lie end to end.
    measured: Measured | None = None
    #: Sentences for people: what could not be read.
    damage: list[str] = field(default_factory=list)
    #: Whether the file is cut off or corrupt.
    incomplete: bool = False

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def has_clock(self) -> bool:
        """Whether the times between slices, and those on the host, were measured."""
        return self.measured is None

    @property
    def end(self) -> Int64:
        return self.ts + self.dur

    def ends(self, members: Int64 | Int32) -> Int64:
        """When ``members`` ended."""
        found: Int64 = self.ts[members] + self.dur[members]
        return found

    def lengths(self, members: Int64 | Int32) -> Int64:
        """How long ``members`` lasted, to be added: NumPy's ``add.at`` is 20 times slower between types."""
        return self.dur[members].astype(np.int64)

    def named(self, pattern: re.Pattern[str]) -> Bools:
        """Which of ``names`` have the pattern."""
        return np.array([pattern.search(name) is not None for name in self.names], bool)

    def values(self, column: str, slices: Int64 | Int32, otherwise: int = NOTHING) -> Int64:
        """What each of ``slices`` has in a sparse column, ``otherwise`` where it has nothing."""
        found = np.full(len(slices), otherwise, np.int64)
        sparse = self.sparse.get(column)
        if sparse is not None and len(sparse):
            place = np.minimum(np.searchsorted(sparse.index, slices), len(sparse) - 1)
            there = sparse.index[place] == slices
            found[there] = sparse.value[place[there]]
        return found

    def rest(self) -> None:
        """Give back the memory of columns that lie in files (they are read again where they are asked for); of large
        ones also what was freed beside them."""
        mapped = [each for each in self._arrays() if isinstance(each.base, np.memmap)]
        if hasattr(mmap, "MADV_DONTNEED"):
            for array in mapped:
                array.base._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[union-attr]
        if sum(array.nbytes for array in mapped) > LARGE_BYTES:
            heap.give_back()

    def _arrays(self) -> Iterator[npt.NDArray[Any]]:
        for holder in (self, *self.sparse.values(), self.allocations, self.counters):
            if holder is not None:
                yield from (each for each in vars(holder).values() if isinstance(each, np.ndarray))


Positions = npt.NDArray[np.signedinteger[Any]]


def summed(keys: Positions, values: Int64 | Int32, size: int) -> Int64:
    """The sum of the values of each key, which is below ``size``."""
    found = np.zeros(size, np.int64)
    np.add.at(found, keys, values)
    return found


def present(size: int, *members: Positions) -> Int64:
    """Those that are in any of ``members``."""
    marks = np.zeros(size, bool)
    for each in members:
        marks[each] = True
    return np.flatnonzero(marks)


def without(size: int, members: Positions, others: Positions) -> Int64:
    """Those of ``members`` that are not in ``others``."""
    marks = np.zeros(size, bool)
    marks[members] = True
    marks[others] = False
    return np.flatnonzero(marks)


def common(size: int, members: Positions, others: Positions) -> Int64:
    """Those that are in both."""
    marks = np.zeros(size, bool)
    marks[others] = True
    return present(size, members[marks[members]])
