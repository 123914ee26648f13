"""Show counters on a timeline: one lane per series below the lanes of slices. Their samples are numbered
after the slices.

A sample is valid until the next one. In a tile, the samples of one cell are one run with their minimum and
maximum.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...models import CounterLane, CounterMoment, SliceDetails, TimelineLane, TimelineSlice
from ..columns import Columns, Counters, Float64, Int64
from .pyramid import Items

#: Number in place of the name of a slice.
NO_NAME = -1
_UNITS_OF = r"%|°?C|rpm|(?:[kKMGTmuµn]i?)?(?:W|J|V|A|Hz|B|b|s|bits|bytes|FLOPS?|ops)(?:/s)?"
#: Matches "Power (W)", "memory [MiB]", "throughput in GB/s".
_UNIT = re.compile(rf"[(\[]\s*({_UNITS_OF})\s*[)\]]\s*$|\s+in\s+({_UNITS_OF})$")
#: Keys of arguments that name no separate series.
_PLAIN = {"value", "counter", "count", ""}
_UNITS = {"bytes": "bytes", "percent": "%", "watts": "W", "%": "%"}


class Values(NamedTuple):
    """The least, largest and last value of each item of a tile."""

    low: Float64
    high: Float64
    last: Float64


@dataclass(frozen=True)
class _One:
    """A series: the range of its samples, and its name."""

    number: int
    begin: int
    end: int


class CounterLanes:
    """The counters of a trace as lanes from ``first_lane``, with samples as slices from ``first_slice``."""

    def __init__(self, columns: Columns) -> None:
        self._counters = columns.counters
        self.first_lane, self.first_slice = len(columns.lanes), len(columns)
        self.lanes = len(self._counters.series) if self._counters is not None else 0
        self.samples = len(self._counters) if self._counters is not None else 0
        last = int(columns.end.max()) if len(columns) else 0
        #: The end of the trace, until which the last samples are valid.
        self._end_ns = max(last, int(self._counters.ts.max()) if self._counters is not None else 0)

    def described(self) -> list[TimelineLane]:
        """Return the lanes, sorted by process and name. A sample from before the first slice is shown from
        the first slice on."""
        found = [self._described(number) for number in range(self.lanes)]
        return sorted(found, key=lambda lane: (_natural(lane.group), lane.label))

    def tile(self, lane: int, first_ns: int, last_ns: int, cell_ns: int) -> tuple[Items, Values]:
        """Return the samples of a period, merged by cell, after the sample that is valid at its begin."""
        counters, one = self._all, self._one(lane - self.first_lane)
        ts = counters.ts[one.begin : one.end]
        low, high = np.searchsorted(ts, [first_ns, last_ns]).tolist()
        cells = ts[low:high] // cell_ns
        heads = low + np.flatnonzero(np.diff(cells, prepend=-1)) if high > low else np.empty(0, np.int64)
        if low > 0:
            heads = np.concatenate(([low - 1], heads))
        if not len(heads):
            nothing = np.empty(0, np.float64)
            return _items(heads, heads, heads, heads), Values(nothing, nothing, nothing)
        start = ts[heads]
        following = int(ts[high]) if high < len(ts) else max(self._end_ns, int(start[-1]))
        stop = np.append(start[1:], following)
        count = np.diff(np.append(heads, high))
        value = counters.value[one.begin + int(heads[0]) : one.begin + int(heads[-1] + count[-1])]
        within = heads - heads[0]
        values = Values(
            np.minimum.reduceat(value, within),
            np.maximum.reduceat(value, within),
            value[within + count - 1],
        )
        return _items(start, stop, count, self.first_slice + one.begin + heads), values

    def slice(self, number: int) -> TimelineSlice:
        """Return a sample as a slice that lasts until the next one."""
        sample = number - self.first_slice
        one = self._one_with(sample)
        start = int(self._all.ts[sample])
        end = int(self._all.ts[sample + 1]) if sample + 1 < one.end else max(self._end_ns, start)
        return TimelineSlice(
            slice=number,
            lane=self.first_lane + one.number,
            row=0,
            name=self._label(one.number),
            kind="counter",
            start_us=start / 1000,
            dur_us=(end - start) / 1000,
        )

    def details(self, number: int) -> SliceDetails:
        """Return a sample with the range and mean of its series over the trace."""
        sample = number - self.first_slice
        one, values = self._one_with(sample), self._all.value
        mine = values[one.begin : one.end]
        return SliceDetails(
            slice=self.slice(number),
            arguments=[],
            around=[],
            counter=CounterMoment(
                value=float(values[sample]),
                before=float(values[sample - 1]) if sample > one.begin else None,
                mean=self._mean(one),
                least=float(mine.min()),
                most=float(mine.max()),
                samples=len(mine),
                unit=self._unit(one.number),
            ),
            previous=self.slice(number - 1) if sample > one.begin else None,
            next=self.slice(number + 1) if sample + 1 < one.end else None,
        )

    def _described(self, number: int) -> TimelineLane:
        one, counters = self._one(number), self._all
        mine = counters.value[one.begin : one.end]
        return TimelineLane(
            lane=self.first_lane + number,
            group=f"Counters of process {counters.series[number].process}",
            label=self._label(number),
            device="",
            stream="",
            rows=1,
            slices=len(mine),
            first_us=max(int(counters.ts[one.begin]), 0) / 1000,
            last_us=self._end_ns / 1000,
            counter=CounterLane(least=float(mine.min()), most=float(mine.max()), unit=self._unit(number)),
        )

    def _mean(self, one: _One) -> float:
        """Return the mean over time."""
        ts, value = self._all.ts[one.begin : one.end], self._all.value[one.begin : one.end]
        durations = np.diff(ts, append=max(self._end_ns, int(ts[-1])))
        return float(np.average(value, weights=durations)) if durations.sum() else float(value.mean())

    def _label(self, number: int) -> str:
        _, counter, series = self._all.series[number]
        counter = " ".join(counter.split())
        return counter if series.lower() in _PLAIN or series == counter else f"{counter}: {series}"

    def _unit(self, number: int) -> str:
        _, counter, series = self._all.series[number]
        for text in (series, counter):
            if found := _UNIT.search(text):
                return found[1] or found[2]
        return _UNITS.get(series.lower(), "")

    @property
    def _all(self) -> Counters:
        assert self._counters is not None
        return self._counters

    def _one(self, number: int) -> _One:
        return _One(number, *self._all.bounds[number : number + 2])

    def _one_with(self, sample: int) -> _One:
        return self._one(int(np.searchsorted(self._all.bounds, sample, side="right")) - 1)


def _items(start: Int64, stop: Int64, count: Int64, slice: Int64) -> Items:
    size = len(start)
    return Items(
        row=np.zeros(size, np.int32),
        start=start,
        end=stop,
        name=np.full(size, NO_NAME, np.int32),
        count=count.astype(np.int32),
        covered=stop - start,
        leading=np.zeros(size, np.int64),
        slice=slice.astype(np.int32),
    )


def _natural(group: str) -> tuple[int, str]:
    digits = group.rpartition(" ")[2]
    return (int(digits), "") if digits.isdecimal() else (1 << 62, digits)
