"""Return the details of a slice of a timeline, and sums over periods."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ...models import NameSum, SliceArgument, SliceDetails, Sums, TimelineLane, TimelineSlice
from ..columns import NO_ID, NOTHING, NUMBERS, TEXTS, Bools, Columns, Int8, Int32, Int64, Lane
from ..intervals import Intervals, union_length
from ..kinds import Kind
from .tiles import Timeline

#: Most launches of a slice, and most names of a sum.
LAUNCHED, NAMES = 100, 200
#: CUPTI's stream number of a wait for all streams.
_ALL_STREAMS = ("-1", str(2**32 - 1))
#: Slices per block of a sum: a NumPy sum over a whole large trace would need twice its columns.
_CHUNK = 1 << 18

_NOTHING = np.empty(0, np.int64)


def lanes_of(timeline: Timeline) -> list[TimelineLane]:
    """Return the lanes: host threads by process, busiest first, then slices without a host thread, then
    device streams, then counters."""
    columns = timeline.columns
    shown = [
        TimelineLane(
            lane=stored.lane,
            group=_group(columns.lanes[stored.lane]),
            label=_label(columns.lanes[stored.lane]),
            device=columns.lanes[stored.lane].device,
            stream=columns.lanes[stored.lane].stream,
            rows=stored.rows,
            slices=stored.slices,
            first_us=stored.first_ns / 1000,
            last_us=stored.last_ns / 1000,
        )
        for stored in timeline.lanes.values()
    ]
    busiest: dict[str, int] = {}
    for lane in shown:
        busiest[lane.group] = max(busiest.get(lane.group, 0), lane.slices)

    def order(lane: TimelineLane) -> tuple[bool, object, str, object, int, str]:
        group = _natural(lane.group) if lane.device or lane.stream else (-busiest[lane.group], "")
        within = _natural(lane.stream) if lane.stream else (-lane.slices, "")
        return bool(lane.device or lane.stream), group, lane.group, within, -lane.slices, lane.label

    return [*sorted(shown, key=order), *timeline.counters.described()]


def slice_of(timeline: Timeline, number: int) -> TimelineSlice:
    """Return a slice by its number, or a sample of a counter."""
    columns = timeline.columns
    if number >= len(columns):
        return timeline.counters.slice(number)
    return TimelineSlice(
        slice=number,
        lane=int(columns.lane[number]),
        row=int(timeline.rows[number]),
        name=timeline.names[columns.name[number]],
        kind=kind_word(int(columns.kind[number])),
        start_us=int(columns.ts[number]) / 1000,
        dur_us=int(columns.dur[number]) / 1000,
    )


def kind_word(kind: int) -> str:
    """Return the name of a kind on the wire."""
    return Kind(kind).name.lower()


def details(timeline: Timeline, number: int) -> SliceDetails:
    """Return the details of a slice, or of a sample of a counter."""
    columns = timeline.columns
    if number >= len(columns):
        return timeline.counters.details(number)
    launched, launch = launches(columns, number)
    around = _around(timeline, number)
    backward, forward = gradients(timeline, number, around)
    row = int(timeline.rows[number])
    previous, following = timeline.neighbours(int(columns.lane[number]), row, number)
    inside = _first_inside(timeline, number)

    def known(which: int | None) -> TimelineSlice | None:
        return None if which is None else slice_of(timeline, which)

    return SliceDetails(
        slice=slice_of(timeline, number),
        arguments=_arguments(columns, number),
        around=[slice_of(timeline, each) for each in around],
        launches=len(launched),
        launched=[slice_of(timeline, each) for each in launched[:LAUNCHED].tolist()],
        launched_by=known(launch),
        launch_stack=(
            [slice_of(timeline, each) for each in _around(timeline, launch)] if launch is not None else []
        ),
        backwards=len(backward),
        backward=[slice_of(timeline, each) for each in backward[:LAUNCHED].tolist()],
        forward=known(forward),
        previous=known(previous),
        next=known(following),
        inside=known(inside),
    )


class Tally(NamedTuple):
    """Nanoseconds and slices by name. ``busy`` is the time with any slice, summed over lanes."""

    total: npt.NDArray[np.float64]
    slices: Int64
    busy: int


def tally(timeline: Timeline, first: int, last: int, lanes: Iterable[int]) -> Tally:
    """Return counts and times by name in a period, with slices clipped to it. Times are in nanoseconds."""
    columns = timeline.columns
    total, count = np.zeros(len(columns.names)), np.zeros(len(columns.names), np.int64)
    busy = 0
    for lane in dict.fromkeys(lanes):
        inside = timeline.slices(lane, first, last)
        for at in range(0, len(inside), _CHUNK):
            some = inside[at : at + _CHUNK]
            start, end = _clipped(columns, some, first, last)
            total += np.bincount(columns.name[some], end - start, len(columns.names))
            count += np.bincount(columns.name[some], minlength=len(columns.names))
        outer = inside[timeline.rows[inside] == 0]
        busy += union_length(Intervals(*_clipped(columns, np.sort(outer), first, last)))
    return Tally(total, count, busy)


def sums_of(found: Tally, names: list[str], kinds: Int8) -> Sums:
    """Return the wire form of a tally, most time first."""
    total, count, busy = found
    present = np.flatnonzero(count)
    present = present[np.lexsort((present, -count[present], -total[present]))]
    return Sums(
        slices=int(count.sum()),
        busy_us=busy / 1000,
        names=[
            NameSum(
                name=names[name],
                kind=kind_word(int(kinds[name])),
                count=int(count[name]),
                total_us=float(total[name]) / 1000,
            )
            for name in present[:NAMES].tolist()
        ],
        more_names=max(0, len(present) - NAMES),
    )


@dataclass(frozen=True)
class Matches:
    """The slices of some names, sorted by start."""

    slices: Int64

    @staticmethod
    def of(columns: Columns, names: Bools) -> Matches:
        """Return the slices of ``names``, a mask over the columns' names with shape (names,)."""
        if not names.any():
            return Matches(np.empty(0, np.int64))
        return Matches(np.flatnonzero(names[columns.name]))

    def next(self, after: int, *, backwards: bool) -> int:
        """Return the place of the match after (or before) a slice; the search wraps around. -1 without
        matches."""
        if not len(self.slices):
            return -1
        if backwards:
            place = int(np.searchsorted(self.slices, after)) - 1 if after >= 0 else -1
        else:
            place = int(np.searchsorted(self.slices, after, side="right"))
        return place % len(self.slices)


