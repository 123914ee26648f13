"""Read memory from a file of any kind."""

from __future__ import annotations

import os
from pathlib import Path

from genops_lab.core.errors import InvalidRequest

from ...models import MemorySummary
from ..columns import Columns
from ..reading.kinds_of_files import FileKind, LeftOut, kind_of_file
from . import snapshots
from .memory_timeline import MemoryTimeline


def memory(path: str | os.PathLike[str]) -> MemorySummary:
    """Return the memory of a snapshot, or of a trace with memory events. Raises InvalidRequest for a file
    without either."""
    from .. import analyze

    file = Path(path)
    if kind_of_file(file) is FileKind.SNAPSHOT:
        return snapshots.read(file)
    found = analyze(file).memory
    if found is None:
        raise InvalidRequest(
            f"{file.name} has no memory events.",
            hint="Record a trace with profile_memory=True, or record the allocator's history: `%genops memory record`.",
        )
    return found


def timelines_of_snapshots(path: Path) -> list[MemoryTimeline]:
    """Return the memory over time from a snapshot, or from the snapshots in a folder. Raises the errors of
    reading."""
    found: list[MemoryTimeline] = []
    files, left_out = LeftOut.of(path)
    _, of_memory = left_out.by_kind(files)
    for file in of_memory:
        with left_out.reading(file):
            snapshots.read(file, found.extend)
    return found


def timelines_of_columns(columns: Columns, rank: int) -> list[MemoryTimeline]:
    """Return the memory over time from a trace of one rank."""
    from ..attribution.lines import Lines
    from ..traces import Trace
    from .allocations import timelines_of

    return timelines_of(Trace(columns, rank), Lines(columns)) if columns.allocations is not None else []
