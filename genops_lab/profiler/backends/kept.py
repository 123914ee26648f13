"""A profile's columns and what was held over time, kept in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import InvalidRequest

if TYPE_CHECKING:
    from ..engine.columns import Columns
    from ..engine.memory.held import Held

#: The folders' names below that of the profile.
COLUMNS, MEMORY = "columns", "memory"


def kept_columns(folder: Path, trace: Path) -> Columns:
    """Memory-mapped; made again of the trace where they are of another version. Raises NotFound, InvalidRequest."""
    from ..engine import read, stored

    if trace.is_dir():
        raise InvalidRequest(
            f"{trace.name} has the traces of several ranks, which have no timeline in common.",
            hint="Open the trace of one rank.",
        )
    if not stored.is_stored(folder / COLUMNS):
        stored.save(read(trace), folder / COLUMNS)
    return stored.load(folder / COLUMNS)


def kept_memory(folder: Path, trace: Path) -> list[Held]:
    """What each device held, memory-mapped; made of the trace where it is not kept. Raises what reading raises."""
    from ..engine.memory import tables

    found = tables.load(folder / MEMORY)
    if found is None:
        tables.save(_held(folder, trace), folder / MEMORY)
        found = tables.load(folder / MEMORY)
    return found or []


def _held(folder: Path, trace: Path) -> list[Held]:
    from ..engine import stored
    from ..engine.memory.files import held, held_of_columns

    if not stored.is_stored(folder / COLUMNS):
        return held(trace)
    columns = stored.load(folder / COLUMNS)
    return held_of_columns(columns, columns.rank or 0)
