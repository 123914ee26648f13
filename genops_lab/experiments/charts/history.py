"""Hold one metric's history of one run in memory, and smooth it.

Smoothing uses all points, because the drawn points alone would give other averages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .models import Axis, Smoothing

#: Seconds, not MLflow's milliseconds; infinities and NaN are restored.
POINT = np.dtype([("step", "f8"), ("time", "f8"), ("value", "f8")])
#: MLflow stores an infinite metric as the largest double.
_STORED_INFINITY = 1.7976931348623157e308
Points = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


def points_of(rows: Iterable[tuple[float, float, float]], nan: float = math.nan) -> Points:
    """Return points from MLflow's (step, milliseconds, value); ``nan`` stands for NaN, stored infinities are
    restored.
    """
    points = np.fromiter(rows, POINT)
    points["time"] /= 1000
    values = points["value"]
    values[values == nan] = math.nan
    stored = np.abs(values) >= _STORED_INFINITY
    values[stored] = np.copysign(math.inf, values[stored])
    return points


class Line:
    """A history along one axis, with ascending ``x``.

    Points of one step are in the order of their times, those of one time in the order of their steps.
    """

    def __init__(self, points: Points, x: Axis, start: float | None) -> None:
        step, time = points["step"], points["time"]
        first, then = (step, time) if x == "step" else (time, step)
        order = _order(first, then)
        at = first if order is None else first[order]
        if x == "relative" and len(at):
            # Without a start, the first point counts as the start.
            at = at - (at[0] if start is None else start)
        self.x: Floats = np.ascontiguousarray(at)
        self.y: Floats = np.ascontiguousarray(points["value"] if order is None else points["value"][order])
        self._smooth: tuple[Smoothing, Floats] | None = None

    def smooth(self, how: Smoothing) -> Floats:
        """Return the smoothed line; the last one is kept."""
        if self._smooth is None or self._smooth[0] != how:
            self._smooth = how, smoothed(self.y, how)
        return self._smooth[1]


class History:
    """Points in the order of reading, never changed; ``start`` is the run's, in seconds since 1970."""

    def __init__(self, points: Points, start: float | None, epoch: int) -> None:
        self.points = points
        self.start = start
        #: Changes when a history is read again from the begin.
        self.epoch = epoch
        self._lines: dict[Axis, Line] = {}
        self._disorder: tuple[int, int] | None = None

    def with_more(self, more: Points) -> History:
        """Return the history with new points; points that it already has are dropped, because MLflow has each
        once.

        A running transaction may cause points to be read twice.
        """
        near = self.points[self.points["step"] >= more["step"].min(initial=math.inf)]
        seen = {point.tobytes() for point in near}
        new = more[[point.tobytes() not in seen for point in more]] if seen else more
        if not len(new):
            return self
        return History(np.concatenate((self.points, new)), self.start, self.epoch)

    def line(self, x: Axis) -> Line:
        """Return the line along an axis."""
        if x not in self._lines:
            self._lines[x] = Line(self.points, x, self.start)
        return self._lines[x]

    def earliest_after(self, x: Axis, count: int) -> float:
        """Return the x of the first point that came after ``count`` others."""
        if x == "step":
            return float(self.points["step"][count:].min())
        at = float(self.points["time"][count:].min())
        return at if x == "time" else at - self.first_time

    @property
    def first_time(self) -> float:
        """The run's start; without one, the earliest point's time."""
        return float(self.points["time"].min()) if self.start is None else self.start

    def repeated_and_backwards(self) -> tuple[int, int]:
        """Count the points with the step of the previous one, and those with an earlier time than it."""
        if self._disorder is None:
            step, time = self.points["step"], self.points["time"]
            # Points of one step stay in reading order: what was logged later comes later.
            order = np.argsort(step, kind="stable")
            steps, times = step[order], time[order]
            self._disorder = int((np.diff(steps) == 0).sum()), int((np.diff(times) < 0).sum())
        return self._disorder


def _order(first: Floats, then: Floats) -> npt.NDArray[np.intp] | None:
    """Return how to sort by both; None if they are sorted, as most are."""
    rises = np.diff(first)
    if not (rises < 0).any() and not ((rises == 0) & (np.diff(then) < 0)).any():
        return None
    return np.lexsort((then, first))


def smoothed(y: Floats, how: Smoothing) -> Floats:
    """Return the smoothed line: NaN where ``y`` is not finite; such points have no weight."""
    return moving_average(y, how.amount) if how.kind == "ema" else running_mean(y, int(how.amount))


def moving_average(y: Floats, weight: float) -> Floats:
    """Return the debiased exponential moving average, as TensorBoard has it.

    It is the weighted mean of all points so far; each weighs ``weight`` times the next one (Adam's bias
    correction: Kingma and Ba, ICLR 2015, section 3).
    """
    out = np.full(len(y), np.nan)
    total, weights = 0.0, 0.0
    finite = np.isfinite(y)
    averages = []
    for value in y[finite].tolist():
        total = total * weight + (1 - weight) * value
        weights = weights * weight + (1 - weight)
        averages.append(total / weights)
    out[finite] = averages
    return out


def running_mean(y: Floats, window: int) -> Floats:
    """Return the mean of the finite points among ``window`` around each (one more for an even number); fewer
    at the ends.
    """
    half = window // 2
    finite = np.isfinite(y)
    # No running sum: after one very large value it would lose the small ones.
    sums = np.convolve(np.where(finite, y, 0.0), np.ones(2 * half + 1))[half : half + len(y)]
    counts = np.convolve(finite.astype(np.float64), np.ones(2 * half + 1))[half : half + len(y)]
    return np.where(finite, sums / np.maximum(np.rint(counts), 1.0), np.nan)


def reach(how: Smoothing) -> int:
    """Return how many points before a new one change with it."""
    return math.ceil(how.amount) if how.kind == "mean" else 0
