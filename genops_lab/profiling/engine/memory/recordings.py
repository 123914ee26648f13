"""Replay the recording of one device's allocator: the owners of memory at the peak and at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...models import CategoryBytes, DeviceMemory, MemoryPoint, OutOfMemory
from ..columns import Float64, Int64
from .memory_timeline import BEFORE_ALL, Blocks, MemoryTimeline, kept
from .owners import BEFORE, Frames, Owner, Tally

MOST_SITES = 50
MOST_OWNERS, MOST_OLDER = 20, 10
#: Most failures with owners; each one reads all memory in use at its time.
MOST_FAILURES = 20
#: Later times are not microseconds since 1970.
MOST_US = 1e17


@dataclass
class Standing:
    """The blocks of one device at the time of the snapshot."""

    reserved: int = 0
    allocated: int = 0
    active: int = 0
    segments: int = 0
    blocks: int = 0
    unused: int = 0
    largest_free: int = 0
    #: Address to size and frames of the blocks in use.
    held: dict[int, tuple[int, Any]] = field(default_factory=dict)


def natural(value: Any) -> int:
    """Return a size from the file; 0 for an invalid one."""
    return value if isinstance(value, int) and 0 <= value < 2**62 else 0


@dataclass(frozen=True)
class _Change:
    """An event that changes the memory in use: an allocated block, or a freed one (negative ``size``)."""

    event: int
    address: int
    size: int
    frames: Any


#: Events that change the reserved memory, with the direction.
_RESERVES = {"segment_alloc": 1, "segment_map": 1, "segment_free": -1, "segment_unmap": -1}


def _until(end: int, opened: tuple[int, int, Owner]) -> tuple[int, int, int, Owner]:
    begin, size, who = opened
    return begin, end, size, who


class Recording:
    """The recording of one device's allocator."""

    def __init__(self, device: int, entries: list[dict[str, Any]], blocks: Standing, frames: Frames) -> None:
        self.device, self._entries, self._blocks, self._frames = device, entries, blocks, frames
        self.unusable = 0
        self._changes = list(self._followed())
        self._older = self._held_before()

    def _followed(self) -> Iterator[_Change]:
        """Return allocations, and the frees of known blocks."""
        sizes: dict[int, int] = {}
        for number, entry in enumerate(self._entries):
            action, address = entry.get("action"), entry.get("addr")
            if action not in ("alloc", "free_completed"):
                continue
            if not isinstance(address, int):
                self.unusable += 1
                continue
            size = natural(entry.get("size"))
            if action == "alloc":
                sizes[address] = size
                yield _Change(number, address, size, entry.get("frames"))
            else:
                yield _Change(number, address, -sizes.pop(address, size), None)

    def _held_before(self) -> dict[int, tuple[int, Owner]]:
        """Return the blocks in use when the recording began: freed in it without an allocation, or still in
        use."""
        older: dict[int, tuple[int, Owner]] = {}
        seen: set[int] = set()
        for change in self._changes:
            if change.address not in seen and change.size < 0:
                older[change.address] = (-change.size, BEFORE)
            seen.add(change.address)
        for address, (size, frames) in self._blocks.held.items():
            if address not in seen:
                older[address] = (size, self._frames.owner_of(frames) if frames else BEFORE)
        return older

    def summary(self, retries: int) -> DeviceMemory:
        """Return the summary of the device, with the owners at the peak."""
        blocks = self._blocks
        curve = self._curve()
        at = int(curve.argmax()) if len(curve) and curve.max() > 0 else -1
        peak = int(curve[at]) if at >= 0 else 0
        live = self._live(at + 1)
        tally, older, categories = Tally(), Tally(), dict[Any, list[int]]()
        for size, who in self._older.values():
            older.add(who, size)
        for size, who in live.values():
            tally.add(who, size)
            total = categories.setdefault(who.category, [0, 0])
            total[0] += size
            total[1] += 1
        ranked = sorted(categories.items(), key=lambda each: -each[1][0])
        chosen = kept(curve)
        return DeviceMemory(
            device=self.device,
            reserved=blocks.reserved,
            allocated=blocks.allocated,
            active=blocks.active,
            segments=blocks.segments,
            blocks=blocks.blocks,
            fragmentation=blocks.unused / blocks.reserved if blocks.reserved else 0.0,
            largest_free=blocks.largest_free,
            events=len(self._entries),
            peak=peak,
            peak_event=self._changes[at].event if at >= 0 else -1,
            live_at_peak=len(live),
            before=sum(size for size, _ in self._older.values()),
            before_sites=older.sites(MOST_OLDER),
            sites=tally.sites(MOST_SITES),
            categories=[
                CategoryBytes(category=category, bytes=total, blocks=count)
                for category, (total, count) in ranked
            ],
            timeline=[
                MemoryPoint(at=self._changes[place].event, bytes=int(curve[place]))
                for place in chosen.tolist()
            ],
            retries=retries,
        )

    def _curve(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return the bytes after each change, of memory allocated during the recording."""
        steps = np.zeros(len(self._changes), np.int64)
        known: set[int] = set()
        for place, change in enumerate(self._changes):
            if change.size >= 0:
                known.add(change.address)
                steps[place] = change.size
            elif change.address in known:
                known.remove(change.address)
                steps[place] = change.size
        return steps.cumsum()

    def _live(self, changes: int) -> dict[int, tuple[int, Owner]]:
        """Return the blocks that were allocated in the first ``changes`` changes and are in use after
        them."""
        live: dict[int, _Change] = {}
        for change in self._changes[:changes]:
            if change.size >= 0:
                live[change.address] = change
            else:
                live.pop(change.address, None)
        return {
            address: (change.size, self._frames.owner_of(change.frames)) for address, change in live.items()
        }

    def timeline(self) -> MemoryTimeline:
        """Return the memory over time."""
        moments = max(len(self._entries), 1)
        found = Blocks()
        # An older block is in use until its address is freed or allocated again.
        open_ = {address: (BEFORE_ALL, size, who) for address, (size, who) in self._older.items()}
        for change in self._changes:
            if change.address in open_:
                found.add(*_until(change.event, open_.pop(change.address)))
            if change.size > 0:
                open_[change.address] = (change.event, change.size, self._frames.owner_of(change.frames))
        for still in open_.values():
            found.add(*_until(moments, still))
        return found.timeline(
            self.device,
            moments,
            us=self._times(),
            reserved=self._reserved(moments),
            failures=[number for number, entry in enumerate(self._entries) if entry.get("action") == "oom"],
        )

    def _times(self) -> Float64:
        """Return the microseconds after the first event; empty if one is not known."""
        times = [entry.get("time_us") for entry in self._entries]
        usable = [time for time in times if isinstance(time, (int, float)) and abs(time) < MOST_US]
        if not usable or len(usable) < len(times):
            return np.zeros(0)
        # A double represents microseconds since 1970 to a quarter of a microsecond, and differences better.
        return np.array([time - usable[0] for time in usable], np.float64)

    def _reserved(self, moments: int) -> Int64:
        """Return the reserved memory after each event, counted back from the end; empty without segments."""
        if not self._blocks.reserved:
            return np.zeros(0, np.int64)
        steps = np.zeros(moments, np.int64)
        for number, entry in enumerate(self._entries):
            sign = _RESERVES.get(str(entry.get("action")), 0)
            if sign:
                steps[number] = sign * natural(entry.get("size"))
        after: Int64 = steps[::-1].cumsum()[::-1] - steps
        return np.maximum(self._blocks.reserved - after, 0)

    def failures(self) -> list[OutOfMemory]:
        """Return the last failed allocations, with the owners of the memory at that time."""
        found = [
            (number, entry) for number, entry in enumerate(self._entries) if entry.get("action") == "oom"
        ]
        times = [entry.get("time_us") for entry in self._entries[:1]]
        began = times[0] if times and isinstance(times[0], (int, float)) else None
        return [self._failure(number, entry, began) for number, entry in found[-MOST_FAILURES:]]

    def _failure(self, number: int, entry: dict[str, Any], began: float | None) -> OutOfMemory:
        earlier = sum(change.event < number for change in self._changes)
        freed = {change.address for change in self._changes[:earlier] if change.size < 0}
        tally, in_use = Tally(), 0
        older = {address: each for address, each in self._older.items() if address not in freed}
        for size, who in (*older.values(), *self._live(earlier).values()):
            tally.add(who, size)
            in_use += size
        asked = Tally()
        wanted = natural(entry.get("size"))
        asked.add(self._frames.owner_of(entry.get("frames")), wanted)
        time = entry.get("time_us")
        return OutOfMemory(
            device=self.device,
            wanted=wanted,
            free=natural(entry.get("device_free")),
            at_us=float(time - began) if isinstance(time, (int, float)) and began is not None else None,
            event=number,
            held=in_use,
            holders=tally.sites(MOST_OWNERS),
            asked=asked.sites(1)[0],
        )
