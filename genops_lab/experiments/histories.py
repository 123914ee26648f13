"""Shorten long metric histories for a chart, and keep their extremes."""

from __future__ import annotations

import math
from collections.abc import Sequence

MAX_POINTS = 2000
#: MLflow stores an infinite metric as the largest double.
_STORED_INFINITY = 1.7976931348623157e308


def finite(value: float) -> float | None:
    """Return the value; None for NaN and infinities, which JSON and a chart's axis lack."""
    return value if math.isfinite(value) and abs(value) < _STORED_INFINITY else None


def chosen_points(values: Sequence[float | None], limit: int = MAX_POINTS) -> list[int]:
    """Return indices of at most ``limit`` points, in order.

    They are the ends, and the lowest, the highest and the first gap (None) of each stretch.
    """
    count = len(values)
    if count <= limit:
        return list(range(count))
    stretches = (limit - 2) // 3
    chosen = {0, count - 1}
    for number in range(stretches):
        begin = 1 + number * (count - 2) // stretches
        end = 1 + (number + 1) * (count - 2) // stretches
        present = [(value, index) for index in range(begin, end) if (value := values[index]) is not None]
        if present:
            chosen.update((min(present)[1], max(present)[1]))
        if len(present) < end - begin:
            chosen.add(next(index for index in range(begin, end) if values[index] is None))
    return sorted(chosen)
