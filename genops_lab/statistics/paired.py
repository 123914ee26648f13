"""Two models on the same rows: McNemar, paired t, permutation, bootstrap. Estimates are candidate less champion."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .power import needed_examples, paired_rate_deviation
from .repeats import Sample, mean_t
from .resampling import (
    RESAMPLES,
    bootstrap_result,
    resampled_means,
    resampled_ratios,
    resampled_rows,
    subset_means,
)
from .results import (
    CONFIDENCE,
    Alternative,
    Floats,
    Result,
    check_confidence,
    differences,
    normal_quantile,
    same_length,
    sided,
    unknown,
)

#: Counts change by whole rows; without the correction the score test errs at up to 6 % in place of 5 %.
_CONTINUITY = 0.5


def mcnemar(
    candidate: npt.ArrayLike,
    champion: npt.ArrayLike,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
) -> Result:
    """Return the difference of two rates on the same rows; values are 0 or 1 (right), shapes (n,).

    Rows with a NaN are left out. See `mcnemar_counts` for the tests and their sources.

    >>> mcnemar([1, 1, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 0]).p
    0.03125
    """
    one, other = np.asarray(candidate, np.float64), np.asarray(champion, np.float64)
    same_length(candidate=one, champion=other)
    if one.ndim != 1 or other.ndim != 1:
        raise ValueError(f"candidate and champion must have the shape (n,), not {one.shape}, {other.shape}.")
    there = ~(np.isnan(one) | np.isnan(other))
    one, other = one[there], other[there]
    if not (np.isin(one, (0, 1)).all() and np.isin(other, (0, 1)).all()):
        raise ValueError("McNemar's test needs answers that are 0 or 1. Use paired_t or permutation.")
    return mcnemar_counts(
        int((one > other).sum()), int((one < other).sum()), len(one), null=null, alternative=alternative,
        confidence=confidence, left_out=int((~there).sum()),
    )  # fmt: skip


def mcnemar_counts(
    only_candidate: float,
    only_champion: float,
    n: float,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
    left_out: int = 0,
    mid: float = 0.0,
) -> Result:
    """Return the difference of two rates from the rows where only one model is right, among n rows.

    Against ``null`` 0, p is that of the exact test: the rows with one right answer are binomial with 1/2.
    Source: Q. McNemar, Psychometrika 12 (1947); exact: A. L. Edwards, Psychometrika 13 (1948). Against
    another ``null`` (a margin), and for the interval, it is the score test of T. Tango, "Equivalence test and
    confidence interval for the difference in proportions for the paired-sample design", Statistics in
    Medicine 17 (1998). Two models with equal answers have an interval too: about 0 ± 4.8 / n. Counts may have
    fractions: the effective counts of `clusters.cluster_mcnemar`.

    mid: as of `bounded.bounded_mean`; with 1/2 the exact test is the mid-P test, and Tango's has no continuity
    correction. Source: M. W. Fagerland, S. Lydersen and P. Laake, "The McNemar test for binary matched-pairs data:
    mid-p and asymptotic are better than exact conditional", BMC Medical Research Methodology 13 (2013).
    """
    from scipy.special import betainc, ndtr

    alpha = check_confidence(confidence)
    if min(only_candidate, only_champion, n - only_candidate - only_champion) < -1e-9 * n:
        raise ValueError(
            f"Counts must be 0 or more, and together at most n: {only_candidate}, {only_champion} of {n}."
        )
    method = "McNemar's exact test" if null == 0 else "Tango's score test"
    if n == 0:
        return unknown(
            method, "no values", null=null, alternative=alternative, confidence=confidence, left_out=left_out
        )
    if null == 0:
        greater = float(betainc(only_candidate, only_champion + 1, 0.5)) if only_candidate else 1.0
        less = float(betainc(only_champion, only_candidate + 1, 0.5)) if only_champion else 1.0
        observed = greater + less - 1
        greater, less = greater - mid * observed, less - mid * observed
    else:
        score = _score(only_candidate, only_champion, n, null, mid)
        greater, less = float(ndtr(-score)), float(ndtr(score))
    estimate = (only_candidate - only_champion) / n
    z = normal_quantile(1 - alpha / 2)
    return Result(
        method, estimate,
        where_zero(lambda null: _score(only_candidate, only_champion, n, null, mid) - z, -1.0, estimate),
        where_zero(lambda null: _score(only_candidate, only_champion, n, null, mid) + z, estimate, 1.0),
        sided(greater, less, alternative), round(n), alternative, null, confidence,
        needed=needed_examples(
            estimate - null, paired_rate_deviation(only_candidate / n, only_champion / n), alpha=alpha,
            alternative=alternative,
        ),
        left_out=left_out,
    )  # fmt: skip


def _score(only_candidate: float, only_champion: float, n: float, null: float, mid: float = 0.0) -> float:
    """Return Tango's statistic, standard normal if the true difference is ``null``; it falls with ``null``."""
    b, c = only_candidate, only_champion
    if abs(null) >= 1:
        return math.copysign(math.inf, -null)
    linear = -b - c + (2 * n - b + c) * null
    constant = -c * null * (1 - null)
    share = (math.sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * share + null * (1 - null))
    gap = b - c - n * null
    gap = math.copysign(max(0.0, abs(gap) - _CONTINUITY * (1 - 2 * mid)), gap)
    if variance <= 0:
        return 0.0 if gap == 0 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def where_zero(falling: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function is 0 between two ends; the end itself where it has one sign."""
    if falling(high) >= 0:
        return high
    if falling(low) <= 0:
        return low
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


def paired_t(
    candidate: npt.ArrayLike,
    champion: npt.ArrayLike,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
) -> Result:
    """Return the mean difference of two models on the same rows, shapes (n,), by Student's t.

    Rows with a NaN are left out. Source: Student, "The probable error of a mean", Biometrika 6 (1908).
    """
    from dataclasses import replace

    found, left_out = differences(candidate, champion)
    result = mean_t(
        replace(Sample.of(found), left_out=left_out),
        null=null, alternative=alternative, confidence=confidence,
    )  # fmt: skip
    return replace(result, method="Paired t-test")


def permutation(
    candidate: npt.ArrayLike,
    champion: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Result:
    """Return the mean difference of two models on the same rows, shapes (n,), by changing signs of differences.

    Exact at every n if the two models are exchangeable. All changes of signs are tried where they are at most
    ``resamples + 1``. The ends of the interval are the margins that the same test does not reject; with few
    rows an end is infinite. Equal differences in all rows have no interval.

    Source: R. A. Fisher, "The Design of Experiments" (1935); the interval: J. A. Hartigan, "Using subsample
    values as typical values", JASA 64 (1969); p is never 0: B. Phipson and G. K. Smyth, "Permutation p-values
    should never be zero", Statistical Applications in Genetics and Molecular Biology 9 (2010).
    """
    method = "Permutation test"
    alpha = check_confidence(confidence)
    found, left_out = differences(candidate, champion)
    n = len(found)
    if n == 0:
        return unknown(
            method, "no values", null=null, alternative=alternative, confidence=confidence, left_out=left_out
        )
    estimate = float(found.mean())
    # Flipping a set of rows keeps the sum above n * null exactly if the mean of the set is at most null.
    means = subset_means(found, resamples, rng)
    tried = len(means) + 1
    means = np.sort(means[~np.isnan(means)])
    same = tried - len(means)  # no sign is changed: the sample itself, and empty sets
    close = 1e-12 * float(np.abs(found).max() or 1.0)
    greater = (same + int(np.searchsorted(means, null + close, side="right"))) / tried
    less = (same + len(means) - int(np.searchsorted(means, null - close, side="left"))) / tried
    spread = found.min() < found.max()
    cut = math.floor(alpha / 2 * tried + 1e-9) - same
    low, high = (float(means[cut]), float(means[-1 - cut])) if cut >= 0 else (-math.inf, math.inf)
    return Result(
        method, estimate, low if spread else None, high if spread else None,
        sided(greater, less, alternative), n, alternative, null, confidence,
        needed=needed_examples(
            estimate - null, float(found.std(ddof=1)), alpha=alpha, alternative=alternative
        ) if spread else None,
        left_out=left_out, reason="" if spread else "one value" if n == 1 else "no spread",
    )  # fmt: skip


def paired_bootstrap(
    candidate: npt.ArrayLike,
    champion: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    statistic: Callable[[Floats], Floats] | None = None,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Result:
    """Return the difference of a metric of two models on the same rows, by drawing rows with replacement.

    candidate, champion: shape (n,), or (n, k) where a row has several values, such as label and prediction.

    statistic: the metric of many draws at once, from shape (draws, n) or (draws, n, k) to (draws,); None: the
    mean. Rows with a NaN are left out. The percentiles are widened for small n. ``needed`` is known for means.

    Rare differences (accuracy that differs in fewer than some 30 rows) need `mcnemar`.

    Source: B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), section 13.3; widened:
    T. C. Hesterberg, "What teachers should know about the bootstrap", The American Statistician 69 (2015).
    """
    method = "Paired bootstrap"
    if statistic is None:
        found, left_out = differences(candidate, champion)
        return bootstrap_result(
            method, estimate=float(found.mean()) if len(found) else None,
            draws=resampled_means(found, resamples, rng), n=len(found), units=len(found), null=null,
            alternative=alternative, confidence=confidence, left_out=left_out,
            deviation=float(found.std(ddof=1)) if len(found) > 1 else None,
        )  # fmt: skip
    one, other = np.asarray(candidate, np.float64), np.asarray(champion, np.float64)
    same_length(candidate=one, champion=other)
    if np.isinf(one).any() or np.isinf(other).any():
        raise ValueError("candidate and champion must not have infinite values. Remove or clip them first.")
    there = ~(_has_nan(one) | _has_nan(other))
    one, other = one[there], other[there]
    draws = [
        np.asarray(statistic(one[rows]), np.float64) - np.asarray(statistic(other[rows]), np.float64)
        for rows in resampled_rows(len(one), resamples, rng)
    ]
    return bootstrap_result(
        method, estimate=float(statistic(one[None])[0] - statistic(other[None])[0]) if len(one) else None,
        draws=np.concatenate(draws) if draws else np.empty(0), n=len(one), units=len(one), null=null,
        alternative=alternative, confidence=confidence, left_out=int((~there).sum()),
    )  # fmt: skip


def paired_bootstrap_of_means(
    candidate: npt.ArrayLike,
    champion: npt.ArrayLike,
    clusters: npt.ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    of_means: Callable[[Floats], Floats],
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Result:
    """Return the difference of a metric that is a function of means, such as RMSE and F1, by drawing rows.

    candidate, champion: shape (n, k), k values of each row. of_means: the metric, from the means of many draws,
    shape (draws, k), to (draws,). With ``clusters``, labels of shape (n,), whole clusters are drawn, and ``n`` of the
    result counts clusters: some 40 are needed. Much faster than `paired_bootstrap` with the same metric; source as
    there, and as of `clusters.cluster_bootstrap`. ``needed`` supposes an error that falls with the root of n.
    """
    method = "Paired bootstrap" if clusters is None else "Paired cluster bootstrap"
    one, other = np.asarray(candidate, np.float64), np.asarray(champion, np.float64)
    if one.ndim != 2 or one.shape != other.shape:
        raise ValueError(
            f"candidate and champion must have one shape (n, k), not {one.shape}, {other.shape}."
        )
    labels = np.arange(len(one)) if clusters is None else np.asarray(clusters)
    same_length(candidate=one, clusters=labels)
    if np.isinf(one).any() or np.isinf(other).any():
        raise ValueError("candidate and champion must not have infinite values. Remove or clip them first.")
    there = ~(_has_nan(one) | _has_nan(other))
    rows, k = np.hstack([one, other])[there], one.shape[1]
    sizes = np.ones(len(rows))
    if clusters is not None:
        _, codes = np.unique(labels[there], return_inverse=True)
        sizes = np.bincount(codes).astype(np.float64)
        rows = np.stack([np.bincount(codes, column, len(sizes)) for column in rows.T], axis=1)

    def metric(means: Floats) -> Floats:
        return np.asarray(of_means(means[:, :k]), np.float64) - np.asarray(of_means(means[:, k:]), np.float64)

    draws = metric(resampled_ratios(rows, sizes, resamples, rng))
    estimate = float(metric((rows.sum(axis=0) / sizes.sum())[None])[0]) if len(rows) else None
    return bootstrap_result(
        method, estimate=estimate, draws=draws, n=len(rows), units=len(rows), null=null, alternative=alternative,
        confidence=confidence, left_out=int((~there).sum()),
        deviation=float(draws.std()) * math.sqrt(len(rows)) if len(rows) > 1 else None,
        few="one value" if clusters is None else "one cluster",
    )  # fmt: skip


def _has_nan(rows: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isnan(rows).any(axis=tuple(range(1, rows.ndim))), np.bool_)
