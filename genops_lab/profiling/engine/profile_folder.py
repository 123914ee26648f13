"""The columns of a profile in its folder: one trace in ``columns``, several ranks in ``ranks/N/columns``,
memory over time in ``memory``.

``ranks/ranks.json`` maps files to ranks and has the offsets of their clocks. It is written last: without it,
the traces are read again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from genops_lab.core.errors import NotFound

from ..models import ProfileSummary
from . import analyze, column_files
from .columns import Columns
from .memory import tables
from .memory.files import timelines_of_columns, timelines_of_snapshots
from .memory.memory_timeline import MemoryTimeline
from .reading.files import ranked, read
from .reading.kinds_of_files import FileKind, LeftOut, kind_of_file
from .timeline.clocks import Beats, RankClock, aligned, beats_of
from .traces import Trace

COLUMNS, RANKS, MEMORY = "columns", "ranks", "memory"
INDEX = "ranks.json"
VERSION = 2
#: Events whose columns are stored for all ranks together, some 2 GB; other ranks are read on first use.
MOST_SLICES = 50_000_000


class KeptRank(msgspec.Struct, frozen=True, kw_only=True):
    """A stored rank. ``file`` is the name of its trace in the folder of traces."""

    rank: int
    file: str
    clock: RankClock


class _Index(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    ranks: list[KeptRank]


def analyze_into(folder: str | os.PathLike[str], trace: str | os.PathLike[str]) -> ProfileSummary:
    """Return the summary of a trace, or of a folder of traces, and store the columns in ``folder``.

    Raises the errors of :func:`analyze`.
    """
    folder, trace = Path(folder), Path(trace)
    if not trace.is_dir():
        return analyze(
            trace,
            watch=lambda found, _: column_files.save(found.columns, folder / COLUMNS),
            watch_memory=lambda timelines: tables.save(timelines, folder / MEMORY),
        )
    keeper = _Keeper(folder)
    summary = analyze(trace, watch=keeper.take)
    keeper.finish()
    return summary


def kept_ranks(folder: Path, trace: Path) -> list[KeptRank]:
    """Return the ranks of a folder of traces, in order; none for one trace. The folder is read again where
    they are not stored.

    Raises NotFound, InvalidRequest.
    """
    try:
        index = msgspec.json.decode((folder / RANKS / INDEX).read_bytes(), type=_Index)
        if index.version == VERSION:
            return index.ranks
    except (OSError, msgspec.DecodeError):
        if not trace.is_dir():
            return []
    keeper = _Keeper(folder)
    files, left_out = LeftOut.of(trace)
    traces, _ = left_out.by_kind(files)
    for path, found in ranked(traces, left_out):
        keeper.take(found, path)
    left_out.require_any_of(files)
    return keeper.finish()


class Kept(NamedTuple):
    """The place of a trace's columns, and its file. ``rank`` is 0 where there is one trace."""

    rank: int
    place: Path
    file: Path


def kept_place(folder: Path, trace: Path, rank: int | None = None) -> Kept:
    """Return the place of a trace; of several ranks, the first one where ``rank`` is None.

    Raises NotFound for a missing rank, InvalidRequest.
    """
    ranks = kept_ranks(folder, trace)
    if not ranks:
        return Kept(0, folder, trace)
    found = next((each for each in ranks if rank in (None, each.rank)), None)
    if found is None:
        raise NotFound(f"This profile has no rank {rank}.", hint=f"Choose one of {_listed(ranks)}.")
    return Kept(found.rank, folder / RANKS / str(found.rank), trace / found.file)


def kept_columns(folder: Path, trace: Path, rank: int | None = None) -> Columns:
    """Return the columns, memory-mapped. They are made again from the trace where they have another version.
    A single trace is used for any rank. Raises NotFound, InvalidRequest."""
    _, place, file = kept_place(folder, trace, rank)
    if not column_files.is_stored(place / COLUMNS):
        column_files.save(read(file), place / COLUMNS)
    return column_files.load(place / COLUMNS)


def kept_memory(folder: Path, trace: Path) -> list[MemoryTimeline]:
    """Return the memory of each device over time, memory-mapped; it is made from the trace where it is not
    stored. Raises the errors of reading."""
    found = tables.load(folder / MEMORY)
    if found is None:
        tables.save(_held(folder, trace), folder / MEMORY)
        found = tables.load(folder / MEMORY)
    return found or []


def _held(folder: Path, trace: Path) -> list[MemoryTimeline]:
    """Return the memory in the order of the summary."""
    if not trace.exists() and column_files.is_stored(folder / COLUMNS):
        # The trace is on a target: its columns have the same data.
        columns = column_files.load(folder / COLUMNS)
        return timelines_of_columns(columns, columns.rank or 0)
    found = timelines_of_snapshots(trace)
    if trace.is_dir():
        for each in kept_ranks(folder, trace):
            found += timelines_of_columns(kept_columns(folder, trace, each.rank), each.rank)
    elif not found and kind_of_file(trace) is not FileKind.SNAPSHOT:
        columns = kept_columns(folder, trace)
        found = timelines_of_columns(columns, columns.rank or 0)
    return found


class _Keeper:
    """Stores the columns of one rank after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / RANKS
        self._files: dict[int, str] = {}
        self._beats: list[Beats] = []
        self._slices = 0

    def take(self, trace: Trace, path: Path) -> None:
        self._slices += len(trace.columns)
        if self._slices <= MOST_SLICES:
            column_files.save(trace.columns, self._folder / str(trace.rank) / COLUMNS)
        self._files[trace.rank] = path.name
        self._beats.append(beats_of(trace.columns, trace.rank))

    def finish(self) -> list[KeptRank]:
        self._folder.mkdir(parents=True, exist_ok=True)
        clocks = aligned(sorted(self._beats, key=lambda each: each.rank))
        ranks = [KeptRank(rank=each.rank, file=self._files[each.rank], clock=each) for each in clocks]
        (self._folder / INDEX).write_bytes(msgspec.json.encode(_Index(version=VERSION, ranks=ranks)))
        return ranks


def _listed(ranks: list[KeptRank]) -> str:
    """Return some of the ranks as text."""
    first = [str(each.rank) for each in ranks[:8]]
    return ", ".join(first) + (", …" if len(ranks) > len(first) else "")
