"""Wire types of the charts. Times in seconds since 1970."""

from __future__ import annotations

from typing import Literal

import msgspec

from genops_lab.experiments.columns.models import RunsAsked

Axis = Literal["step", "time", "relative"]


class Smoothing(msgspec.Struct, frozen=True, kw_only=True):
    """``ema``: an exponential moving average whose ``amount`` is the weight of what came before (0 to below 1);
    ``mean``: the mean of ``amount`` points around each."""

    kind: Literal["none", "ema", "mean"] = "none"
    amount: float = 0.0


class HistoriesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The histories of one metric of 1 to 200 runs, from ``first`` to ``last`` on the axis (None: all), for a chart
    that is ``buckets`` pixels wide (16 to 4,000). ``relative`` is seconds since the run's start.

    ``marks``, by run, are those of an earlier answer to a question that was the same but for its runs: only what is
    new since is sent.
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

    ``x`` and ``y`` are arrays of float64, little-endian, in base64; y may be NaN and infinite. ``smooth_x`` and
    ``smooth_y``: the smoothed line, from all points. ``from_x``: points before it are as they were (None: this is
    all). ``points``: how many the history has in all; of them ``gaps`` are NaN and ``infinite`` infinite, ``repeated``
    have the step of another one, and ``backwards`` an earlier time than the one before. ``first`` to ``last``: where
    all of them lie on the axis (None: there are none).
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
    """Of the runs that were asked for, those whose history differs from its mark."""

    key: str
    histories: list[RunHistory]


class ImportanceQuery(RunsAsked, frozen=True, kw_only=True):
    """A metric (its name, without ``metrics.``), and of which runs: see RunTableQuery."""

    metric: str


class ParameterImportance(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a metric a parameter tells on its own.

    ``importance``: epsilon squared, 0 to 1. ``p``: how often chance alone would seem to tell as much, corrected for
    the number of parameters (Holm). ``direction``: Spearman's rank correlation, None for one that is no number.
    ``runs``: those that have both. ``values``: how many different ones.
    """

    parameter: str
    kind: Literal["number", "text"]
    importance: float
    p: float
    direction: float | None
    runs: int
    values: int


class Importance(msgspec.Struct, frozen=True, kw_only=True):
    """The most telling parameters first. ``runs`` have a finite value of the metric; ``constant`` parameters have one
    value and ``unique`` ones another in each run (a path, a name): nothing can be said of either."""

    metric: str
    runs: int
    parameters: list[ParameterImportance]
    constant: list[str]
    unique: list[str]
