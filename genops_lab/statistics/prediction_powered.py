"""Means of labels of a few examples, sharpened by a judge's marks of all: the judge's error is in the interval."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .bounded import weighted_means
from .power import needed_examples
from .resampling import RESAMPLES
from .results import CONFIDENCE, Alternative, Floats, Result, check_confidence, same_length, sided, unknown

_FOLDS = 5
#: Labels that are needed: fewer do not say how a judge errs.
LEAST_LABELS = 20


def prediction_powered_mean(
    marks: npt.ArrayLike,
    labels: npt.ArrayLike,
    chances: npt.ArrayLike,
    *,
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

    Source: A. N. Angelopoulos et al., "Prediction-powered inference", Science 382 (2023); the line: A. N.
    Angelopoulos, J. C. Duchi and T. Zrnic, "PPI++", arXiv 2311.01453 (2023); unequal chances: J. Hájek, in
    "Foundations of Statistical Inference" (1971). The errors' mean has the interval of `bounded.bounded_mean`,
    because a good judge errs rarely.

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
    chosen = ~np.isnan(labelled)
    if not ((labelled[chosen] >= low) & (labelled[chosen] <= high)).all():
        raise ValueError(f"labels must lie within the bounds {low} to {high}.")
    if not ((chance[chosen] > 0) & (chance[chosen] <= 1)).all():
        raise ValueError("The chance of each labelled example must be above 0, and at most 1.")
    n, count = len(judged), int(chosen.sum())
    if count < LEAST_LABELS:
        return unknown(
            method, "few labels" if count else "no values", n=n, null=null, alternative=alternative,
            confidence=confidence, left_out=left_out,
        )  # fmt: skip
    weights = 1 / chance[chosen]
    weights /= weights.mean()
    predicted = _predicted(judged, labelled, chosen, weights, rng)
    errors = labelled[chosen] - predicted[chosen]
    estimate = float(predicted.mean() + np.average(errors, weights=weights))
    ends = low - float(predicted.max()), high - float(predicted.min())
    draws = weighted_means(errors, weights, ends, resamples, rng)
    # The mean prediction varies little: there are many.
    mean = predicted.mean() + rng.standard_t(n - 1, resamples) * predicted.std(ddof=1) / math.sqrt(n)
    least, most = mean + draws[0], mean + draws[1]
    greater = (1 + int((least <= null).sum())) / (1 + resamples)
    less = (1 + int((most >= null).sum())) / (1 + resamples)
    deviation = math.sqrt(n) * float(np.std((least + most) / 2))
    return Result(
        method, estimate, max(low, float(np.quantile(least, alpha / 2))),
        min(high, float(np.quantile(most, 1 - alpha / 2))), sided(greater, less, alternative), n, alternative, null,
        confidence,
        needed=needed_examples(estimate - null, deviation, alpha=alpha, alternative=alternative),
        left_out=left_out,
    )  # fmt: skip


def _predicted(
    judged: Floats, labelled: Floats, chosen: npt.NDArray[np.bool_], weights: Floats, rng: np.random.Generator
) -> Floats:
    """Return the label that each example's mark predicts, by the line of the labels in other folds."""
    fold = rng.permutation(len(judged)) % _FOLDS
    found = np.empty(len(judged))
    for each in range(_FOLDS):
        others, here = fold[chosen] != each, fold == each
        x, y, weight = judged[chosen][others], labelled[chosen][others], weights[others]
        mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
        spread = float((weight * (x - mean_x) ** 2).sum())
        slope = float((weight * (x - mean_x) * (y - mean_y)).sum()) / spread if spread > 0 else 0.0
        found[here] = mean_y + slope * (judged[here] - mean_x)
    return found
