"""The timeline of one trace, or of several ranks on one clock, with one interface."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from msgspec import structs

from ...models import (
    CollectiveMoment,
    CollectivePart,
    SliceDetails,
    Sums,
    SumsQuery,
    TimelineLane,
    TimelineSlice,
)
from ..columns import Bools, Int32
from ..kinds import Kind
from .clocks import Collective, same
from .slices import Matches, Tally, details, lanes_of, slice_of, sums_of, tally
from .tiles import Tile, Timeline


class Side(NamedTuple):
    """A rank, the position of its first event on the common clock, and its timeline."""

    rank: int
    offset_ns: int
    open: Callable[[], Timeline]
    #: Whether its clock is aligned with others, and the accuracy.
    aligned: bool = True
    spread_ns: int = 0


@dataclass(frozen=True)
class _Part:
    side: Side
    lanes: list[TimelineLane]
    first_lane: int
    first_slice: int
    #: For each of its names, the place among all names.
    name: Int32

    def moved(self, slice: TimelineSlice) -> TimelineSlice:
        """Return a slice of the rank as a slice of all ranks."""
        return structs.replace(
            slice,
            slice=slice.slice + self.first_slice,
            lane=slice.lane + self.first_lane,
            start_us=slice.start_us + self.side.offset_ns / 1000,
        )


class View:
    """The timeline of one trace, or of several ranks on one clock. Lanes, slices and names are numbered
    across ranks. Times count from the first event of all ranks. Ranks are opened on use, so that few are in
    memory.

    ``slices`` is their number, samples of counters included. ``kinds`` has the kind of each of ``names``.
    """

    def __init__(self, sides: list[Side]) -> None:
        places: dict[str, int] = {}
        kinds: dict[int, int] = {}
        parts: list[_Part] = []
        lanes = slices = 0
        for side in sides:
            timeline = side.open()
            columns = timeline.columns
            name = np.array([places.setdefault(each, len(places)) for each in timeline.names], np.int32)
            kinds |= dict(zip(name.tolist(), timeline.kinds.tolist(), strict=True))
            rank = side.rank if len(sides) > 1 else None
            parts.append(_Part(side, _lanes(side, rank, timeline, lanes, slices), lanes, slices, name))
            lanes += len(columns.lanes) + timeline.counters.lanes
            slices += len(columns) + timeline.counters.samples
        self._parts = parts
        self._first_slices = [part.first_slice for part in parts]
        self._first_lanes = [part.first_lane for part in parts]
        self.slices = slices
        self.names = list(places)
        self.kinds = np.array([kinds[each] for each in range(len(places))], np.int8)

    @staticmethod
    def of(timeline: Timeline) -> View:
        """Return the view of one trace."""
        return View([Side(0, 0, lambda: timeline)])

    @property
    def first(self) -> Timeline:
        """Return the timeline of the first rank, or of the only trace."""
        return self._parts[0].side.open()

    def lanes(self) -> list[TimelineLane]:
        """Return the lanes of all ranks in order, each on the clock of its rank."""
        return [lane for part in self._parts for lane in part.lanes]

    def tile(self, lane: int, level: int, index: int) -> Tile:
        """Return a tile on the clock of its lane's rank, with the names and slices of all ranks."""
        part = self._parts[bisect_right(self._first_lanes, lane) - 1]
        found = part.side.open().tile(lane - part.first_lane, level, index)
        items = found.items
        # Samples of counters have no names.
        name = part.name[items.name] if found.values is None else items.name
        return replace(found, items=items.renumbered(name, part.first_slice))

    def slice(self, number: int) -> TimelineSlice:
        """Return a slice by its number."""
        part = self._of_slice(number)
        return part.moved(slice_of(part.side.open(), number - part.first_slice))

    def details(self, number: int) -> SliceDetails:
        """Return the details of a slice in the trace of its rank."""
        part = self._of_slice(number)
        found = details(part.side.open(), number - part.first_slice)

        def moved(slice: TimelineSlice | None) -> TimelineSlice | None:
            return None if slice is None else part.moved(slice)

        return structs.replace(
            found,
            slice=part.moved(found.slice),
            around=[part.moved(each) for each in found.around],
            launched=[part.moved(each) for each in found.launched],
            launched_by=moved(found.launched_by),
            backward=[part.moved(each) for each in found.backward],
            forward=moved(found.forward),
            collective=self._collective(part, number - part.first_slice),
            launch_stack=[part.moved(each) for each in found.launch_stack],
            previous=moved(found.previous),
            next=moved(found.next),
            inside=moved(found.inside),
        )

    def sums(self, asked: SumsQuery) -> Sums:
        """Return the sums of a period, on lanes of any ranks."""
        total, count = np.zeros(len(self.names)), np.zeros(len(self.names), np.int64)
        busy = 0
        for part, lanes in self._by_part(asked.lanes):
            first, last = (
                round(each * 1000) - part.side.offset_ns for each in (asked.first_us, asked.last_us)
            )
            found = tally(part.side.open(), first, last, lanes)
            np.add.at(total, part.name, found.total)
            np.add.at(count, part.name, found.slices)
            busy += found.busy
        return sums_of(Tally(total, count, busy), self.names, self.kinds)

    def matches(self, names: Bools) -> Matches:
        """Return the slices of some names, rank after rank."""
        return Matches(
            np.concatenate(
                [
                    Matches.of(part.side.open().columns, names[part.name]).slices + part.first_slice
                    for part in self._parts
                ]
            )
        )

    def _collective(self, part: _Part, number: int) -> CollectiveMoment | None:
        """Return the same collective on all ranks; None for another slice, or if the rank's clock is not
        aligned."""
        found = _placed(part, number) if len(self._parts) > 1 else None
        if found is None or not part.side.aligned:
            return None
        key, own, place = found
        length = int(own.ends[place]) - int(part.side.open().columns.ts[number])
        slices, missing = [(part.side, part.moved(slice_of(part.side.open(), number)))], []
        for each in self._parts:
            if each is part or not each.side.aligned:
                continue
            timeline = each.side.open()
            other = timeline.collectives.get(key)
            spread = max(part.side.spread_ns, each.side.spread_ns)
            at = other and same(
                own, place, other, each.side.offset_ns - part.side.offset_ns, length, timeline.columns, spread
            )
            if other is None or at is None:
                missing.append(each.side.rank)
            else:
                slices.append((each.side, each.moved(slice_of(timeline, int(other.slices[at])))))
        if len(slices) < 2:
            return None
        first = min(slice.start_us for _, slice in slices)
        return CollectiveMoment(
            parts=[
                CollectivePart(rank=side.rank, slice=slice, late_us=slice.start_us - first)
                for side, slice in sorted(slices, key=lambda each: each[0].rank)
            ],
            trust_us=max(side.spread_ns for side, _ in slices) / 1000,
            missing=missing,
        )

    def _of_slice(self, number: int) -> _Part:
        return self._parts[bisect_right(self._first_slices, number) - 1]

    def _by_part(self, lanes: list[int]) -> list[tuple[_Part, list[int]]]:
        ends = [*self._first_lanes[1:], 2**62]
        return [
            (part, [each - part.first_lane for each in mine])
            for part, end in zip(self._parts, ends, strict=True)
            if (mine := [each for each in lanes if part.first_lane <= each < end])
        ]


def _placed(part: _Part, number: int) -> tuple[str, Collective, int] | None:
    """Return the place of a slice among its rank's collectives of one name and size."""
    timeline = part.side.open()
    if number >= len(timeline.columns) or timeline.columns.kind[number] != Kind.COMMUNICATION:
        return None
    for key, found in timeline.collectives.items():
        places = np.flatnonzero(found.slices == number)
        if len(places):
            return key, found, int(places[0])
    return None


def _lanes(side: Side, rank: int | None, timeline: Timeline, before: int, slices: int) -> list[TimelineLane]:
    return [
        structs.replace(
            lane,
            lane=lane.lane + before,
            rank=rank,
            offset_us=side.offset_ns / 1000,
            first_slice=slices,
        )
        for lane in lanes_of(timeline)
    ]
