"""Snapshots of the CUDA allocator (``torch.cuda.memory._snapshot``): pickles, or the same as JSON."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from genops_lab.core.errors import InvalidRequest

from ...models import CategoryBytes, DeviceMemory, MemoryPoint, MemorySummary, OutOfMemory
from ..columns import Int64
from ..reading.kinds_of_files import unpacked
from . import plain_pickle
from .held import BEFORE_ALL, Blocks, Float64, Held
from .holders import BEFORE, Cell, Frames, Tally, Who
from .thinning import kept

LARGEST_FILE = 2 << 30
TOLD_SITES = 50
TOLD_HOLDERS = 20
#: So many failures are told in full: each asks for all that was held then.
TOLD_FAILURES = 20
ACTIVE = "active_allocated"
#: Times beyond are no microseconds since 1970.
MOST_US = 1e17


def read(path: Path, watch: Callable[[list[Held]], None] | None = None) -> MemorySummary:
    """What a snapshot says. ``watch`` is given what each of its devices held at any moment.

    Raises InvalidRequest for what is none (nothing in it is executed), OSError.
    """
    name = path.name
    if path.stat().st_size > LARGEST_FILE:
        raise InvalidRequest(
            f"{name} is larger than {LARGEST_FILE >> 30} GiB.",
            hint="Record fewer events: torch.cuda.memory._record_memory_history(max_entries=...).",
        )
    with _nothing_collected():
        return _read(path, watch)


@contextlib.contextmanager
def _nothing_collected() -> Iterator[None]:
    """All that is made stays until the end: a third of the time went into looking for what does not."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _read(path: Path, watch: Callable[[list[Held]], None] | None) -> MemorySummary:
    name, data = path.name, unpacked(path, LARGEST_FILE)
    if data[:1] == b"\x80":
        found = plain_pickle.load(data, name)
    else:
        try:
            found = msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise _no_snapshot(name) from error
    if not isinstance(found, dict) or not isinstance(found.get("segments"), list):
        raise _no_snapshot(name)
    read_ = _Snapshot(found, len(data))
    if watch is not None:
        watch(read_.held())
    return read_.summary()


def _no_snapshot(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"{name} is no memory snapshot: it has no list of segments.",
        hint="Give a file that torch.cuda.memory._dump_snapshot wrote, or the same as JSON.",
    )


@dataclass
class _Blocks:
    """The blocks of one device, as they stand."""

    reserved: int = 0
    allocated: int = 0
    active: int = 0
    segments: int = 0
    blocks: int = 0
    unused: int = 0
    largest_free: int = 0
    #: Address to size and frames, of those that somebody holds.
    held: dict[int, tuple[int, Any]] = field(default_factory=dict)