def _clipped(columns: Columns, slices: Int32, first: int, last: int) -> tuple[Int64, Int64]:
    start, length = columns.ts[slices], columns.dur[slices]
    return np.maximum(start, first), np.minimum(start + length, last)


def _around(timeline: Timeline, number: int) -> list[int]:
    columns = timeline.columns
    lane, start = int(columns.lane[number]), int(columns.ts[number])
    found = []
    for row in range(int(timeline.rows[number])):
        outer = timeline.at(lane, row, start)
        # A slice of length 0 may begin where the previous one on its row ends.
        if outer is not None and int(columns.ts[outer]) + int(columns.dur[outer]) > start:
            found.append(outer)
    return found


def _first_inside(timeline: Timeline, number: int) -> int | None:
    columns = timeline.columns
    lane, row = int(columns.lane[number]), int(timeline.rows[number]) + 1
    if row >= timeline.lanes[lane].rows:
        return None
    start, end = int(columns.ts[number]), int(columns.ts[number]) + int(columns.dur[number])
    return timeline.first_from(lane, row, start, end)


def _arguments(columns: Columns, number: int) -> list[SliceArgument]:
    found = []
    for name, column in (("correlation", columns.correlation), ("external id", columns.external)):
        if column[number] != NO_ID:
            found.append(SliceArgument(name=name, value=str(column[number])))
    for name in (*NUMBERS, *TEXTS):
        sparse = columns.sparse.get(name)
        if sparse is None:
            continue
        place = int(np.searchsorted(sparse.index, number))
        if place < len(sparse) and sparse.index[place] == number:
            value = int(sparse.value[place])
            words = _plain(columns.texts[value]) if name in TEXTS else _with_unit(name, value)
            found.append(SliceArgument(name=name, value=words))
    return found


