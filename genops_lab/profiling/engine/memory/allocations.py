"""Read memory events of traces (``profile_memory=True``): memory in use by line or operator, over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...models import DeviceMemory, MemoryPoint, MemorySummary, OutOfMemory, Place
from ..attribution.lines import Lines, lines_of_moments
from ..columns import NO_ID, NOTHING, Allocations, Bools, Int32, Int64, present
from ..kinds import Kind
from ..traces import Trace
from .memory_timeline import BEFORE_ALL, MemoryTimeline, kept
from .owners import BEFORE, CATEGORIES, MOST_FRAMES, Owner, Tally

#: Device number of the host's memory.
HOST = -1
MOST_SITES = 50
#: Owner in traces whose frees have no address.
_NO_ADDRESSES = Owner("(the trace has no addresses)", None, "", ())

NO_OPERATOR = "(outside any operator)"


class MemoryTally:
    """The memory of all added traces and snapshots."""

    def __init__(self) -> None:
        self._devices: list[DeviceMemory] = []
        self._failures: list[OutOfMemory] = []
        self._damage: list[str] = []

    def add(self, trace: Trace, lines: Lines) -> None:
        """Add a trace of one rank, and its lines."""
        self._devices += memory_of(trace, lines)

    def take(self, snapshot: MemorySummary) -> int:
        """Add a snapshot; return its number of events."""
        self._devices += snapshot.devices
        self._failures += snapshot.out_of_memory
        self._damage += [snapshot.damaged] if snapshot.damaged else []
        return sum(device.events for device in snapshot.devices)

    def summary(self) -> MemorySummary | None:
        """Return the summary; None without memory events."""
        if not self._devices:
            return None
        return MemorySummary(
            devices=self._devices, out_of_memory=self._failures, damaged=" ".join(self._damage)
        )


def memory_of(trace: Trace, lines: Lines) -> list[DeviceMemory]:
    """Return the memory of each device with memory events in a trace, the host's last."""
    found = trace.columns.allocations
    if found is None:
        return []
    whose = AllocationOwner.find(trace, found, lines)
    return [_device(found, key, trace.rank, whose) for key in _keys(found)]


def timelines_of(trace: Trace, lines: Lines) -> list[MemoryTimeline]:
    """Return the memory over time, in the same order."""
    found = trace.columns.allocations
    if found is None:
        return []
    whose = AllocationOwner.find(trace, found, lines)
    return [_held(found, key, trace.rank, whose) for key in _keys(found)]


def _keys(found: Allocations) -> list[int]:
    used = np.unique(found.device).tolist()
    return sorted(used, key=lambda key: (found.devices[key] == "cpu", found.devices[key]))


def _number(device: str) -> int:
    return int(device) if device.isdigit() else HOST


def _device(found: Allocations, key: int, rank: int, whose: AllocationOwner) -> DeviceMemory:
    events = np.flatnonzero(found.device == key)
    amount, address = found.bytes[events], found.address[events]
    addressed = bool(address.any())
    steps = _steps(address, amount) if addressed else amount
    curve = steps.cumsum()
    at = int(curve.argmax()) if len(curve) and curve.max() > 0 else -1
    allocated, reserved = found.allocated[events], found.reserved[events]
    has_totals = bool(len(allocated)) and bool((allocated != NO_ID).all())
    chosen = kept(curve)
    # Old traces have no addresses: only the freed size is known, not the freed block.
    live = _live(address[: at + 1], amount[: at + 1]).tolist() if addressed else []
    tally = Tally()
    for place in live:
        tally.add(whose.who[int(whose.of[events[place]])], int(amount[place]))
    last = int(allocated[-1]) if has_totals else max(int(curve[-1]), 0)
    return DeviceMemory(
        device=_number(found.devices[key]),
        rank=rank,
        reserved=max(int(reserved[-1]), 0),
        allocated=last,
        active=last,
        segments=0,
        blocks=0,
        fragmentation=0.0,
        largest_free=0,
        events=len(events),
        peak=int(curve[at]) if at >= 0 else 0,
        peak_event=at,
        live_at_peak=len(live) if addressed else int(np.sign(amount[: at + 1]).sum()),
        before=max(int(allocated[0] - amount[0]), 0) if has_totals else 0,
        sites=tally.sites(MOST_SITES),
        timeline=[
            MemoryPoint(at=float(found.ts[events[place]]) / 1000, bytes=int(curve[place]))
            for place in chosen.tolist()
        ],
    )