class _Snapshot:
    def __init__(self, found: dict[str, Any], size: int) -> None:
        self._found = found
        #: Everything takes a byte at least: lists that name one list many times would make walks endless.
        self._budget = size
        self._unusable = 0
        own = found.get("genops")
        #: What ``%genops memory`` adds: cells by the names of their files, retries by device.
        self._own: dict[str, Any] = own if isinstance(own, dict) else {}
        self._frames = Frames(self._cells())

    @cached_property
    def _recordings(self) -> list[_Recording]:
        blocks = self._segments()
        traces = self._found.get("device_traces")
        events = {
            number: self._mappings(trace)
            for number, trace in enumerate(traces if isinstance(traces, list) else [])
        }
        used = sorted(blocks.keys() | {number for number, each in events.items() if each})
        return [
            _Recording(number, events.get(number, []), blocks.get(number, _Blocks()), self._frames)
            for number in used
        ]

    def held(self) -> list[Held]:
        """What each device held at any moment."""
        return [recording.held() for recording in self._recordings]

    def summary(self) -> MemorySummary:
        failures: list[OutOfMemory] = []
        devices = []
        recordings = self._recordings
        unusable = self._unusable
        for recording in recordings:
            devices.append(recording.summary(self._retries(recording.device)))
            failures += recording.failures()
            unusable += recording.unusable
        damaged = f"{unusable} entries could not be read." if unusable else ""
        return MemorySummary(devices=devices, out_of_memory=failures, damaged=damaged)

    def _cells(self) -> dict[str, Cell]:
        given = self._own.get("cells")
        cells = {name: Cell.of(cell) for name, cell in given.items()} if isinstance(given, dict) else {}
        return {name: cell for name, cell in cells.items() if cell is not None}

    def _retries(self, device: int) -> int:
        given = self._own.get("retries")
        return _natural(given.get(str(device))) if isinstance(given, dict) else 0

    def _mappings(self, found: Any) -> list[dict[str, Any]]:
        if not isinstance(found, list):
            return []
        self._budget -= len(found)
        if self._budget < 0:
            raise InvalidRequest(
                "The snapshot holds more entries than a file of its size can tell: it names the same ones again "
                "and again.",
                hint="Dump the snapshot anew.",
                code="unsafe_pickle",
            )
        mappings = [each for each in found if isinstance(each, dict)]
        self._unusable += len(found) - len(mappings)
        return mappings

    def _segments(self) -> dict[int, _Blocks]:
        devices: dict[int, _Blocks] = {}
        for segment in self._mappings(self._found["segments"]):
            device = devices.setdefault(_natural(segment.get("device")), _Blocks())
            blocks = self._mappings(segment.get("blocks"))
            total = _natural(segment.get("total_size"))
            active = _natural(segment.get("active_size"))
            device.segments += 1
            device.blocks += len(blocks)
            device.reserved += total
            device.allocated += _natural(segment.get("allocated_size"))
            device.active += active
            device.unused += total - active if active else 0
            at = _natural(segment.get("address"))
            for block in blocks:
                size = _natural(block.get("size"))
                # Older versions of torch gave blocks no address: they lie side by side.
                address = block.get("address", at)
                address = address if isinstance(address, int) else at
                at += size
                if block.get("state") == ACTIVE:
                    device.held[address] = (size, block.get("frames") or _of_history(block))
                elif block.get("state") == "inactive":
                    device.largest_free = max(device.largest_free, size)
        return devices


def _of_history(block: dict[str, Any]) -> Any:
    """Where older versions of torch put the frames of a block."""
    history = block.get("history")
    latest = history[0] if isinstance(history, list) and history else None
    return latest.get("frames") if isinstance(latest, dict) else None