def _with_unit(name: str, value: int) -> str:
    if name == "occupancy":
        return f"{value / 10:g} %"
    return f"{value:,} B" if name in ("bytes", "shared_memory") else str(value)


def _plain(text: str) -> str:
    """Return a JSON string without quotes; anything else as it is in the trace."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _group(lane: Lane) -> str:
    if lane.device or lane.stream:
        # Waits and annotations on a device's streams have no device, but a process of that name.
        return f"Device {lane.device or lane.process.removeprefix('device ')}"
    return f"Process {lane.process}"


def _label(lane: Lane) -> str:
    stream = "all streams" if lane.stream in _ALL_STREAMS else f"stream {lane.stream}"
    own = " ".join(lane.label.split()) or (stream if lane.stream else f"thread {lane.thread}")
    return own if lane.device or not lane.stream else f"{own}, annotations"


def _natural(key: str) -> tuple[int, str]:
    digits = key.rpartition(" ")[2]
    return (int(digits), "") if digits.isdecimal() else (1 << 30, key)


class Gradients(NamedTuple):
    """Operators of the backward pass that belong to an operator, or the operator that one of them belongs
    to."""

    backward: Int64
    forward: int | None


def launches(columns: Columns, number: int) -> tuple[Int64, int | None]:
    """Return the slices that a slice launched, and the slice that launched it."""
    correlation = int(columns.correlation[number])
    if correlation == NO_ID:
        return _NOTHING, None
    same = np.flatnonzero(columns.correlation == correlation)
    kinds = columns.kind[same]
    if columns.kind[number] == Kind.RUNTIME:
        return same[kinds >= Kind.COMPUTE], None
    if columns.kind[number] >= Kind.COMPUTE:
        calls = same[kinds == Kind.RUNTIME]
        return _NOTHING, int(calls[0]) if len(calls) else None
    return _NOTHING, None


def gradients(timeline: Timeline, number: int, around: list[int]) -> Gradients:
    """Return the gradients. ``around`` are the slices around the slice, outermost first. An operator includes
    the backward pass of operators inside it."""
    columns = timeline.columns
    if columns.kind[number] != Kind.OPERATOR:
        return Gradients(_NOTHING, None)
    known = timeline.backward
    for each in (number, *reversed(around)):
        place = int(np.searchsorted(known.operators, each))
        if place < len(known.operators) and known.operators[place] == each:
            forward = int(known.forward[place])
            if forward != NOTHING:
                return Gradients(_NOTHING, forward)
    start, end = int(columns.ts[number]), int(columns.ts[number]) + int(columns.dur[number])
    given = np.flatnonzero(known.forward != NOTHING)
    forward_of = known.forward[given]
    inside = (
        (columns.lane[forward_of] == columns.lane[number])
        & (columns.ts[forward_of] >= start)
        & (columns.ends(forward_of) <= end)
    )
    return Gradients(_outermost(columns, known.operators[given[inside]]), None)


def _outermost(columns: Columns, rising: Int64) -> Int64:
    """Return the slices that are inside no other: an operator around a graph node evaluates it."""
    found, until = [], dict[int, int]()
    for number in rising.tolist():
        lane, end = int(columns.lane[number]), int(columns.ts[number]) + int(columns.dur[number])
        if end > until.get(lane, -1):
            found.append(number)
            until[lane] = end
    return np.array(found, np.int64)
