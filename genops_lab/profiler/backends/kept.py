"""A profile's columns, kept in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import InvalidRequest

if TYPE_CHECKING:
    from ..engine.columns import Columns

#: The folder's name below that of the profile.
COLUMNS = "columns"


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
