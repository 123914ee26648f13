"""Keep the lowest and highest values of a run's metrics in a tag, because MLflow has only the latest values
at hand.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from genops_lab.core.recent import Recent
from genops_lab.experiments.histories import finite
from genops_lab.experiments.models import MetricPoint
from genops_lab.experiments.run_tags import EXTREMES_TAG

from .client import mlflow_errors

#: Metrics of a run that fit into a tag and are read with each row of a table.
_MOST_METRICS = 24
_MOST_CHARACTERS = 4000
_RUNS_KEPT = 200

#: By metric: the lowest value, its first step, the highest value, its first step.
Extremes = dict[str, tuple[float, int, float, int]]


class RunExtremes:
    """Remembers the tags of runs. All methods block."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._kept: Recent[str, tuple[Extremes, frozenset[str]]] = Recent(_RUNS_KEPT)

    def with_points(self, run_id: str, points: Iterable[MetricPoint]) -> Extremes | None:
        """Return the extremes with these points, or None if nothing changes. Nothing is remembered yet.

        Metrics from before extremes were kept have none, because their earlier values are unknown. Raises
        NotFound, Unavailable.
        """
        own = [point for point in points if not point.key.startswith(("system/", "train/"))]
        if not own:
            return None
        kept, unknown = self._of(run_id)
        after = dict(kept)
        for point in own:
            value = None if point.value is None else finite(point.value)
            if value is None or point.key in unknown:
                continue
            low, low_at, high, high_at = after.get(point.key, (math.inf, 0, -math.inf, 0))
            if value < low:
                low, low_at = value, point.step
            if value > high:
                high, high_at = value, point.step
            if point.key in after or _fits(after, point.key):
                after[point.key] = low, low_at, high, high_at
        return None if after == kept else after

    def keep(self, run_id: str, extremes: Extremes) -> None:
        """Remember the extremes that MLflow has now."""
        self._kept[run_id] = extremes, self._of(run_id)[1]

    def _of(self, run_id: str) -> tuple[Extremes, frozenset[str]]:
        found = self._kept.found(run_id)
        if found is None:
            with mlflow_errors(f"The run {run_id} could not be read"):
                data = self._client.get_run(run_id).data
            extremes = _read(data.tags.get(EXTREMES_TAG, ""))
            found = self._kept[run_id] = extremes, frozenset(data.metrics) - frozenset(extremes)
        return found


def as_tag(extremes: Extremes) -> str:
    """Return the tag's text: ``{"loss":[0.5,30,2.5,0]}``."""
    return json.dumps(extremes, separators=(",", ":"), ensure_ascii=False)


def _fits(extremes: Extremes, key: str) -> bool:
    return len(extremes) < _MOST_METRICS and len(as_tag(extremes)) + len(key) < _MOST_CHARACTERS


def _read(text: str) -> Extremes:
    try:
        return {
            str(key): (float(low), int(low_at), float(high), int(high_at))
            for key, (low, low_at, high, high_at) in json.loads(text or "{}").items()
        }
    except (ValueError, TypeError, AttributeError):  # a user has edited it
        return {}
