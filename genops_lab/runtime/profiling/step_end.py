"""What is done once a step's own slices are closed: a recording that began or ended inside would cut them in two."""

from __future__ import annotations

import sys
from typing import Any, Callable, Optional

from .lines import LineMarkers
from .markers import is_ours
from .slices import OpenSlices, is_of_torch

#: How torch calls the slice round an optimizer's step, in which its hooks run.
_OF_THE_STEP = "Optimizer.step#"


def behind_the_step(
    markers: Optional[LineMarkers], hearing: Any, slices: Optional[OpenSlices], action: Callable[[], None]
) -> None:
    """Do ``action`` at the caller's next line, where that is heard of; else behind the optimizer's slice, between the
    slices of lines. To be called in a hook of the optimizer."""

    def between_lines() -> None:
        if markers is not None and markers.on:
            markers.around(action)
        else:
            action()

    if markers is not None and markers.on:
        frame: Any = sys._getframe(1)
        while frame is not None and (
            is_of_torch(frame.f_code.co_filename) or is_ours(frame.f_code.co_filename)
        ):
            frame = frame.f_back
        code = frame.f_code if frame is not None else None
        if code is not None and code.co_filename in markers.files and hearing.hears(code):
            markers.pending = action
            return
    if slices is None or not slices.behind(_OF_THE_STEP, between_lines):
        between_lines()
