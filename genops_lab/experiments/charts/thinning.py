"""Long histories made short for a chart, so that the picture stays the same."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


def bucket_width(span: float, buckets: int) -> float:
    """The least power of two that cuts ``span`` into at most ``buckets``: the grid stays while a history grows."""
    if span <= 0 or not math.isfinite(span):
        return 1.0
    # Of a span too small to be cut, one bucket.
    return max(2.0 ** math.ceil(math.log2(span / buckets)), 2.0**-1000)


def chosen(x: Floats, y: Floats, width: float) -> Places:
    """Which points of a line in order of ``x`` to draw: of each bucket its first, last, lowest and highest, and its
    first NaN, infinity and negative infinity.

    A line through the first, last, lowest and highest point of each column of pixels has the same pixels as one
    through all (M4: Jugel, Jerzak, Hackenbroich, Markl: M4: A Visualization-Oriented Time Series Data Aggregation,
    VLDB 2014).
    """
    if len(x) < 5:
        return np.arange(len(x))
    bucket = np.floor(x / width)
    starts = np.concatenate(([0], np.flatnonzero(np.diff(bucket)) + 1))
    counts = np.diff(np.concatenate((starts, [len(x)])))
    numbers = np.repeat(np.arange(len(starts)), counts)
    finite = np.isfinite(y)
    kept = np.zeros(len(x), np.bool_)
    kept[starts] = True
    kept[starts + counts - 1] = True
    for reduce, none in ((np.minimum, np.inf), (np.maximum, -np.inf)):
        ends = reduce.reduceat(np.where(finite, y, none), starts)
        _keep_first(kept, finite & (y == ends[numbers]), numbers)
    if not finite.all():
        for special in (np.isnan(y), y == np.inf, y == -np.inf):
            _keep_first(kept, special, numbers)
    return np.flatnonzero(kept)


def _keep_first(kept: npt.NDArray[np.bool_], which: npt.NDArray[np.bool_], numbers: Places) -> None:
    """Keep of ``which`` the first in each bucket."""
    places = np.flatnonzero(which)
    kept[places[np.diff(numbers[places], prepend=-1) != 0]] = True
