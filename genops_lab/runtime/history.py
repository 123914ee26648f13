"""Bound a metric's points: thin a long series to pairs of lowest and highest, so that peaks stay."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Set, Tuple

from .values import spelled

MAX_POINTS = 500
#: The tag of a run that names its NaN or infinite metrics and the first such step of each.
DIVERGED = "genops.diverged"

Point = Tuple[int, float]


def thinned(points: List[Point], most: int) -> List[Point]:
    """Return at most ``most`` points: the first, the last, and the lowest and highest of equal stretches."""
    if len(points) <= most:
        return points
    inner = points[1:-1]
    stretches = max(1, (most - 2) // 2)
    kept = [points[0]]
    for index in range(stretches):
        stretch = inner[index * len(inner) // stretches : (index + 1) * len(inner) // stretches]
        finite = [point for point in stretch if math.isfinite(point[1])] or stretch
        low, high = min(finite, key=lambda point: point[1]), max(finite, key=lambda point: point[1])
        kept += sorted({low, high})
    kept.append(points[-1])
    return kept


class History:
    """Points by metric, for a live view.

    ``diverged`` names the metrics that became NaN, or infinite after a finite value: ``NaN since step 3``. An
    infinity before the first finite value is a start value, such as the best loss so far.
    """

    def __init__(self) -> None:
        self._points: Dict[str, List[Point]] = {}
        self._finite: Set[str] = set()
        self.diverged: Dict[str, str] = {}

    def add(self, key: str, step: int, value: float) -> bool:
        """Add a point; return whether the metric diverges here for the first time."""
        diverges = False
        if math.isfinite(value):
            self._finite.add(key)
        elif key not in self.diverged and (math.isnan(value) or key in self._finite):
            self.diverged[key] = f"{spelled(value)} since step {step}"
            diverges = True
        points = self._points.setdefault(key, [])
        points.append((step, value))
        if len(points) > 4 * MAX_POINTS:
            self._points[key] = thinned(points, 2 * MAX_POINTS)
        return diverges

    def last(self) -> Dict[str, float]:
        """Return the latest value of each metric."""
        return {key: points[-1][1] for key, points in list(self._points.items())}

    def series(self) -> Dict[str, Dict[str, List[Any]]]:
        """Return ``{metric: {steps, values}}``; NaN and infinite values are None."""
        found: Dict[str, Dict[str, List[Any]]] = {}
        for key, points in list(self._points.items()):
            shown = thinned(list(points), MAX_POINTS)
            values: List[Optional[float]] = [value if math.isfinite(value) else None for _, value in shown]
            found[key] = {"steps": [step for step, _ in shown], "values": values}
        return found
