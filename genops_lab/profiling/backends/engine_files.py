"""What the engine keeps of a profile, where its trace may lie on a target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict, NotFound

if TYPE_CHECKING:
    from ..engine.columns import Columns
    from ..engine.memory.memory_timeline import MemoryTimeline

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


def kept_columns(folder: Path, trace: Path, rank: int | None = None) -> Columns:
    """As the engine's; raises Conflict besides, where they are to be made of a trace that lies on a target."""
    from ..engine import profile_folder

    try:
        return profile_folder.kept_columns(folder, trace, rank)
    except NotFound:
        check_is_here(trace)
        raise


def kept_memory(folder: Path, trace: Path) -> list[MemoryTimeline]:
    """As the engine's; raises Conflict besides, where it is to be made of a trace that lies on a target."""
    from ..engine import profile_folder

    try:
        return profile_folder.kept_memory(folder, trace)
    except NotFound:
        check_is_here(trace)
        raise
