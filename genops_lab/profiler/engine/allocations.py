"""Memory events of traces (``profile_memory=True``): what was held at the peak, and by which operator."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..models import DeviceMemory, MemoryPoint, MemorySummary, OutOfMemory
from .columns import NO_ID, Allocations, Columns, Int64
from .frames import Tally, Who
from .kinds import Kind
from .nesting import NOTHING, parents
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

    def add(self, columns: Columns, rank: int) -> None:
        """A trace of one rank."""
        self._devices += memory_of(columns, rank)

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


def memory_of(columns: Columns, rank: int) -> list[DeviceMemory]:
    """The memory of each device that a trace has memory events of, the host's last."""
    found = columns.allocations
    if found is None:
        return []
    keys = sorted(
        range(len(found.devices)), key=lambda key: (found.devices[key] == "cpu", found.devices[key])
    )
    around = _operators(columns, found)
    return [_device(columns, found, key, rank, around) for key in keys]


def _device(columns: Columns, found: Allocations, key: int, rank: int, around: Int64) -> DeviceMemory:
    events = np.flatnonzero(found.device == key)
    amount, address = found.bytes[events], found.address[events]
    addressed = bool(address.any())
    steps = np.array(list(_steps(address.tolist(), amount.tolist())), np.int64) if addressed else amount
    curve = steps.cumsum()
    at = int(curve.argmax()) if len(curve) and curve.max() > 0 else -1
    allocated, reserved = found.allocated[events], found.reserved[events]
    told = bool(len(allocated)) and bool((allocated != NO_ID).all())
    chosen = kept(curve)
    # Old traces tell no addresses: what was freed is not known then, only how much.
    live = _live(address[: at + 1].tolist(), amount[: at + 1].tolist()) if addressed else []
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


def _steps(addresses: list[int], amounts: list[int]) -> Iterator[int]:
    """Changes of what was allocated in the trace: a free of something older is none."""
    sizes: dict[int, int] = {}
    for address, amount in zip(addresses, amounts, strict=True):
        if amount >= 0:
            sizes[address] = amount
            yield amount
        else:
            yield -sizes.pop(address, 0)


def _live(addresses: list[int], amounts: list[int]) -> list[int]:
    """Places of the allocations that no later event frees, in their order."""
    live: dict[int, int] = {}
    for place, (address, amount) in enumerate(zip(addresses, amounts, strict=True)):
        live.pop(address, None)
        if amount >= 0:
            live[address] = place
    return list(live.values())


def _operators(columns: Columns, found: Allocations) -> Int64:
    """The innermost operator around each event, on its thread; NOTHING without one."""
    around = np.full(len(found.ts), NOTHING, np.int64)
    above = parents(columns, [Kind.OPERATOR])
    operators = np.flatnonzero(columns.kind == Kind.OPERATOR)
    for lane in np.unique(found.lane).tolist():
        events = np.flatnonzero(found.lane == lane)
        members = operators[columns.lane[operators] == lane]
        if not len(members):
            continue
        ts = found.ts[events]
        # The last operator that began before the event, or the one around it, ...: times nest on a thread.
        place = np.searchsorted(columns.ts[members], ts, side="right") - 1
        at = np.where(place >= 0, members[np.maximum(place, 0)], NOTHING)
        while (ended := (at != NOTHING) & (columns.end[at] < ts)).any():
            at[ended] = above[at[ended]]
        around[events] = at
    return around
