"""Define the wire types of the charts. Times in seconds since 1970."""

from __future__ import annotations

from typing import Literal

import msgspec

from genops_lab.experiments.columns.models import RunsAsked

Axis = Literal["step", "time", "relative"]


class Smoothing(msgspec.Struct, frozen=True, kw_only=True):
    """Smoothing: ``ema`` is an exponential moving average, ``mean`` the mean of ``amount`` points around
    each.

    For ``ema``, ``amount`` is the weight of the earlier points (0 to below 1).
    """

    kind: Literal["none", "ema", "mean"] = "none"
    amount: float = 0.0


class HistoriesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Histories of one metric of 1 to 200 runs, from ``first`` to ``last`` on the axis (None: all).

    The chart is ``buckets`` pixels wide (16 to 4,000). ``relative`` is seconds since the run's start.
    ``marks``, by run, come from an earlier answer to the same question; then only new points are sent.
    """

    run_ids: list[str]
    key: str
    x: Axis = "step"
    first: float | None = None
    last: float | None = None
    buckets: int = 600
    smoothing: Smoothing = Smoothing()
    marks: dict[str, str] = {}


class RunHistory(msgspec.Struct, frozen=True, kw_only=True):
    """One run's history in order of x, at most 7 points a bucket.

    ``x`` and ``y`` are arrays of float64, little-endian, in base64; y may be NaN and infinite. ``smooth_x``
    and ``smooth_y`` are the smoothed line, from all points. Points before ``from_x`` are unchanged (None:
    this is all).

    ``points`` counts all points, of which ``gaps`` are NaN and ``infinite`` infinite. ``repeated`` have the
    step of another point, and ``backwards`` an earlier time than the previous point. ``first`` to ``last`` is
    their range on the axis (None: no points).
    """

    run_id: str
    mark: str
    from_x: float | None = None
    x: bytes = b""
    y: bytes = b""
    smooth_x: bytes = b""
    smooth_y: bytes = b""
    points: int = 0
    gaps: int = 0
    infinite: int = 0
    repeated: int = 0
    backwards: int = 0
    first: float | None = None
    last: float | None = None


class Histories(msgspec.Struct, frozen=True, kw_only=True):
    """The requested runs whose history differs from its mark."""

    key: str
    histories: list[RunHistory]


class ImportanceQuery(RunsAsked, frozen=True, kw_only=True):
    """A metric (its name, without ``metrics.``), and its runs: see RunTableQuery."""

    metric: str


class ParameterImportance(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a metric a parameter explains alone.

    ``importance``: epsilon squared, 0 to 1. ``p``: how often chance alone would give as much, corrected for
    the number of parameters (Holm). ``direction``: Spearman's rank correlation, None if the parameter is not
    a number. ``runs``: those with both values. ``values``: the number of different ones.
    """

    parameter: str
    kind: Literal["number", "text"]
    importance: float
    p: float
    direction: float | None
    runs: int
    values: int


class Importance(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters, the most important first. ``runs`` have a finite value of the metric.

    ``constant`` parameters have one value, and ``unique`` ones a different value in each run (a path, a
    name): neither has an importance.
    """

    metric: str
    runs: int
    parameters: list[ParameterImportance]
    constant: list[str]
    unique: list[str]
