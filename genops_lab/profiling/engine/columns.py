"""The columns of a trace: readers fill them, and all other modules read them.

Arrays may be read-only, and large ones may be mapped from files: copy an array before you change it.

Times are integers of nanoseconds after ``origin_ns``, because a double cannot represent nanoseconds since
1970. The columns of slices take 29 bytes per event, or 41 where their numbers are large. Values that only
some events have are stored apart, with the indices of these events.
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

# Helper processes that only read should start fast, and need no wire types.
if TYPE_CHECKING:
    from .nsight_compute.launch import Measured

Int64 = npt.NDArray[np.int64]
Int32 = npt.NDArray[np.int32]
Int8 = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
#: int32 where all numbers fit, else int64; results computed from it are int64.
Whole = npt.NDArray[np.int32] | npt.NDArray[np.int64]

#: For columns of this size, freeing the mapped memory is worth reading it again page by page.
LARGE_BYTES = 16 << 20
#: Value of an event without such an id.
NO_ID = -1
#: Value where there is no slice, for example no slice around or no launch.
NOTHING = -1


class Lane(NamedTuple):
    """A lane of consecutive slices: a thread, or a stream of a device."""

    process: str
    thread: str
    #: The name in the trace ("stream 7", "pt_main_thread"); "" where it has none.
    label: str = ""
    #: "" on the host.
    device: str = ""
    stream: str = ""


@dataclass(frozen=True)
class Sparse:
    """A value that only some slices have. ``value[n]`` belongs to slice ``index[n]``; ``index`` is sorted."""

    index: Int32
    value: Int64

    def __len__(self) -> int:
        return len(self.index)


#: Names of the sparse columns. The values of the first group are numbers, those of the second are positions
#: in ``texts``.
NUMBERS = (
    "sequence",  # autograd's sequence number, of an operator and of its backward operator
    "forward_thread",
    "bytes",  # of a copy
    "python_id",
    "python_parent",
    "elements",  # of a collective's input
    "group_size",  # ranks in a collective
    "graph",  # of the CUDA graph of a kernel
    "graph_node",
    "occupancy",  # estimated, in per mille
    "shared_memory",  # bytes per block
    "registers",  # per thread
    "launch",  # of a report of Nsight Compute: its number in ``measured``
)
TEXTS = (
    "dims",  # JSON, as in the trace: [[64, 3, 224, 224], []]
    "strides",
    "types",  # JSON: ["float", "c10::Half"]
    "concrete",  # JSON: values of scalar inputs
    "grid",
    "block",
    "collective",
    "dtype",  # of a collective
    "module",  # torch.nn's, where the trace has it
    "stack",  # JSON: Python calls, innermost first, separated by ;
)


@dataclass(frozen=True)
class Allocations:
    """Memory events, sorted by time. ``bytes`` is negative when memory is freed."""

    ts: Int64
    #: Position of the thread in ``Columns.lanes``.
    lane: Int32
    #: "cpu" or a device's key, by position in ``devices``.
    device: Int32
    bytes: Int64
    address: Int64
    #: The allocator's totals after this event; NO_ID: not known.
    allocated: Int64
    reserved: Int64
    devices: list[str]


class CounterSeries(NamedTuple):
    """One line of a counter; one event of a trace may have values for several."""

    process: str
    #: With its id, where the trace has one.
    counter: str
    series: str


@dataclass(frozen=True)
class Counters:
    """Samples of counters, sorted by time. Those of ``series[n]`` are ``bounds[n]`` to ``bounds[n + 1]``. A
    sample is valid until the next one. Some may be before the first slice."""

    ts: Int64
    value: Float64
    series: list[CounterSeries]
    bounds: list[int]

    def __len__(self) -> int:
        return len(self.ts)


class MarkedCell(NamedTuple):
    """A cell or a file that markers name: its number in the notebook, and the text of known lines."""

    name: str
    number: int | None
    lines: dict[int, str]


@dataclass(frozen=True)
class Columns:
    """The complete slices of one file, sorted by start; an outer slice comes before those inside it."""

    ts: Int64
    #: Up to 2.1 s they fit into int32; do not add two of them without a wider type.
    dur: Whole
    #: Position in ``names``.
    name: Int32
    #: Position in ``lanes``.
    lane: Int32
    kind: Int8
    #: Links a runtime call to the work that it started.
    correlation: Whole
    #: Links an operator to the calls inside it, in some traces.
    external: Whole
    names: list[str]
    lanes: list[Lane]
    sparse: Mapping[str, Sparse] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    allocations: Allocations | None = None
    counters: Counters | None = None
    #: Nanoseconds since 1970 at ``ts`` 0.
    origin_ns: int = 0
    #: All events of the file, also those that are not slices.
    events: int = 0
    rank: int | None = None
    world_size: int | None = None
    #: As in Kineto: name, totalGlobalMem, numSms, computeMajor, ...
    device_properties: list[dict[str, Any]] = field(default_factory=list)
    #: The cells that markers of ``%%profile`` name.
    cells: list[MarkedCell] = field(default_factory=list)
    #: Nsight Compute's measurements of the kernels. The clock is artificial then: kernels follow each other
    #: without gaps.
    measured: Measured | None = None
    #: Sentences for users about data that could not be read.
    damage: list[str] = field(default_factory=list)
    #: Whether the file is cut off or corrupt.
    incomplete: bool = False

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def has_clock(self) -> bool:
        """Return whether the times between slices, and those on the host, were measured."""
        return self.measured is None

    @property
    def end(self) -> Int64:
        return self.ts + self.dur

    def ends(self, members: Int64 | Int32) -> Int64:
        """Return the end times of ``members``."""
        found: Int64 = self.ts[members] + self.dur[members]
        return found

    def lengths(self, members: Int64 | Int32) -> Int64:
        """Return the lengths of ``members`` in a type for sums: NumPy's ``add.at`` is 20 times slower between
        types."""
        return self.dur[members].astype(np.int64)

    def named(self, pattern: re.Pattern[str]) -> Bools:
        """Return which of ``names`` match the pattern."""
        return np.array([pattern.search(name) is not None for name in self.names], bool)

    def values(self, column: str, slices: Int64 | Int32, otherwise: int = NOTHING) -> Int64:
        """Return the value of each of ``slices`` in a sparse column, or ``otherwise`` where it has none."""
        found = np.full(len(slices), otherwise, np.int64)
        sparse = self.sparse.get(column)
        if sparse is not None and len(sparse):
            place = np.minimum(np.searchsorted(sparse.index, slices), len(sparse) - 1)
            there = sparse.index[place] == slices
            found[there] = sparse.value[place[there]]
        return found

    def rest(self) -> None:
        """Free the memory of columns that are mapped from files; they are read again on use. For large
        columns, also free other unused memory."""
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
    """Sum the values by key; keys are below ``size``."""
    found = np.zeros(size, np.int64)
    np.add.at(found, keys, values)
    return found


def present(size: int, *members: Positions) -> Int64:
    """Return the slices that are in any of ``members``."""
    marks = np.zeros(size, bool)
    for each in members:
        marks[each] = True
    return np.flatnonzero(marks)


def without(size: int, members: Positions, others: Positions) -> Int64:
    """Return ``members`` without the slices in ``others``."""
    marks = np.zeros(size, bool)
    marks[members] = True
    marks[others] = False
    return np.flatnonzero(marks)


def common(size: int, members: Positions, others: Positions) -> Int64:
    """Return the slices that are in both."""
    marks = np.zeros(size, bool)
    marks[others] = True
    return present(size, members[marks[members]])
