"""One metric's history of one run, in memory, and its lines made smooth.

They are smoothed over all points: what is drawn of a history would give other averages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from .models import Axis, Smoothing

#: Seconds, not MLflow's milliseconds; an infinite value is one, a NaN is one.
POINT = np.dtype([("step", "f8"), ("time", "f8"), ("value", "f8")])
#: MLflow stores an infinite metric as the largest double.
_STORED_INFINITY = 1.7976931348623157e308
Points = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


def points_of(rows: Iterable[tuple[float, float, float]], nan: float = math.nan) -> Points:
    """Points from MLflow's (step, milliseconds, value), ``nan`` standing for NaN; a stored infinity is one again."""
    points = np.fromiter(rows, POINT)
    points["time"] /= 1000
    values = points["value"]
    values[values == nan] = math.nan
    stored = np.abs(values) >= _STORED_INFINITY
    values[stored] = np.copysign(math.inf, values[stored])
    return points


class Line:
    """A history along one axis: ``x`` ascending, ``y`` with it. Points of one step are in the order of their times,
    those of one time in the order of their steps."""

    def __init__(self, points: Points, x: Axis, start: float | None) -> None:
        step, time = points["step"], points["time"]
        first, then = (step, time) if x == "step" else (time, step)
        order = _order(first, then)
        at = first if order is None else first[order]
        if x == "relative" and len(at):
            # Without a start, the first point is it.
            at = at - (at[0] if start is None else start)
        self.x: Floats = np.ascontiguousarray(at)
        self.y: Floats = np.ascontiguousarray(points["value"] if order is None else points["value"][order])
        self._smooth: tuple[Smoothing, Floats] | None = None

    def smooth(self, how: Smoothing) -> Floats:
        """The smoothed line; the last one is kept."""
        if self._smooth is None or self._smooth[0] != how:
            self._smooth = how, smoothed(self.y, how)
        return self._smooth[1]


class History:
    """Points in the order in which they were seen, never changed; ``start`` is the run's, in seconds since 1970."""

    def __init__(self, points: Points, start: float | None, epoch: int) -> None:
        self.points = points
        self.start = start
        #: Another one after a history was read anew.
        self.epoch = epoch
        self._lines: dict[Axis, Line] = {}
        self._told: tuple[int, int] | None = None

    def with_more(self, more: Points) -> History:
        """With points that may be new: what is told again of transactions that went on is left out, for MLflow has each
        point once."""
        near = self.points[self.points["step"] >= more["step"].min(initial=math.inf)]
        seen = {point.tobytes() for point in near}
        new = more[[point.tobytes() not in seen for point in more]] if seen else more
        if not len(new):
            return self
        return History(np.concatenate((self.points, new)), self.start, self.epoch)

    def line(self, x: Axis) -> Line:
        """Along an axis."""
        if x not in self._lines:
            self._lines[x] = Line(self.points, x, self.start)
        return self._lines[x]

    def earliest_after(self, x: Axis, count: int) -> float:
        """Where the first of the points lies that came after ``count`` others."""
        if x == "step":
            return float(self.points["step"][count:].min())
        at = float(self.points["time"][count:].min())
        return at if x == "time" else at - self.first_time

    @property
    def first_time(self) -> float:
        """The run's start; without one, the earliest point's time."""
        return float(self.points["time"].min()) if self.start is None else self.start

    def repeated_and_backwards(self) -> tuple[int, int]:
        """How many points have the step of the one before, and how many an earlier time than it."""
        if self._told is None:
            step, time = self.points["step"], self.points["time"]
            # As they were seen where steps repeat: what was logged later comes later.
            order = np.argsort(step, kind="stable")
            steps, times = step[order], time[order]
            self._told = int((np.diff(steps) == 0).sum()), int((np.diff(times) < 0).sum())
        return self._told


def _order(first: Floats, then: Floats) -> npt.NDArray[np.intp] | None:
    """How to sort by both; None where they are sorted, as most are."""
    rises = np.diff(first)
    if not (rises < 0).any() and not ((rises == 0) & (np.diff(then) < 0)).any():
        return None
    return np.lexsort((then, first))


def smoothed(y: Floats, how: Smoothing) -> Floats:
    """The smoothed line: NaN where ``y`` is not finite, such points counting for nothing."""
    return moving_average(y, how.amount) if how.kind == "ema" else running_mean(y, int(how.amount))


def moving_average(y: Floats, weight: float) -> Floats:
    """The exponential moving average, debiased as TensorBoard has it: the weighted mean of all points so far, each
    weighing ``weight`` times what the next one does (Adam's bias correction: Kingma and Ba, ICLR 2015, section 3)."""
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
    """The mean of the finite points among ``window`` around each (of an even number, one more); fewer at the ends."""
    half = window // 2
    finite = np.isfinite(y)
    # No running sum: after one very large value it would tell nothing of the small ones.
    sums = np.convolve(np.where(finite, y, 0.0), np.ones(2 * half + 1))[half : half + len(y)]
    counts = np.convolve(finite.astype(np.float64), np.ones(2 * half + 1))[half : half + len(y)]
    return np.where(finite, sums / np.maximum(np.rint(counts), 1.0), np.nan)


def reach(how: Smoothing) -> int:
    """How many points before a new one change with it."""
    return math.ceil(how.amount) if how.kind == "mean" else 0
