"""The area under the ROC curve (AUC): one, and the difference of two models on the same rows, by DeLong's test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .power import needed_examples
from .results import (
    CONFIDENCE,
    Alternative,
    Floats,
    Reason,
    Result,
    check_confidence,
    same_length,
    sided,
    t_result,
    unknown,
)


def auc(
    scores: npt.ArrayLike,
    positive: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    null: float = 0.5,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
) -> Result:
    """Return the AUC of scores, shape (n,); ``positive``, shape (n,), is 1 for positive rows and 0 for others.

    AUC is the probability that a positive row has the higher score than another row; ties count 1/2. With
    ``clusters``, labels of shape (n,), rows are dependent within a cluster, and ``n`` of the result counts clusters.
    Rows with a NaN are left out.

    "Less", and the upper end, are tested on the scale log(AUC / (1 - AUC)) with Student's t (Satterthwaite). That errs
    too often for "greater" where one class is small: there the variance is the larger one of DeLong's and of Hanley
    and McNeil's under the null.

    Source: E. R. DeLong, D. M. DeLong and D. L. Clarke-Pearson, "Comparing the areas under two or more correlated
    receiver operating characteristic curves", Biometrics 44 (1988); fast: X. Sun and W. Xu, IEEE Signal Processing
    Letters 21 (2014); clusters: N. A. Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics
    53 (1997); the scale: M. S. Pepe, "The Statistical Evaluation of Medical Tests" (2003), section 5.2; the variance
    under the null: J. A. Hanley and B. J. McNeil, Radiology 143 (1982).

    >>> auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]).estimate
    0.75
    """
    from scipy.special import stdtr, stdtrit

    alpha = check_confidence(confidence)
    if not 0 < null < 1:
        raise ValueError(f"The bound of an AUC must be between 0 and 1, not {null:g}.")
    found = _rows(positive, clusters, scores)
    estimate, method = found.estimate, found.method
    perfect = found.reason == "no spread" and estimate == 1
    if estimate is None or (found.reason and not perfect):
        return unknown(
            method, found.reason, estimate=estimate, n=found.n, null=null, alternative=alternative,
            confidence=confidence, left_out=found.left_out,
        )  # fmt: skip
    # On the scale of log odds; a perfect ranking has no place there.
    scaled = 0.0 if perfect else found.error / (estimate * (1 - estimate))

    def p_greater(bound: float) -> float:
        variance = max(found.supposed(bound), (scaled * bound * (1 - bound)) ** 2)
        return float(stdtr(found.freedom, (bound - estimate) / math.sqrt(variance)))

    low, high = 0.0, estimate
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if p_greater(middle) <= alpha / 2 else (low, middle)
    less, most = 1.0, 1.0
    if not perfect:
        odds = math.log(estimate / (1 - estimate))
        less = float(stdtr(found.freedom, (odds - math.log(null / (1 - null))) / scaled))
        most = 1 / (1 + math.exp(-min(700.0, odds + float(stdtrit(found.freedom, 1 - alpha / 2)) * scaled)))
    deviation = math.sqrt(max(found.error**2, found.supposed(null)) * found.n)
    return Result(
        method, estimate, low, most, sided(p_greater(null), less, alternative), found.n, alternative, null, confidence,
        needed=needed_examples(estimate - null, deviation, alpha=alpha, alternative=alternative),
        left_out=found.left_out,
    )  # fmt: skip


def auc_difference(
    candidate: npt.ArrayLike,
    champion: npt.ArrayLike,
    positive: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
) -> Result:
    """Return the difference of the AUC of two models on the same rows, scores of shape (n,).

    ``positive``, ``clusters``, sources and the treatment of NaN are as of `auc`.

    >>> auc_difference([0.9, 0.8, 0.3, 0.1], [0.1, 0.9, 0.3, 0.2], [1, 1, 0, 0]).estimate
    0.5
    """
    check_confidence(confidence)
    found = _rows(positive, clusters, candidate, champion)
    if found.reason or found.estimate is None:
        return unknown(
            found.method, found.reason, estimate=found.estimate, n=found.n, null=null, alternative=alternative,
            confidence=confidence, left_out=found.left_out,
        )  # fmt: skip
    return t_result(
        found.method, estimate=found.estimate, error=found.error, freedom=found.freedom, n=found.n, null=null,
        alternative=alternative, confidence=confidence, left_out=found.left_out,
        deviation=found.error * math.sqrt(found.n),
    )  # fmt: skip


@dataclass(frozen=True)
class _Ranked:
    """An AUC, or a difference of two, with its standard error and degrees of freedom.

    sizes: positive and other rows. design: how many times the variance is that of independent rows, at least 1.
    """

    method: str
    estimate: float | None
    error: float
    freedom: float
    n: int
    left_out: int
    reason: Reason
    sizes: tuple[int, int]
    design: float

    def supposed(self, area: float) -> float:
        """Return Hanley and McNeil's variance of an AUC; below 1/2 that of its mirror."""
        area = max(area, 1 - area)
        one, other = self.sizes
        both = (one - 1) * (area / (2 - area) - area**2) + (other - 1) * (2 * area**2 / (1 + area) - area**2)
        return self.design * (area * (1 - area) + both) / (one * other)


