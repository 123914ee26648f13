"""Which block was held from when to when: what is asked of it is asked for any moment, not for the peak alone.

A moment is the number of an event and means what was held after it. So the answer for a moment is a mask over the
blocks and a sum by line.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..columns import Bools, Float64, Int8, Int32, Int64
from .holders import BEFORE, CATEGORIES, Who

#: Buckets of a timeline; each gives four points at most.
BUCKETS = 500


def kept(values: Int64, buckets: int = BUCKETS) -> npt.NDArray[np.intp]:
    """Which points to keep: of each bucket of neighbours the first, last, lowest and highest (M4: Jugel et al., 2014).

    The highest of all is the first of its height, so that a peak stays where it was first reached.
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


#: Of a block that is older than the recording.
BEFORE_ALL = -1


@dataclass(frozen=True)
class MemoryTimeline:
    """What one device's allocator held. Arrays may be read-only and lie in files. Sizes in bytes."""

    #: -1: the host's memory.
    device: int
    #: None in a snapshot.
    rank: int | None
    #: Moments, at least one: what was held without any event is a moment, too.
    moments: int
    #: Of each block the first moment at which it was held, and the first at which it no longer was.
    begin: Int32
    end: Int32
    bytes: Int64
    #: Position in ``lines``.
    line: Int32
    #: Position in ``CATEGORIES``.
    category: Int8
    lines: list[Who]
    #: Microseconds after the first event; empty where they are not told.
    us: Float64
    #: What the allocator had from the device; empty where it is not told.
    reserved: Int64
    #: What was held at each moment where no blocks are told; else empty.
    rest: Int64
    rest_who: Who
    #: Moments at which an allocation failed.
    failures: list[int] = field(default_factory=list)
    #: Whether moments are shown at their times, as the trace's slices are.
    by_time: bool = False

    @cached_property
    def total(self) -> Int64:
        """All that was held, at each moment."""
        return self.over(0, self.moments - 1)

    @cached_property
    def peak(self) -> int:
        """The first moment at which most was held."""
        return int(self.total.argmax())

    def over(self, first: int, last: int, chosen: Bools | None = None) -> Int64:
        """What was held at the moments from ``first`` to ``last``, in all or of the ``chosen`` blocks."""
        begin, end, size = self.begin, self.end, self.bytes
        if chosen is not None:
            begin, end, size = begin[chosen], end[chosen], size[chosen]
        steps = np.zeros(last - first + 2, np.int64)
        np.add.at(steps, np.clip(begin, first, last + 1) - first, size)
        np.subtract.at(steps, np.clip(end, first, last + 1) - first, size)
        held: Int64 = steps.cumsum()[:-1]
        return held + self.rest[first : last + 1] if chosen is None and len(self.rest) else held

    def at(self, moment: int) -> Bools:
        """Which blocks are held at a moment."""
        found: Bools = (self.begin <= moment) & (self.end > moment)
        return found

    def moment_at(self, us: float) -> int:
        """The last moment at or before a time; the first where all are later, or times are not told."""
        return max(int(np.searchsorted(self.us, us, side="right")) - 1, 0)

    @cached_property
    def most_by_line(self) -> Int64:
        """Of each line the most that it ever held."""
        most = np.zeros(len(self.lines), np.int64)
        if not len(self.begin):
            return most
        line = np.concatenate((self.line, self.line))
        moment = np.concatenate((np.maximum(self.begin, 0), self.end))
        steps = np.concatenate((self.bytes, -self.bytes))
        # What ends at a moment ends before what begins at it.
        order = np.lexsort((steps, moment, line))
        line, steps = line[order], steps[order].cumsum()
        starts = np.flatnonzero(np.append(True, line[1:] != line[:-1]))
        # All of a line is given back in the end, if only after the last moment: each line begins at nothing.
        most[line[starts]] = np.maximum.reduceat(steps, starts)
        return most


class Blocks:
    """Blocks as they are found, one by one, with each line numbered at its first block."""

    def __init__(self) -> None:
        self._begin: list[int] = []
        self._end: list[int] = []
        self._bytes: list[int] = []
        self._line: list[int] = []
        self._category: list[int] = []
        self._numbers: dict[Hashable, int] = {}
        self._lines: list[Who] = []

    def add(self, begin: int, end: int, size: int, who: Who) -> None:
        """A block that was held from ``begin`` up to ``end``."""
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

    def held(
        self,
        device: int,
        moments: int,
        *,
        us: Float64,
        reserved: Int64,
        failures: Iterable[int],
    ) -> MemoryTimeline:
        """All of them."""
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
