"""Store the memory over time in a folder and open it memory-mapped, so that a snapshot is read only once.

The folder has one ``.npy`` file per array and device, and ``memory.json`` with everything else, which is
written last.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..column_files import written_whole
from .memory_timeline import MemoryTimeline
from .owners import Owner

#: Raised by one whenever stored data would be read wrongly.
VERSION = 1
MANIFEST = "memory.json"
_ARRAYS = ("begin", "end", "bytes", "line", "category", "us", "reserved", "rest")


class _Device(msgspec.Struct):
    device: int
    rank: int | None
    moments: int
    lines: list[Owner]
    rest: Owner
    failures: list[int]
    by_time: bool


class _Manifest(msgspec.Struct):
    version: int
    devices: list[_Device]


def save(found: list[MemoryTimeline], folder: Path) -> None:
    """Write ``folder`` completely or not at all. Raises OSError."""
    with written_whole(folder) as aside:
        for number, timeline in enumerate(found):
            for name in _ARRAYS:
                np.save(_file(aside, number, name), getattr(timeline, name), allow_pickle=False)
        devices = [
            _Device(
                device=timeline.device,
                rank=timeline.rank,
                moments=timeline.moments,
                lines=timeline.lines,
                rest=timeline.rest_who,
                failures=timeline.failures,
                by_time=timeline.by_time,
            )
            for timeline in found
        ]
        manifest = _Manifest(VERSION, devices)
        (aside / MANIFEST).write_bytes(msgspec.json.encode(manifest))


def load(folder: Path) -> list[MemoryTimeline] | None:
    """Return the data that ``save`` wrote; None where it is missing, incomplete or of another version."""
    try:
        manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=_Manifest)
        if manifest.version != VERSION:
            return None
        return [_loaded(folder, number, each) for number, each in enumerate(manifest.devices)]
    except (OSError, ValueError, EOFError):
        return None


def _loaded(folder: Path, number: int, kept: _Device) -> MemoryTimeline:
    arrays: dict[str, Any] = {name: _mapped(_file(folder, number, name)) for name in _ARRAYS}
    return MemoryTimeline(
        **arrays,
        device=kept.device,
        rank=kept.rank,
        moments=kept.moments,
        lines=kept.lines,
        rest_who=kept.rest,
        failures=kept.failures,
        by_time=kept.by_time,
    )


def _file(folder: Path, number: int, name: str) -> Path:
    return folder / f"{number}.{name}.npy"


def _mapped(path: Path) -> npt.NDArray[Any]:
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except ValueError:
        # An empty array has no data to map.
        return np.asarray(np.load(path, allow_pickle=False))
