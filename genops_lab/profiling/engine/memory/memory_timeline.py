"""Record when each block was in use, so that memory is known at any moment and not only at the peak.

A moment is the number of an event. It means the memory in use after that event. The memory at a moment is a
mask over the blocks and a sum by line.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..columns import Bools, Float64, Int8, Int32, Int64
from .owners import BEFORE, CATEGORIES, Owner

#: Buckets of a timeline; each gives at most four points.
BUCKETS = 500


def kept(values: Int64, buckets: int = BUCKETS) -> npt.NDArray[np.intp]:
    """Return the points to keep: the first, last, lowest and highest of each bucket (M4: Jugel et al., 2014).

    The first of equal highest points is kept, so that a peak stays where it was first reached.
    """
    count = len(values)
    if count <= 4 * buckets:
        return np.arange(count)
    edges = np.linspace(0, count, buckets + 1).astype(np.intp)
    chosen = []
    for start, end in itertools.pairwise(edges):
        part = values[start:end]
        chosen += [start, end - 1, start + part.argmin(), start + part.argmax()]
    return np.unique(np.array(chosen, np.intp))


#: Begin of a block that is older than the recording.
BEFORE_ALL = -1


@dataclass(frozen=True)
class MemoryTimeline:
    """The memory of one device over time. Arrays may be read-only and mapped from files. Sizes are in
    bytes."""

    #: -1: the host's memory.
    device: int
    #: None in a snapshot.
    rank: int | None
    #: Number of moments, at least one: memory without any event is a moment too.
    moments: int
    #: For each block, the first moment at which it was in use, and the first at which it no longer was.
    begin: Int32
    end: Int32
    bytes: Int64
    #: Position in ``lines``.
    line: Int32
    #: Position in ``CATEGORIES``.
    category: Int8
    lines: list[Owner]
    #: Microseconds after the first event; empty where they are not known.
    us: Float64
    #: Memory that the allocator had from the device; empty where it is not known.
    reserved: Int64
    #: Memory in use at each moment, where no blocks are known; else empty.
    rest: Int64
    rest_who: Owner
    #: Moments at which an allocation failed.
    failures: list[int] = field(default_factory=list)
    #: Whether moments have times, as the slices of a trace.
    by_time: bool = False

    @cached_property
    def total(self) -> Int64:
        """Return the memory in use at each moment."""
        return self.over(0, self.moments - 1)

    @cached_property
    def peak(self) -> int:
        """Return the first moment of the peak."""
        return int(self.total.argmax())

    def over(self, first: int, last: int, chosen: Bools | None = None) -> Int64:
        """Return the memory in use at the moments from ``first`` to ``last``, of all or of the ``chosen``
        blocks."""
        begin, end, size = self.begin, self.end, self.bytes
        if chosen is not None:
            begin, end, size = begin[chosen], end[chosen], size[chosen]
        steps = np.zeros(last - first + 2, np.int64)
        np.add.at(steps, np.clip(begin, first, last + 1) - first, size)
        np.subtract.at(steps, np.clip(end, first, last + 1) - first, size)
        in_use: Int64 = steps.cumsum()[:-1]
        return in_use + self.rest[first : last + 1] if chosen is None and len(self.rest) else in_use

    def at(self, moment: int) -> Bools:
        """Return which blocks are in use at a moment."""
        found: Bools = (self.begin <= moment) & (self.end > moment)
        return found

    def moment_at(self, us: float) -> int:
        """Return the last moment at or before a time; the first one where all are later, or where times are
        not known."""
        return max(int(np.searchsorted(self.us, us, side="right")) - 1, 0)

    @cached_property
    def most_by_line(self) -> Int64:
        """Return the peak of each line."""
        most = np.zeros(len(self.lines), np.int64)
        if not len(self.begin):
            return most
        line = np.concatenate((self.line, self.line))
        moment = np.concatenate((np.maximum(self.begin, 0), self.end))
        steps = np.concatenate((self.bytes, -self.bytes))
        # Blocks that end at a moment end before blocks that begin at it.
        order = np.lexsort((steps, moment, line))
        line, steps = line[order], steps[order].cumsum()
        starts = np.flatnonzero(np.append(True, line[1:] != line[:-1]))
        # The last block of a line ends after the last moment at the latest, so each line starts at 0.
        most[line[starts]] = np.maximum.reduceat(steps, starts)
        return most


class Blocks:
    """Collects blocks one by one; a line gets its number at its first block."""

    def __init__(self) -> None:
        self._begin: list[int] = []
        self._end: list[int] = []
        self._bytes: list[int] = []
        self._line: list[int] = []
        self._category: list[int] = []
        self._numbers: dict[Hashable, int] = {}
        self._lines: list[Owner] = []

    def add(self, begin: int, end: int, size: int, who: Owner) -> None:
        """Add a block that was in use from ``begin`` up to ``end``."""
        if size <= 0 or end <= begin:
            return
        number = self._numbers.setdefault(who.key, len(self._lines))
        if number == len(self._lines):
            self._lines.append(who)
        self._begin.append(begin)
        self._end.append(end)
        self._bytes.append(size)
        self._line.append(number)
        self._category.append(CATEGORIES.index(who.category))

    def timeline(
        self,
        device: int,
        moments: int,
        *,
        us: Float64,
        reserved: Int64,
        failures: Iterable[int],
    ) -> MemoryTimeline:
        """Return all blocks as a timeline."""
        return MemoryTimeline(
            device=device,
            rank=None,
            moments=moments,
            begin=np.array(self._begin, np.int32),
            end=np.array(self._end, np.int32),
            bytes=np.array(self._bytes, np.int64),
            line=np.array(self._line, np.int32),
            category=np.array(self._category, np.int8),
            lines=self._lines,
            us=us,
            reserved=reserved,
            rest=np.zeros(0, np.int64),
            rest_who=BEFORE,
            failures=list(failures),
        )
