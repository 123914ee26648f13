"""Real traces, which lie beside the checkout where they are at all."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genops_lab.profiling.models import ProfileSummary


def _traces() -> Path:
    """A worktree lies a folder deeper than the checkout."""
    places = [parent / "shared" / "traces" for parent in Path(__file__).resolve().parents[2:]]
    return next((place for place in places if place.is_dir()), places[1])


#: Where they are, or would be.
TRACES = Path(os.environ.get("GENOPS_TRACES") or _traces())


def real_trace(name: str) -> Path:
    """Where a Kineto trace is, or would be."""
    return TRACES / "kineto" / name


@functools.cache
def analyzed(*place: str) -> ProfileSummary:
    """What a trace below ``TRACES`` says, or a folder's; analysed once a process, for nothing changes a summary."""
    from genops_lab.profiling import analyze

    return analyze(TRACES.joinpath(*place))
