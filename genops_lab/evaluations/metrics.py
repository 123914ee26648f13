"""The metrics of predictions with intervals, and their difference on the same rows, by the tests of ``statistics``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import numpy.typing as npt

from genops_lab.statistics.auc import auc, auc_difference
from genops_lab.statistics.paired import mcnemar, paired_bootstrap, paired_t, permutation
from genops_lab.statistics.repeats import Sample, mean_t
from genops_lab.statistics.results import Result

from .models import Better, DifferenceVerdict, JudgedMetric, MetricDifference, MetricEstimate
from .predictions import Floats, Predictions, class_names, known

#: Fewer rows are tested by permutation, more by Student's t.
_FEW_ROWS = 100
#: The bootstrap of a root mean square draws fewer times from more rows.
_DRAWN_VALUES = 200_000_000
_MOST_SLICES = 100
_SMALLEST = 1e-15
_SEED = 18


@dataclass(frozen=True)
class Metric:
    """A metric's name, direction, and value by row, shape (n,); NaN where a row has none.

    ``by_row`` of a metric of ranks has the shape (n, 2): whether the row is positive, and its score.
    """

    name: str
    better: Better
    by_row: Floats
    #: right or wrong
    binary: bool = False
    #: the root of the mean of the squared values
    root: bool = False
    #: the area under the ROC curve
    ranks: bool = False

    def of(self, rows: npt.NDArray[np.bool_]) -> Metric:
        """Return the metric of these rows."""
        return replace(self, by_row=self.by_row[rows])


def metrics_of(predictions: Predictions) -> list[Metric]:
    """Return the metrics of predictions whose labels are known.

    Classification: accuracy (a missing prediction is wrong), and if the model gave scores, log loss and the Brier score
    over all classes; AUC of two classes, where the last score column is the positive class. Regression: mean absolute
    error and root mean square error.

    Sources: G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78
    (1950); I. J. Good, "Rational decisions", Journal of the Royal Statistical Society B 14 (1952).
    """
    if not predictions.labelled.any():
        return []
    if predictions.task == "regression":
        errors = np.abs(_numbers(predictions.labels) - _numbers(predictions.predictions))
        errors[~np.isfinite(errors)] = np.nan
        return [Metric("mae", "lower", errors), Metric("rmse", "lower", errors, root=True)]
    found = [Metric("accuracy", "higher", predictions.right(), binary=True)]
    if predictions.scores:
        found += _of_scores(predictions)
    return found


def _numbers(values: npt.NDArray[np.generic]) -> Floats:
    try:
        return np.array([np.nan if each is None else float(str(each)) for each in values], np.float64)
    except ValueError:
        return np.full(len(values), np.nan)


def _of_scores(predictions: Predictions) -> list[Metric]:
    names = list(predictions.scores)
    ranked = [_ranks(predictions)] if len(names) <= 2 else []
    if len(names) < 2:  # the others need the scores of all classes
        return ranked
    scores = np.stack([predictions.scores[name] for name in names], axis=1)
    places = {name: at for at, name in enumerate(names)}
    at = np.array([places.get(name, -1) for name in class_names(predictions.labels)], np.int64)
    rows = np.arange(len(at))
    there = predictions.labelled & np.isfinite(scores).all(axis=1)
    of_class = np.where(at >= 0, scores[rows, at], 0.0)  # a class that the model does not know
    loss = np.where(there, -np.log(np.clip(of_class, _SMALLEST, 1.0)), np.nan)
    truth = np.zeros(scores.shape)
    truth[rows[at >= 0], at[at >= 0]] = 1.0
    squares = ((scores - truth) ** 2).sum(axis=1) + (at < 0)
    brier = np.where(there, squares, np.nan)
    return [*ranked, Metric("log_loss", "lower", loss), Metric("brier", "lower", brier)]


def _ranks(predictions: Predictions) -> Metric:
    name = list(predictions.scores)[-1]
    actual = (class_names(predictions.labels) == name).astype(np.float64)
    actual[~predictions.labelled] = np.nan
    scores = predictions.scores[name]
    rows = np.stack([actual, np.where(np.isfinite(scores), scores, np.nan)], axis=1)
    return Metric("auc", "higher", rows, ranks=True)


def compared(candidate: Predictions, champion: Predictions | None, *, latency: bool) -> list[JudgedMetric]:
    """Return each metric of the candidate, beside the champion's on the same rows if there is one.

    Both must have the same ids in the same order (:func:`.predictions.join`). latency: both were measured in one
    session, so that their latencies compare.
    """
    ours = metrics_of(candidate)
    theirs = {each.name: each for each in metrics_of(champion)} if champion is not None else {}
    rows = [_row(each, theirs.get(each.name)) for each in ours]
    if candidate.latency_s is not None:
        rows.append(_latency(candidate, champion if latency else None))
    return rows


def by_group(candidate: Predictions, champion: Predictions | None) -> Iterator[JudgedMetric]:
    """Return the first metric of each slice, at most 100 slices of a group, the largest first."""
    ours = metrics_of(candidate)[:1]
    theirs = {each.name: each for each in metrics_of(champion)} if champion is not None else {}
    for metric in ours:
        other = theirs.get(metric.name)
        for group, values in candidate.groups.items():
            there = known(values)
            names, counts = np.unique(values[there].astype(str), return_counts=True)
            for name in names[np.argsort(-counts, kind="stable")][:_MOST_SLICES]:
                rows = np.asarray(values == name, np.bool_)
                found = _row(metric.of(rows), None if other is None else other.of(rows))
                yield _named(found, group, str(name))


def _named(row: JudgedMetric, group: str, value: str) -> JudgedMetric:
    return msgspec.structs.replace(row, group=group, value=value)


def _row(metric: Metric, other: Metric | None) -> JudgedMetric:
    return JudgedMetric(
        metric=metric.name,
        better=metric.better,
        candidate=_estimate(metric),
        champion=None if other is None else _estimate(other),
        difference=None if other is None else _difference(metric, other),
    )


def _estimate(metric: Metric) -> MetricEstimate:
    if metric.ranks:
        return _as_estimate(auc(metric.by_row[:, 1], metric.by_row[:, 0]))
    if metric.root:
        zeros = np.where(np.isnan(metric.by_row), np.nan, 0.0)
        return _as_estimate(_by_bootstrap(metric.by_row, zeros))
    return _as_estimate(mean_t(Sample.of(metric.by_row)))


def _difference(metric: Metric, other: Metric) -> MetricDifference:
    one, two = metric.by_row, other.by_row
    if metric.binary:
        found = mcnemar(one, two)
    elif metric.ranks:
        found = auc_difference(one[:, 1], two[:, 1], one[:, 0])
    elif metric.root:
        found = _by_bootstrap(one, two)
    elif len(one) < _FEW_ROWS:
        found = permutation(one, two, rng=np.random.default_rng(_SEED))
    else:
        found = paired_t(one, two)
    return difference(found, metric.better)


def _by_bootstrap(one: Floats, other: Floats) -> Result:
    resamples = max(200, min(2_000, _DRAWN_VALUES // max(1, len(one))))
    return paired_bootstrap(
        one, other, rng=np.random.default_rng(_SEED), resamples=resamples,
        statistic=lambda drawn: np.asarray(np.sqrt(np.mean(drawn**2, axis=1)), np.float64),
    )  # fmt: skip


def difference(found: Result, better: Better) -> MetricDifference:
    """Return a test's result as a difference, with the verdict for the metric's direction."""
    verdict: DifferenceVerdict = "within chance"
    if found.verdict != "within chance":
        verdict = "better" if found.verdict == better else "worse"
    return MetricDifference(
        value=found.estimate,
        low=_finite(found.low),
        high=_finite(found.high),
        p=found.p,
        verdict=verdict,
        method=found.method,
        rows=found.n,
        more=found.more,
    )


def _latency(candidate: Predictions, champion: Predictions | None) -> JudgedMetric:
    """Compare the mean latencies of batches, because the rows of a batch have one latency."""
    ours = _batches(candidate)
    theirs = _batches(champion) if champion is not None and champion.latency_s is not None else None
    if theirs is not None and len(theirs) != len(ours):
        theirs = None
    other = None if theirs is None else Metric("latency_s", "lower", theirs)
    row = _row(Metric("latency_s", "lower", ours), other)
    return msgspec.structs.replace(
        row, candidate=_not_negative(row.candidate), champion=row.champion and _not_negative(row.champion)
    )


def _not_negative(estimate: MetricEstimate) -> MetricEstimate:
    """Cut the interval of a latency at 0: that of a few batches of very different latencies can pass it."""
    return estimate if estimate.low is None else msgspec.structs.replace(estimate, low=max(0.0, estimate.low))


def _batches(predictions: Predictions) -> Floats:
    assert predictions.latency_s is not None
    size = predictions.about.get("batch_rows")
    step = size if isinstance(size, int) and size > 0 else 1
    return predictions.latency_s[::step]


def _as_estimate(found: Result) -> MetricEstimate:
    return MetricEstimate(
        value=found.estimate,
        low=_finite(found.low),
        high=_finite(found.high),
        rows=found.n,
        left_out=found.left_out,
        reason=found.reason,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