def _natural(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**62 else 0


@dataclass(frozen=True)
class _Change:
    """An event that changes what is held: a block more, or (``size`` below 0) one less."""

    event: int
    address: int
    size: int
    frames: Any


#: What changes how much is reserved, and whether it is more or less then.
_RESERVES = {"segment_alloc": 1, "segment_map": 1, "segment_free": -1, "segment_unmap": -1}


def _until(end: int, opened: tuple[int, int, Who]) -> tuple[int, int, int, Who]:
    begin, size, who = opened
    return begin, end, size, who


class _Recording:
    """What one device's allocator did while it was recorded."""

    def __init__(self, device: int, entries: list[dict[str, Any]], blocks: _Blocks, frames: Frames) -> None:
        self.device, self._entries, self._blocks, self._frames = device, entries, blocks, frames
        self.unusable = 0
        self._changes = list(self._followed())
        self._older = self._held_before()

    def _followed(self) -> Iterator[_Change]:
        """Allocations, and the frees of what was allocated while it was recorded or before."""
        sizes: dict[int, int] = {}
        for number, entry in enumerate(self._entries):
            action, address = entry.get("action"), entry.get("addr")
            if action not in ("alloc", "free_completed"):
                continue
            if not isinstance(address, int):
                self.unusable += 1
                continue
            size = _natural(entry.get("size"))
            if action == "alloc":
                sizes[address] = size
                yield _Change(number, address, size, entry.get("frames"))
            else:
                yield _Change(number, address, -sizes.pop(address, size), None)

    def _held_before(self) -> dict[int, tuple[int, Who]]:
        """What was held when the recording began: freed in it without an allocation in it, or held still."""
        older: dict[int, tuple[int, Who]] = {}
        seen: set[int] = set()
        for change in self._changes:
            if change.address not in seen and change.size < 0:
                older[change.address] = (-change.size, BEFORE)
            seen.add(change.address)
        for address, (size, frames) in self._blocks.held.items():
            if address not in seen:
                older[address] = (size, self._frames.who(frames) if frames else BEFORE)
        return older

    def summary(self, retries: int) -> DeviceMemory:
        blocks = self._blocks
        curve = self._curve()
        at = int(curve.argmax()) if len(curve) and curve.max() > 0 else -1
        peak = int(curve[at]) if at >= 0 else 0
        live = self._live(at + 1)
        tally, categories = Tally(), dict[Any, list[int]]()
        for size, who in live.values():
            tally.add(who, size)
            held = categories.setdefault(who.category, [0, 0])
            held[0] += size
            held[1] += 1
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
            sites=tally.sites(TOLD_SITES),
            categories=[
                CategoryBytes(category=category, bytes=held, blocks=count)
                for category, (held, count) in ranked
            ],
            timeline=[
                MemoryPoint(at=self._changes[place].event, bytes=int(curve[place]))
                for place in chosen.tolist()
            ],
            retries=retries,
        )

    def _curve(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Bytes after each change, of what was allocated while it was recorded."""
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

    def _live(self, changes: int) -> dict[int, tuple[int, Who]]:
        """What was allocated in the first ``changes`` changes, and held after them."""
        live: dict[int, _Change] = {}
        for change in self._changes[:changes]:
            if change.size >= 0:
                live[change.address] = change
            else:
                live.pop(change.address, None)
        return {address: (change.size, self._frames.who(change.frames)) for address, change in live.items()}

    def held(self) -> Held:
        """What was held at each of its moments."""
        moments = max(len(self._entries), 1)
        found = Blocks()
        # An older block is held until its address is given back, or given anew.
        open_ = {address: (BEFORE_ALL, size, who) for address, (size, who) in self._older.items()}
        for change in self._changes:
            if change.address in open_:
                found.add(*_until(change.event, open_.pop(change.address)))
            if change.size > 0:
                open_[change.address] = (change.event, change.size, self._frames.who(change.frames))
        for still in open_.values():
            found.add(*_until(moments, still))
        return found.held(
            self.device,
            moments,
            us=self._times(),
            reserved=self._reserved(moments),
            failures=[number for number, entry in enumerate(self._entries) if entry.get("action") == "oom"],
        )

    def _times(self) -> Float64:
        """Microseconds after the first event; empty where one is not told."""
        times = [entry.get("time_us") for entry in self._entries]
        told = [time for time in times if isinstance(time, (int, float)) and abs(time) < MOST_US]
        if not told or len(told) < len(times):
            return np.zeros(0)
        # Whole numbers since 1970 fit a double to a quarter of a microsecond, differences to much less.
        return np.array([time - told[0] for time in told], np.float64)

    def _reserved(self, moments: int) -> Int64:
        """What was reserved after each event, counted back from the end; empty where there are no segments."""
        if not self._blocks.reserved:
            return np.zeros(0, np.int64)
        steps = np.zeros(moments, np.int64)
        for number, entry in enumerate(self._entries):
            sign = _RESERVES.get(str(entry.get("action")), 0)
            if sign:
                steps[number] = sign * _natural(entry.get("size"))
        after: Int64 = steps[::-1].cumsum()[::-1] - steps
        return np.maximum(self._blocks.reserved - after, 0)

    def failures(self) -> list[OutOfMemory]:
        found = [
            (number, entry) for number, entry in enumerate(self._entries) if entry.get("action") == "oom"
        ]
        times = [entry.get("time_us") for entry in self._entries[:1]]
        began = times[0] if times and isinstance(times[0], (int, float)) else None
        return [self._failure(number, entry, began) for number, entry in found[-TOLD_FAILURES:]]

    def _failure(self, number: int, entry: dict[str, Any], began: float | None) -> OutOfMemory:
        earlier = sum(change.event < number for change in self._changes)
        freed = {change.address for change in self._changes[:earlier] if change.size < 0}
        tally, held = Tally(), 0
        older = {address: each for address, each in self._older.items() if address not in freed}
        for size, who in (*older.values(), *self._live(earlier).values()):
            tally.add(who, size)
            held += size
        asked = Tally()
        wanted = _natural(entry.get("size"))
        asked.add(self._frames.who(entry.get("frames")), wanted)
        time = entry.get("time_us")
        return OutOfMemory(
            device=self.device,
            wanted=wanted,
            free=_natural(entry.get("device_free")),
            at_us=float(time - began) if isinstance(time, (int, float)) and began is not None else None,
            event=number,
            held=held,
            holders=tally.sites(TOLD_HOLDERS),
            asked=asked.sites(1)[0],
        )
