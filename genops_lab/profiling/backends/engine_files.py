"""Read the engine's files of a profile whose trace may be on a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict, NotFound

if TYPE_CHECKING:
    from ..engine.columns import Columns
    from ..engine.memory.memory_timeline import MemoryTimeline

#: Error code for an operation that needs a trace on a target.
ELSEWHERE = "trace_elsewhere"


def split_target(trace_path: str) -> tuple[str, str]:
    """Return the target and the path of a trace that is stored as ``target:path``; the target is "" for this
    machine."""
    target, colon, path = trace_path.partition(":")
    return (target, path) if colon and not trace_path.startswith("/") else ("", trace_path)


def check_is_here(trace: Path) -> None:
    """Raise Conflict for a trace on a target."""
    target, _ = split_target(str(trace))
    if target:
        raise Conflict(
            f"This needs the whole trace, which is on {target}.",
            hint="Choose Fetch the trace in the profile, or run: genops profiles fetch ID",
            code=ELSEWHERE,
        )


def kept_columns(folder: Path, trace: Path, rank: int | None = None) -> Columns:
    """Return the columns, as the engine does. Raises Conflict too, where they must be made from a trace on a
    target."""
    from ..engine import profile_folder

    try:
        return profile_folder.kept_columns(folder, trace, rank)
    except NotFound:
        check_is_here(trace)
        raise


def kept_memory(folder: Path, trace: Path) -> list[MemoryTimeline]:
    """Return the memory, as the engine does. Raises Conflict too, where it must be made from a trace on a
    target."""
    from ..engine import profile_folder

    try:
        return profile_folder.kept_memory(folder, trace)
    except NotFound:
        check_is_here(trace)
        raise
