"""Decide how many replicas a revision has. Pure: times and loads are given.

The rules are those of two known autoscalers:

- Knative's KPA reacts to a short window (6 s) and settles on a long one (60 s): its panic and its stable window.
- Kubernetes' HPA ignores a load within 10 % of the target (tolerance), at most doubles at once, and goes down only if
  all recommendations of a window were lower (stabilization window).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: More replicas follow the mean load of so many seconds; fewer follow the highest mean of so many.
UP_S, DOWN_S = 6.0, 60.0
TOLERANCE = 0.1
#: A sample that is so late means that the process was stopped: earlier ones tell nothing about now.
GAP_S = 3.0
#: The use of a KV cache at which an engine is full: requests that grow then push others out.
KV_FULL = 0.8
#: Requests in flight for each replica of a version, unless a number is given.
CONCURRENCY = 8.0


@dataclass(frozen=True)
class Scale:
    """Between how many replicas a revision has, and for how many requests in flight each one is.

    ``concurrency`` 0: for a language model (``engine``) its queue and KV cache decide alone, for a version the default.
    """

    min: int = 1
    max: int = 1
    concurrency: float = 0.0
    engine: bool = False
    #: The seconds of the windows for more and for fewer replicas.
    up_s: float = UP_S
    down_s: float = DOWN_S

    @staticmethod
    def decode(given: Mapping[str, Any]) -> Scale:
        """Return the scale of decoded JSON. Raises ValueError for a wrong one."""
        try:
            scale = Scale(
                int(given.get("min", 1)), int(given.get("max", 1)),
                float(given.get("concurrency", 0.0)), bool(given.get("engine", False)),
                float(given.get("up_s", UP_S)), float(given.get("down_s", DOWN_S)),
            )  # fmt: skip
        except (AttributeError, TypeError) as error:
            raise ValueError(f"This is not a scale: {error}.") from error
        if not 1 <= scale.min <= scale.max or scale.concurrency < 0:
            raise ValueError("min is 1 to max, and concurrency 0 or more.")
        return scale


#: One process, whatever the load.
ONE = Scale()


def needed(scale: Scale, in_flight: int, figures: Mapping[str, Any] | None = None) -> float | None:
    """Return how many replicas the load of one replica needs; None if that is unknown.

    A language model with a queue needs (working + waiting) / working: as many as let all work. Without a queue its KV
    cache decides, against :data:`KV_FULL`. ``figures`` have ``waiting``, ``working`` and ``kv_use``.

    >>> needed(Scale(1, 3, concurrency=8), 12)
    1.5
    >>> needed(Scale(1, 3, engine=True), 8, {"waiting": 4, "working": 4})
    2.0
    >>> needed(Scale(1, 3, engine=True), 8) is None
    True
    """
    if not in_flight:
        return 0.0
    by_number = in_flight / (scale.concurrency or CONCURRENCY)
    if not scale.engine:
        return by_number
    waiting, kv_use = (figures or {}).get("waiting"), (figures or {}).get("kv_use")
    if waiting is None and kv_use is None:
        return None
    found = [float(kv_use or 0.0) / KV_FULL]
    if waiting:
        working = float((figures or {}).get("working") or max(in_flight - waiting, 1))
        found.append((waiting + working) / max(working, 1))
    if scale.concurrency:
        found.append(by_number)
    return max(found)


class Scaler:
    """The number of replicas of one revision, from samples of its load. Times are those of the event loop."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float | None]] = deque()
        #: Means over :data:`UP_S`, since the last change.
        self._means: deque[tuple[float, float]] = deque()
        self._since = 0.0

    def add(self, scale: Scale, now: float, load: float | None) -> None:
        """Take a sample: how many replicas the load of this moment needs; None if that is unknown."""
        if self._samples and now - self._samples[-1][0] > GAP_S:
            self.forget()
        self._samples.append((now, load))
        while now - self._samples[0][0] > scale.up_s:
            self._samples.popleft()
        known = [each for _, each in self._samples if each is not None]
        if len(known) * 2 > len(self._samples):
            if not self._means:
                self._since = now
            self._means.append((now, sum(known) / len(known)))
        else:  # a number that is kept without figures must not go down by old ones
            self._means.clear()
        while self._means and now - self._means[0][0] > scale.down_s:
            self._means.popleft()

    def forget(self) -> None:
        """Begin again after a change of the number: the next one needs windows of its own."""
        self._samples.clear()
        self._means.clear()

    def count(self, scale: Scale, there: int) -> int:
        """Return how many replicas there should be, for ``there`` that are neither starting nor ending."""
        if not scale.min <= there <= scale.max:
            return min(max(there, scale.min), scale.max)
        if not self._means or self._samples[-1][0] - self._samples[0][0] < scale.up_s / 2:
            return there
        now, load = self._means[-1]
        if load > there * (1 + TOLERANCE):
            return min(scale.max, 2 * there, math.ceil(load))
        whole = now - self._since >= scale.down_s
        if whole and max(each for _, each in self._means) < (there - 1) * (1 - TOLERANCE):
            return max(scale.min, there - 1)
        return there
