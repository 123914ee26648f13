"""What was recorded and what it cost, in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, List

from .budget import told_lines
from .steps import cost

if TYPE_CHECKING:
    from .capture import Capture
    from .lines import LineMarkers

_WORTH_TELLING_S = 1.0
_WORTH_TELLING_PERCENT = 1.0
#: A recording that begins so late misses something of the code.
_LATE_S = 0.05


def told(capture: "Capture") -> str:
    """Of a capture that has ended; empty where all of it was recorded at no known cost."""
    said: List[str] = [_extent(capture)]
    compared = cost(capture.recorded_s, capture.unrecorded_s)
    if compared is not None:
        said.append(str(compared))
    markers = capture.markers
    if markers is not None:
        said.extend(_unmarked(markers))
    if capture.first_start_s >= _WORTH_TELLING_S:
        took = f"{capture.first_start_s:.1f} s"
        said.append(f"The profiler's first start in this kernel took {took}, unrecorded.")
    said.append(capture.trouble)
    return " ".join(one for one in said if one)


def _unmarked(markers: "LineMarkers") -> List[str]:
    """What has no marker, by which lines, and how much of the time it is at most."""
    said = []
    muted = sorted({code.co_name for code in markers.budget.muted})
    if muted:
        said.append(
            f"Lines of {', '.join(muted)} ran too often to be marked; what they did counts for their callers."
        )
    lines = "; ".join(told_lines(markers.budget))
    if lines:
        said.append(f"Too often to be marked ran {lines}; what they did counts for what is around them.")
    percent = 100 * markers.unheard_s / markers.seconds if markers.seconds else 0.0
    if percent >= _WORTH_TELLING_PERCENT:
        part = f"{min(percent, 100.0):.0f} % of the time"
        said.append(
            f"Up to {part} thus has no line of its own."
            if said
            else f"Other code was called so often that lines were not always heard of: up to {part} has none."
        )
    return said


def _extent(capture: "Capture") -> str:
    part = capture.chosen()
    if part is None:
        return ""
    wishes = capture.wishes
    bound = {
        "time": f"{wishes.seconds:g} s (more with --seconds)",
        "memory": f"{wishes.megabytes:g} MB of memory (more with --megabytes)",
        "growth": "the code's own memory grew (later with --megabytes)",
        "another profiler": "another profiler started",
        "error": f"it ended with {capture.raised}",
    }.get(part.ended_by, "")
    until = f", until {bound}." if bound else "."
    if part is capture.of_steps and part.steps:
        first = wishes.warmup + 1
        last = first + part.steps - 1
        steps = f"step {first}" if part.steps == 1 else f"steps {first} to {last}"
        return f"recorded {steps}, {part.seconds:.3g} s{until}"
    if bound or part.from_s > _LATE_S:
        start = "the first" if part.from_s <= _LATE_S else f"from second {part.from_s:.3g} on,"
        return f"recorded {start} {part.seconds:.3g} s{until}"
    if capture.steps_done:
        return f"recorded until the first of {capture.steps_done} optimizer steps (see --warmup)."
    return ""
