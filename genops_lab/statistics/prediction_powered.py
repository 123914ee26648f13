"""Means of labels of a few examples, sharpened by a judge's marks of all: the judge's error is in the interval."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .bounded import weighted_means
from .clusters import cr2
from .power import needed_examples
from .resampling import RESAMPLES
from .results import (
    CONFIDENCE,
    Alternative,
    Codes,
    Floats,
    Result,
    check_confidence,
    same_length,
    sided,
    t_result,
    unknown,
)

_FOLDS = 5
#: Labels that are needed, and clusters with one: fewer do not say how a judge errs.
LEAST_LABELS, _LEAST_CLUSTERS = 20, 10


def prediction_powered_mean(
    marks: npt.ArrayLike,
    labels: npt.ArrayLike,
    chances: npt.ArrayLike,
    *,
    clusters: npt.ArrayLike | None = None,
    rng: np.random.Generator,
    bounds: tuple[float, float] = (0.0, 1.0),
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Result:
    """Return the mean label of all examples, of which a random part is labelled, shapes (n,).

    marks: the judge's, of all examples. labels: within ``bounds``, and NaN where nobody labelled. chances: the
    chance with which each example was chosen to be labelled, recorded before. Each example was chosen by itself.
    For two models pass the differences of marks and labels on the same examples, with the bounds (-1, 1); then both
    answers of a chosen example are labelled.

    The marks predict the labels by a line that other examples gave. The mean prediction is corrected by the mean
    error of the predictions where labels are. So a judge that knows nothing, or is always too kind, does no harm.
    Examples without a mark are left out. It needs 20 labels; ``n`` counts all examples.

    clusters: labels, shape (n,), of examples that belong together. Then it needs labels in ten clusters, and ``n``
    counts clusters. The interval is the wider one of two at each end. One is that of independent examples, with a
    cluster in place of an example. The other is Student's of the linearised estimate.

    Source: A. N. Angelopoulos et al., "Prediction-powered inference", Science 382 (2023); the line: A. N.
    Angelopoulos, J. C. Duchi and T. Zrnic, "PPI++", arXiv 2311.01453 (2023); unequal chances: J. Hájek, in
    "Foundations of Statistical Inference" (1971); clusters: D. A. Binder, "On the variances of asymptotically normal
    estimators from complex surveys", International Statistical Review 51 (1983). The errors' mean has the interval of
    `bounded.bounded_mean`, because a good judge errs rarely.

    >>> marks = np.tile([1.0, 0.0], 100)
    >>> labels = np.where(np.arange(200) < 50, marks, np.nan)
    >>> prediction_powered_mean(marks, labels, np.full(200, 0.25), rng=np.random.default_rng(0)).verdict
    'higher'
    """
    method = "Prediction-powered inference"
    alpha = check_confidence(confidence)
    low, high = bounds
    judged, labelled = np.asarray(marks, np.float64), np.asarray(labels, np.float64)
    chance = np.asarray(chances, np.float64)
    same_length(marks=judged, labels=labelled, chances=chance)
    if np.isinf(judged).any():
        raise ValueError("marks must not have infinite values. Remove or clip them first.")
    there = ~np.isnan(judged)
    judged, labelled, chance, left_out = judged[there], labelled[there], chance[there], int((~there).sum())
    unit = None
    if clusters is not None:
        same_length(marks=there, clusters=np.asarray(clusters))
        unit = np.unique(np.asarray(clusters)[there], return_inverse=True)[1]
    chosen = ~np.isnan(labelled)
    if not ((labelled[chosen] >= low) & (labelled[chosen] <= high)).all():
        raise ValueError(f"labels must lie within the bounds {low} to {high}.")
    if not ((chance[chosen] > 0) & (chance[chosen] <= 1)).all():
        raise ValueError("The chance of each labelled example must be above 0, and at most 1.")
    n, count = len(judged) if unit is None else int(unit.max(initial=-1)) + 1, int(chosen.sum())
    if count < LEAST_LABELS or (unit is not None and len(np.unique(unit[chosen])) < _LEAST_CLUSTERS):
        return unknown(
            method, "few labels" if count else "no values", n=n, null=null, alternative=alternative,
            confidence=confidence, left_out=left_out,
        )  # fmt: skip
    weights = 1 / chance[chosen]
    weights /= weights.mean()
    predicted = _predicted(judged, labelled, chosen, weights, rng, np.arange(n) if unit is None else unit)
    errors = labelled[chosen] - predicted[chosen]
    errors_mean = float(np.average(errors, weights=weights))
    estimate = float(predicted.mean()) + errors_mean
    ends = low - float(predicted.max()), high - float(predicted.min())
    whole = None
    if unit is None:
        draws = weighted_means(errors, weights, ends, resamples, rng)
        # The mean prediction varies little: there are many.
        spread = rng.standard_t(n - 1, resamples) * predicted.std(ddof=1) / math.sqrt(n)
    else:
        weight, sums = _sums(unit[chosen], weights, n), _sums(unit[chosen], weights * errors, n)
        known = weight > 0
        draws = weighted_means(sums[known] / weight[known], weight[known], ends, resamples, rng)
        given, size = _sums(unit, predicted, n), _sums(unit, np.ones(len(unit)), n)
        variance, freedom = cr2(given, size, float(predicted.mean()))
        spread = rng.standard_t(freedom, resamples) * math.sqrt(variance)
        # Predictions and errors of a cluster go together, which the draws above do not know.
        moved = (given - size * predicted.mean()) / size.sum() + (sums - weight * errors_mean) / weight.sum()
        whole = int(known.sum()) - 1, math.sqrt(float((moved**2).sum()) * known.sum() / (known.sum() - 1))
    mean = predicted.mean() + spread
    least, most = mean + draws[0], mean + draws[1]
    greater = (1 + int((least <= null).sum())) / (1 + resamples)
    less = (1 + int((most >= null).sum())) / (1 + resamples)
    first, last = float(np.quantile(least, alpha / 2)), float(np.quantile(most, 1 - alpha / 2))
    deviation = math.sqrt(n) * float(np.std((least + most) / 2))
    if whole is not None and whole[1] > 0:
        linear = t_result(
            method, estimate=estimate, error=whole[1], freedom=whole[0], n=n, null=null, alternative="greater",
            confidence=confidence,
        )  # fmt: skip
        assert linear.low is not None and linear.high is not None
        first, last = min(first, linear.low), max(last, linear.high)
        greater, less = max(greater, linear.p), max(less, 1 - linear.p)
        deviation = max(deviation, math.sqrt(n) * whole[1])
    return Result(
        method, estimate, max(low, first), min(high, last), sided(greater, less, alternative), n, alternative, null,
        confidence,
        needed=needed_examples(estimate - null, deviation, alpha=alpha, alternative=alternative),
        left_out=left_out,
    )  # fmt: skip


def _sums(unit: Codes, values: Floats, count: int) -> Floats:
    """Return the sum of each cluster, shape (count,)."""
    return np.bincount(unit, values, count).astype(np.float64)


def _predicted(
    judged: Floats, labelled: Floats, chosen: npt.NDArray[np.bool_], weights: Floats, rng: np.random.Generator,
    unit: Codes,
) -> Floats:  # fmt: skip
    """Return the label that each example's mark predicts, by the line of the labels in other folds.

    unit: the numbers of what belongs together, which is in one fold.
    """
    fold = (rng.permutation(int(unit.max()) + 1) % _FOLDS)[unit]
    found = np.empty(len(judged))
    for each in range(_FOLDS):
        others, here = fold[chosen] != each, fold == each
        if not others.any():  # all labels are in this fold
            others = ~others
        x, y, weight = judged[chosen][others], labelled[chosen][others], weights[others]
        mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
        spread = float((weight * (x - mean_x) ** 2).sum())
        slope = float((weight * (x - mean_x) * (y - mean_y)).sum()) / spread if spread > 0 else 0.0
        found[here] = mean_y + slope * (judged[here] - mean_x)
    return found
