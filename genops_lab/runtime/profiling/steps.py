"""Count training steps through the hook that all of torch's optimizers share."""

from __future__ import annotations

import statistics
import time
import weakref
from typing import Any, Callable, List, NamedTuple, Optional

#: Unrecorded steps that are timed for comparison.
COMPARED = 10
_LEAST = 3
#: If steps differ more than this by themselves, a smaller cost cannot be seen.
_MEANT_PERCENT = 10.0


class StepHook:
    """Counts the steps of the busiest optimizer, so that two optimizers in a loop count as one.

    Calls ``heard`` with the number of finished steps and the time of the latest, in seconds.
    """

    def __init__(self, heard: Callable[[int, float], None]) -> None:
        self._heard = heard
        self._counts: "weakref.WeakKeyDictionary[Any, int]" = weakref.WeakKeyDictionary()
        self._done = 0
        self._last: Optional[float] = None
        self._handle: Any = None

    def register(self) -> bool:
        """Register the hook; False for torch before 2.0, which has none."""
        from torch.optim import optimizer

        add = getattr(optimizer, "register_optimizer_step_post_hook", None)
        if add is not None:
            self._handle = add(self._stepped)
        return add is not None

    def remove(self) -> None:
        """Remove the hook."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def leave_out(self, seconds: float) -> None:
        """Subtract these seconds from the present step: they were not part of the program."""
        if self._last is not None:
            self._last += seconds

    def _stepped(self, optimizer: Any, _arguments: Any, _options: Any) -> None:
        now = time.perf_counter()
        count = self._counts[optimizer] = self._counts.get(optimizer, 0) + 1
        if count <= self._done:
            return
        self._done = count
        took = 0.0 if self._last is None else now - self._last
        self._heard(count, took)
        self._last = time.perf_counter()


class Cost(NamedTuple):
    """Cost of recording a step, in percent, and the numbers of steps; ``noise`` is the spread of equal steps."""

    percent: float
    noise: float
    recorded: int
    unrecorded: int

    def __str__(self) -> str:
        steps = f"({self.recorded} recorded steps, {self.unrecorded} not)"
        if abs(self.percent) <= self.noise:
            return f"The cost of recording is below the noise, {self.noise:.1f} % of a step {steps}."
        return f"Recording cost {self.percent:.1f} % of a step {steps}."


def cost(recorded: List[float], unrecorded: List[float]) -> Optional[Cost]:
    """Compare the medians of step times, in seconds. None if the steps are too few or too uneven.

    The noise is the larger half distance between quartiles.
    """
    if len(recorded) < _LEAST or len(unrecorded) < _LEAST:
        return None
    usual = statistics.median(unrecorded)
    if not usual > 0:
        return None
    noise = max(_half_distance(recorded), _half_distance(unrecorded))
    percent, noise = 100 * (statistics.median(recorded) / usual - 1), 100 * noise / usual
    if noise > max(_MEANT_PERCENT, abs(percent)):
        return None
    return Cost(percent, noise, len(recorded), len(unrecorded))


def _half_distance(values: List[float]) -> float:
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / 2