def _rows(positive: npt.ArrayLike, clusters: npt.ArrayLike | None, *models: npt.ArrayLike) -> _Ranked:
    """Return the AUC of one model, or that of the first less that of the second."""
    labels, scores = np.asarray(positive, np.float64), [np.asarray(each, np.float64) for each in models]
    groups = np.arange(len(labels)) if clusters is None else np.asarray(clusters)
    if any(each.ndim != 1 for each in (labels, groups, *scores)):
        raise ValueError("Scores, positive and clusters must have the shape (n,).")
    same_length(positive=labels, clusters=groups, scores=scores[0], others=scores[-1])
    if any(np.isinf(each).any() for each in scores):
        raise ValueError("Scores have infinite values. Remove or clip them before the test.")
    there = ~np.isnan(np.stack([labels, *scores])).any(axis=0)
    labels, groups = labels[there], groups[there]
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("positive must be 0 or 1 in each row.")
    first = labels == 1
    _, codes = np.unique(groups, return_inverse=True)
    units = int(codes.max()) + 1 if len(codes) else 0
    method = "DeLong's test" if clusters is None else "DeLong's test in clusters (Obuchowski)"

    count, rest = int(first.sum()), int((~first).sum())

    def ranked(
        reason: Reason,
        estimate: float | None = None,
        error: float = 0.0,
        freedom: float = 1.0,
        design: float = 1.0,
    ) -> _Ranked:
        return _Ranked(
            method, estimate, error, freedom, units, int((~there).sum()), reason, (count, rest), max(1.0, design)
        )  # fmt: skip

    if not count or not rest:
        return ranked("one class" if count or rest else "no values")
    parts = [_shares(each[there], first) for each in scores]
    share = parts[0] - parts[1] if len(parts) > 1 else parts[0]
    estimate = float(share[first].mean())
    gap = share - estimate
    sides = (first, count), (~first, rest)
    sums = [np.bincount(codes[rows], gap[rows], units) / number for rows, number in sides]
    sizes = [np.count_nonzero(np.bincount(codes[rows], minlength=units)) for rows, _ in sides]
    if min(sizes) < 2:
        return ranked("one value" if clusters is None else "one cluster", estimate)
    variances = [size / (size - 1) * float((each**2).sum()) for each, size in zip(sums, sizes, strict=True)]
    variance = sum(variances) + 2 * units / (units - 1) * float((sums[0] * sums[1]).sum())
    if variance <= 1e-24:
        return ranked("no spread", estimate, 0.0, min(sizes) - 1, len(labels) / units)
    freedom = sum(variances) ** 2 / sum(
        each**2 / (size - 1) for each, size in zip(variances, sizes, strict=True)
    )
    independent = sum(float((gap[rows] ** 2).sum()) / number / (number - 1) for rows, number in sides)
    return ranked("", estimate, math.sqrt(variance), min(freedom, units - 1), variance / independent)


def _shares(scores: Floats, first: npt.NDArray[np.bool_]) -> Floats:
    """Return for each positive row the share of other rows below it, and the reverse; ties count 1/2. Shape (n,)."""
    found = np.empty(len(scores))
    for rows, others in ((first, ~first), (~first, first)):
        ordered = np.sort(scores[others])
        below = np.searchsorted(ordered, scores[rows], "left")
        at_most = np.searchsorted(ordered, scores[rows], "right")
        share = (below + at_most) / (2 * len(ordered))
        found[rows] = share if rows is first else 1 - share
    return found
