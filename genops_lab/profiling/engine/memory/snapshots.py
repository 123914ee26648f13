"""Read snapshots of the CUDA allocator (``torch.cuda.memory._snapshot``): pickles, or the same data as
JSON."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.errors import InvalidRequest

from ...models import MemorySummary, OutOfMemory
from ..reading.kinds_of_files import unpacked
from . import plain_pickle
from .memory_timeline import MemoryTimeline
from .owners import Cell, Frames
from .recordings import Recording, Standing, natural

LARGEST_FILE = 2 << 30
ACTIVE = "active_allocated"


def read(path: Path, watch: Callable[[list[MemoryTimeline]], None] | None = None) -> MemorySummary:
    """Return the summary of a snapshot. ``watch`` is called with the memory over time of each device.

    Raises OSError, and InvalidRequest for a file that is not a snapshot (nothing in it is executed).
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
    """Switch the garbage collector off: all objects stay until the end, and a third of the time went into
    collections."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _read(path: Path, watch: Callable[[list[MemoryTimeline]], None] | None) -> MemorySummary:
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
    # The content of a refused file is not part of the message.
    summary = read_.summary()
    if watch is not None:
        watch(read_.timelines())
    return summary


def _no_snapshot(name: str) -> InvalidRequest:
    return InvalidRequest(
        f"{name} is not a memory snapshot: it has no list of segments.",
        hint="Give a file from torch.cuda.memory._dump_snapshot, or the same data as JSON.",
    )


class _Snapshot:
    def __init__(self, found: dict[str, Any], size: int) -> None:
        self._found = found
        #: Every entry takes at least a byte: lists that name one list many times would make endless loops.
        self._budget = size
        self._unusable = 0
        own = found.get("genops")
        #: Data that ``%genops memory`` adds: cells by file name, retries by device.
        self._own: dict[str, Any] = own if isinstance(own, dict) else {}
        self._frames = Frames(self._cells())

    @cached_property
    def _recordings(self) -> list[Recording]:
        blocks = self._segments()
        traces = self._found.get("device_traces")
        events = {
            number: self._mappings(trace)
            for number, trace in enumerate(traces if isinstance(traces, list) else [])
        }
        used = sorted(blocks.keys() | {number for number, each in events.items() if each})
        return [
            Recording(number, events.get(number, []), blocks.get(number, Standing()), self._frames)
            for number in used
        ]

    def timelines(self) -> list[MemoryTimeline]:
        """Return the memory over time of each device."""
        return [recording.timeline() for recording in self._recordings]

    def summary(self) -> MemorySummary:
        """Return the summary of all devices."""
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
        return natural(given.get(str(device))) if isinstance(given, dict) else 0

    def _mappings(self, found: Any) -> list[dict[str, Any]]:
        if not isinstance(found, list):
            return []
        self._budget -= len(found)
        if self._budget < 0:
            raise InvalidRequest(
                "The snapshot has more entries than a file of this size can have: it refers to the same entries many "
                "times.",
                hint="Write a new snapshot.",
                code="unsafe_pickle",
            )
        mappings = [each for each in found if isinstance(each, dict)]
        self._unusable += len(found) - len(mappings)
        return mappings

    def _segments(self) -> dict[int, Standing]:
        devices: dict[int, Standing] = {}
        for segment in self._mappings(self._found["segments"]):
            device = devices.setdefault(natural(segment.get("device")), Standing())
            blocks = self._mappings(segment.get("blocks"))
            total = natural(segment.get("total_size"))
            active = natural(segment.get("active_size"))
            device.segments += 1
            device.blocks += len(blocks)
            device.reserved += total
            device.allocated += natural(segment.get("allocated_size"))
            device.active += active
            device.unused += total - active if active else 0
            at = natural(segment.get("address"))
            for block in blocks:
                size = natural(block.get("size"))
                # Older versions of torch gave blocks no address: they are adjacent.
                address = block.get("address", at)
                address = address if isinstance(address, int) else at
                at += size
                if block.get("state") == ACTIVE:
                    device.held[address] = (size, block.get("frames") or _of_history(block))
                elif block.get("state") == "inactive":
                    device.largest_free = max(device.largest_free, size)
        return devices


def _of_history(block: dict[str, Any]) -> Any:
    """Return the frames of a block where older versions of torch put them."""
    history = block.get("history")
    latest = history[0] if isinstance(history, list) and history else None
    return latest.get("frames") if isinstance(latest, dict) else None
