"""Lines made smooth, over all points of a history: what is drawn of it would give other averages."""

from __future__ import annotations

import math

import numpy as np

from .models import Smoothing
from .thinning import Floats

MAX_WINDOW = 1001


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
