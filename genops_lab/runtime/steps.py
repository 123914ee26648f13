"""Decide which metrics of a run count their steps together."""

from __future__ import annotations

import re
from typing import Iterable, NamedTuple, Tuple

SYSTEM = "system/"
#: Metrics that :mod:`.optimizers` logs automatically.
STEP_TIME, LEARNING_RATE, GRADIENT_NORM = "step_time_ms", "learning_rate", "gradient_norm"
_AUTO = re.compile(rf"train/(?:optimizer_\d+/)?(?:{STEP_TIME}|{LEARNING_RATE}(?:/.+)?|{GRADIENT_NORM})")


class Steps(NamedTuple):
    """The next steps of logged metrics, of the machine's load and of the optimizers."""

    own: int = 0
    system: int = 0
    auto: int = 0


def next_steps(points: Iterable[Tuple[str, int]]) -> Steps:
    """Return the next steps after these points (a metric's name and a step)."""
    own = system = auto = 0
    for key, step in points:
        if key.startswith(SYSTEM):
            system = max(system, step + 1)
        elif _AUTO.fullmatch(key):
            auto = max(auto, step + 1)
        else:
            own = max(own, step + 1)
    return Steps(own, system, auto)
