"""A profile's columns, kept in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict, InvalidRequest

if TYPE_CHECKING:
    from ..engine.columns import Columns

#: The folder's name below that of the profile.
COLUMNS = "columns"
#: The code of what cannot be done while the trace lies on a target.
ELSEWHERE = "trace_elsewhere"


def lies_on(trace_path: str) -> tuple[str, str]:
    """The target and the path of a trace, as ``target:path`` is kept; "" for one of this machine."""
    target, colon, path = trace_path.partition(":")
    return (target, path) if colon and not trace_path.startswith("/") else ("", trace_path)


def check_is_here(trace: Path) -> None:
    """Raises Conflict for a trace that lies on a target."""
    target, _ = lies_on(str(trace))
    if target:
        raise Conflict(
            f"This needs the whole trace, which lies on {target}.",
            hint="Fetch the trace first.",
            code=ELSEWHERE,
        )


def kept_columns(folder: Path, trace: Path) -> Columns:
    """Memory-mapped; made again of the trace where they are of another version. Raises NotFound, InvalidRequest, and
    Conflict where that trace lies on a target."""
    from ..engine import read, stored

    if trace.is_dir():
        raise InvalidRequest(
            f"{trace.name} has the traces of several ranks, which have no timeline in common.",
            hint="Open the trace of one rank.",
        )
    if not stored.is_stored(folder / COLUMNS):
        check_is_here(trace)
        stored.save(read(trace), folder / COLUMNS)
    return stored.load(folder / COLUMNS)