def _held(found: Allocations, key: int, rank: int, whose: AllocationOwner) -> MemoryTimeline:
    events = np.flatnonzero(found.device == key)
    amount, address = found.bytes[events], found.address[events]
    has_totals = bool((found.allocated[events] != NO_ID).all())
    before = max(int(found.allocated[events[0]] - amount[0]), 0) if has_totals else 0
    addressed = bool(address.any())
    rest = np.zeros(0, np.int64)
    if addressed:
        begin, end, size = _blocks(address, amount)
        known = int(size[begin == BEFORE_ALL].sum())
        if before > known:
            # All older memory that was not freed, as one block; the number of its blocks is not known.
            begin, end = np.append(begin, BEFORE_ALL), np.append(end, len(events))
            size = np.append(size, before - known)
    else:
        begin = end = size = np.zeros(0, np.int64)
        curve = amount.cumsum() + before
        # A free of an unknown block shows that at least this much was in use before.
        rest = curve - min(int(curve.min()), 0)
    older = begin == BEFORE_ALL
    line = np.full(len(begin), len(whose.who), np.int64)
    line[~older] = whose.of[events[begin[~older]]]
    backward = np.zeros(len(begin), bool)
    backward[~older] = whose.backward[events[begin[~older]]]
    reserved = found.reserved[events]
    return MemoryTimeline(
        device=_number(found.devices[key]),
        rank=rank,
        moments=len(events),
        begin=begin.astype(np.int32),
        end=end.astype(np.int32),
        bytes=size,
        line=line.astype(np.int32),
        category=np.where(backward, CATEGORIES.index("backward"), CATEGORIES.index("")).astype(np.int8),
        lines=[*whose.who, BEFORE],
        us=found.ts[events] / 1000,
        reserved=reserved if bool((reserved > 0).any()) else np.zeros(0, np.int64),
        rest=rest,
        rest_who=_NO_ADDRESSES,
        by_time=True,
    )


def _blocks(address: Int64, amount: Int64) -> tuple[Int64, Int64, Int64]:
    """Return each block's first event, the event that ended it (after the last event: none) and its size.

    A block whose address is freed before it is allocated is older than the recording. A block whose address
    is allocated again without a free was freed outside the recording.
    """
    order, same = _by_address(address)
    ordered = amount[order]
    following = np.append(np.where(same, order[1:], len(order)), len(order))
    made = ordered > 0
    freed = (ordered < 0) & np.append(True, ~same)
    begin = np.concatenate((order[made], np.full(int(freed.sum()), BEFORE_ALL)))
    end = np.concatenate((following[made], order[freed]))
    size = np.concatenate((ordered[made], -ordered[freed]))
    return begin, end, size


def _steps(address: Int64, amount: Int64) -> Int64:
    """Return the changes of memory allocated in the trace; a free of an older block changes nothing."""
    order, same = _by_address(address)
    ordered = amount[order]
    steps = np.maximum(ordered, 0)
    # A free returns the size of the previous event at its address; a free before it has no size.
    steps[1:] -= np.where(same & (ordered[1:] < 0), steps[:-1], 0)
    found = np.empty_like(steps)
    found[order] = steps
    return found


def _live(address: Int64, amount: Int64) -> Int64:
    """Return the positions of allocations without a later free, sorted."""
    order, same = _by_address(address)
    last = np.append(~same, True)[: len(order)]
    return np.sort(order[last & (amount[order] >= 0)])


