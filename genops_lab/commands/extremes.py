"""The lowest and highest values of metrics: the latest one, which MLflow keeps beside a run, is often not the best."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from genops_lab.core.errors import Unavailable
from genops_lab.experiments.charts.models import HistoriesQuery
from genops_lab.experiments.service import ExperimentsService

from .session import Session

if TYPE_CHECKING:
    from genops_lab.experiments.columns.models import RunsFound, RunSort
    from genops_lab.experiments.models import RunDetail

#: A question holds no more runs.
MOST_RUNS = 200
#: MLflow's API needs two requests a run.
MOST_ASKED_BY_API = 20
#: A run with hundreds of metrics shows the lowest and highest value of so many.
MOST_METRICS = 20
#: The fewest parts of a history in an answer: each part has its lowest and its highest point.
_BUCKETS = 16


class Point(NamedTuple):
    """A metric's value, and the step at which it was logged."""

    value: float
    step: int


class Best(NamedTuple):
    """The best value of a metric: its highest (``max``) or its lowest (``min``)."""

    word: str
    point: Point


class Extremes(NamedTuple):
    """The lowest and the highest finite value, each where it was first."""

    low: Point
    high: Point


def best_values(session: Session, found: RunsFound, sort: list[RunSort]) -> dict[str, dict[str, Best]]:
    """By run and metric, the best value of the metrics that runs are sorted by: of those that are sorted with the
    largest first the highest, else the lowest."""
    best: dict[str, dict[str, Best]] = {}
    most = MOST_ASKED_BY_API if found.state.source == "api" else MOST_RUNS
    run_ids = [run.run_id for run in found.runs][:most]
    for by in sort if run_ids else []:
        kind, dot, key = by.column.partition(".")
        if not dot or kind not in ("metric", "metrics"):
            continue
        for run_id, known in extremes(session, run_ids, key).items():
            point, word = (known.high, "max") if by.descending else (known.low, "min")
            best.setdefault(run_id, {})[key] = Best(word, point)
    return best


def extremes_of_run(session: Session, detail: RunDetail) -> dict[str, Extremes]:
    """Those of a run's first metrics, a user's own before others, where they were logged more than once."""
    logged_at = {metric.key: metric.step for metric in detail.latest}
    keys = [key for key in sorted(detail.run.metrics) if not key.startswith("system/") and logged_at.get(key)]
    run_id = detail.run.run_id
    found = {key: extremes(session, [run_id], key).get(run_id) for key in keys[:MOST_METRICS]}
    return {key: known for key, known in found.items() if known is not None and known.low != known.high}


def points_as_data(found: dict[str, Extremes]) -> dict[str, dict[str, dict[str, float]]]:
    """For ``--json``: by metric ``{"min": {"value", "step"}, "max": ...}``."""
    return {key: {"min": each.low._asdict(), "max": each.high._asdict()} for key, each in found.items()}


def extremes(session: Session, run_ids: list[str], key: str) -> dict[str, Extremes]:
    """By run, those of a metric; a run without a finite value is left out. Nothing where MLflow does not answer."""
    query = HistoriesQuery(run_ids=run_ids[:MOST_RUNS], key=key, buckets=_BUCKETS)
    try:
        found = session.call(ExperimentsService.query_histories, body=query)
    except Unavailable as error:
        session.say(f"The best values of {key} could not be read: {error.message}")
        return {}
    read = {each.run_id: _of(_doubles(each.x), _doubles(each.y)) for each in found.histories}
    return {run_id: known for run_id, known in read.items() if known is not None}


def _of(steps: Iterable[float], values: Iterable[float]) -> Extremes | None:
    points = [
        Point(value, int(step))
        for step, value in zip(steps, values, strict=True)
        if math.isfinite(value)
        and abs(value) < sys.float_info.max  # which stands for an infinity in MLflow's databases
    ]
    if not points:
        return None
    return Extremes(min(points, key=lambda point: point.value), max(points, key=lambda point: point.value))


def _doubles(content: bytes) -> array[float]:
    doubles = array("d")
    doubles.frombytes(content)
    if sys.byteorder == "big":
        doubles.byteswap()
    return doubles
