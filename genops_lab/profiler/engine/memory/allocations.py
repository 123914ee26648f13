"""Memory events of traces (``profile_memory=True``): what was held at the peak, and by which operator."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...models import DeviceMemory, MemoryPoint, MemorySummary, OutOfMemory
from ..columns import NO_ID, Allocations, Columns, Int64
from ..kinds import Kind
from ..nesting import NOTHING
from ..positions import present
from ..traces import Trace
from .holders import Tally, Who
from .thinning import kept

#: Device of the host's memory.
HOST = -1
TOLD_SITES = 50
_NO_OPERATOR = "(no operator around it)"


class MemoryTally:
    """The memory of all traces and snapshots that are added."""

    def __init__(self) -> None:
        self._devices: list[DeviceMemory] = []
        self._failures: list[OutOfMemory] = []
        self._damage: list[str] = []

    def add(self, trace: Trace) -> None:
        """A trace of one rank."""
        self._devices += memory_of(trace)

    def take(self, snapshot: MemorySummary) -> int:
        """A snapshot; how many events it has."""
        self._devices += snapshot.devices
        self._failures += snapshot.out_of_memory
        self._damage += [snapshot.damaged] if snapshot.damaged else []
        return sum(device.events for device in snapshot.devices)

    def summary(self) -> MemorySummary | None:
        """None where nothing tells of memory."""
        if not self._devices:
            return None
        return MemorySummary(
            devices=self._devices, out_of_memory=self._failures, damaged=" ".join(self._damage)
        )


def memory_of(trace: Trace) -> list[DeviceMemory]:
    """The memory of each device that a trace has memory events of, the host's last."""
    found = trace.columns.allocations
    if found is None:
        return []
    keys = sorted(
        range(len(found.devices)), key=lambda key: (found.devices[key] == "cpu", found.devices[key])
    )
    around = _operators(trace, found)
    return [_device(trace.columns, found, key, trace.rank, around) for key in keys]


def _device(columns: Columns, found: Allocations, key: int, rank: int, around: Int64) -> DeviceMemory:
    events = np.flatnonzero(found.device == key)
    amount, address = found.bytes[events], found.address[events]
    addressed = bool(address.any())
    steps = _steps(address, amount) if addressed else amount
    curve = steps.cumsum()
    at = int(curve.argmax()) if len(curve) and curve.max() > 0 else -1
    allocated, reserved = found.allocated[events], found.reserved[events]
    told = bool(len(allocated)) and bool((allocated != NO_ID).all())
    chosen = kept(curve)
    # Old traces tell no addresses: what was freed is not known then, only how much.
    live = _live(address[: at + 1], amount[: at + 1]).tolist() if addressed else []
    tally = Tally()
    for place in live:
        operator = int(around[events[place]])
        name = columns.names[int(columns.name[operator])] if operator != NOTHING else _NO_OPERATOR
        tally.add(Who(name, None, "", ()), int(amount[place]))
    device = found.devices[key]
    last = int(allocated[-1]) if told else max(int(curve[-1]), 0)
    return DeviceMemory(
        device=int(device) if device.isdigit() else HOST,
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
        before=max(int(allocated[0] - amount[0]), 0) if told else 0,
        sites=tally.sites(TOLD_SITES),
        timeline=[
            MemoryPoint(at=float(found.ts[events[place]]) / 1000, bytes=int(curve[place]))
            for place in chosen.tolist()
        ],
    )


def _steps(address: Int64, amount: Int64) -> Int64:
    """Changes of what was allocated in the trace: a free of something older is none."""
    order, same = _by_address(address)
    ordered = amount[order]
    steps = np.maximum(ordered, 0)
    # A free gives back what the event before it at its address took; a free before it took nothing.
    steps[1:] -= np.where(same & (ordered[1:] < 0), steps[:-1], 0)
    found = np.empty_like(steps)
    found[order] = steps
    return found


def _live(address: Int64, amount: Int64) -> Int64:
    """Places of the allocations that no later event frees, rising."""
    order, same = _by_address(address)
    last = np.append(~same, True)[: len(order)]
    return np.sort(order[last & (amount[order] >= 0)])


def _by_address(address: Int64) -> tuple[Int64, npt.NDArray[np.bool_]]:
    """The events of one address behind each other, in their order, and whether each has that of the one before it."""
    order = np.argsort(address, kind="stable")
    ordered = address[order]
    return order, ordered[1:] == ordered[:-1]


def _operators(trace: Trace, found: Allocations) -> Int64:
    """The innermost operator around each event, on its thread; NOTHING without one."""
    columns, above = trace.columns, trace.around
    around = np.full(len(found.ts), NOTHING, np.int64)
    operators = np.flatnonzero(columns.kind == Kind.OPERATOR)
    for lane in present(len(columns.lanes), found.lane).tolist():
        events = np.flatnonzero(found.lane == lane)
        members = operators[columns.lane[operators] == lane]
        if not len(members):
            continue
        ts = found.ts[events]
        # The last operator that began before the event, or the one around it, ...: times nest on a thread.
        place = np.searchsorted(columns.ts[members], ts, side="right") - 1
        at = np.where(place >= 0, members[np.maximum(place, 0)], NOTHING)
        ended = np.flatnonzero(at != NOTHING)
        while len(ended := ended[columns.ends(at[ended]) < ts[ended]]):
            at[ended] = above[at[ended]]
            ended = ended[at[ended] != NOTHING]
        around[events] = at
    return around