def _by_address(address: Int64) -> tuple[Int64, Bools]:
    """Return the events sorted by address and then in order, and whether each has the address of the previous
    one."""
    order = np.argsort(address, kind="stable")
    ordered = address[order]
    return order, ordered[1:] == ordered[:-1]


@dataclass(frozen=True)
class AllocationOwner:
    """Owners of memory events. ``of`` has a position in ``who`` for each event; ``backward`` says whether the
    backward pass made it."""

    of: Int64
    who: list[Owner]
    backward: Bools

    @staticmethod
    def find(trace: Trace, found: Allocations, lines: Lines) -> AllocationOwner:
        """Return the owners of all memory events of a trace."""
        columns = trace.columns
        operator = _operators(trace, found)
        line, backward = lines_of_moments(columns, lines, found.lane, found.ts)
        # The key is a line's number, else the number of lines plus that of the operator's name, else the last
        # number.
        name = np.where(operator == NOTHING, len(columns.names), columns.name[np.maximum(operator, 0)]
                        if len(columns) else len(columns.names))  # fmt: skip
        key = np.where(line == NOTHING, len(lines.places) + name, line)
        first, of = _firsts(key, len(lines.places) + len(columns.names) + 1)
        who = [
            _who(
                lines.places[int(line[event])] if line[event] != NOTHING else None,
                _calls(trace, int(operator[event])),
            )
            for event in first.tolist()
        ]
        return AllocationOwner(of, who, backward)


def _firsts(key: Int64, size: int) -> tuple[Int64, Int64]:
    """Return the keys (all below ``size``) by their first position, and the position of each event's key
    among these."""
    first = np.full(size, len(key), np.int64)
    # NumPy keeps the last of several values for one place.
    first[key[::-1]] = np.arange(len(key) - 1, -1, -1)
    there = np.flatnonzero(first < len(key))
    place = np.zeros(size, np.int64)
    place[there] = np.arange(len(there))
    return first[there], place[key]


def _who(place: Place | None, calls: tuple[str, ...]) -> Owner:
    if place is None:
        return Owner(calls[0] if calls else NO_OPERATOR, None, "", calls)
    return Owner(_line_name(place), place, "", calls)


def _line_name(place: Place) -> str:
    if place.cell:
        return place.where
    name = f"{place.file.replace(chr(92), '/').rpartition('/')[2]}:{place.line}"
    return f"{name}:{place.function}" if place.function else name


def _calls(trace: Trace, operator: int) -> tuple[str, ...]:
    """Return the operators around each other, innermost first."""
    names: list[str] = []
    while operator != NOTHING and len(names) < MOST_FRAMES:
        names.append(trace.columns.names[int(trace.columns.name[operator])])
        operator = int(trace.around[operator])
    return tuple(names)


def _operators(trace: Trace, found: Allocations) -> Int32:
    """Return the innermost operator around each event, on its thread; NOTHING without one."""
    columns, above = trace.columns, trace.around
    around = np.full(len(found.ts), NOTHING, np.int32)
    operators = np.flatnonzero(columns.kind == Kind.OPERATOR).astype(np.int32)
    for lane in present(len(columns.lanes), found.lane).tolist():
        events = np.flatnonzero(found.lane == lane)
        members = operators[columns.lane[operators] == lane]
        if not len(members):
            continue
        ts = found.ts[events]
        # The last operator that began before the event, or the one around it, and so on, because times nest
        # on a thread.
        place = np.searchsorted(columns.ts[members], ts, side="right") - 1
        at = np.where(place >= 0, members[np.maximum(place, 0)], NOTHING)
        ended = np.flatnonzero(at != NOTHING)
        while len(ended := ended[columns.ends(at[ended]) < ts[ended]]):
            at[ended] = above[at[ended]]
            ended = ended[at[ended] != NOTHING]
        around[events] = at
    return around
