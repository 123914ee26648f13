"""Means of repeats (several seeds) and their differences: Student's t, Welch, hierarchical."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .results import CONFIDENCE, Alternative, Reason, Result, check_confidence, checked, t_result, unknown

#: Seeds of each model that `hierarchical` needs.
LEAST_SEEDS = 3


@dataclass(frozen=True)
class Sample:
    """The number, mean and standard error of values (error None: no spread). left_out: NaN among them."""

    n: int
    mean: float | None
    error: float | None
    left_out: int = 0

    @staticmethod
    def of(values: npt.ArrayLike) -> Sample:
        """Summarise values, shape (n,), without NaN. Values near the largest double do not overflow.

        Raises ValueError if a value is infinite.
        """
        array, left_out = checked(values)
        n = len(array)
        scale = float(np.abs(array).max()) if n else 0.0
        if scale == 0.0:
            return Sample(n, 0.0 if n else None, None, left_out)
        if n == 1 or array.min() == array.max():
            return Sample(n, float(array[0]), None, left_out)
        scaled = array / scale
        mean = _finite(float(scaled.mean()) * scale)
        error = _finite(float(scaled.std(ddof=1)) / math.sqrt(n) * scale)
        return Sample(n, mean, error or None, left_out)

    @property
    def reason(self) -> Reason:
        """Why the sample has no error; empty if it has one."""
        if self.error is not None:
            return ""
        return "no values" if self.n == 0 else "one value" if self.n == 1 else "no spread"


def mean_t(
    values: npt.ArrayLike | Sample,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
) -> Result:
    """Return the mean of values, shape (n,), with Student's interval: t(n-1) * s / sqrt(n).

    Without spread (one value, or all values equal) the mean has no interval, and p is 1. Source:
    NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.2 "Confidence Limits for the Mean".

    >>> found = mean_t([0.91, 0.88, 0.93, 0.90])
    >>> round(found.low, 3), round(found.high, 3)
    (0.872, 0.938)
    """
    check_confidence(confidence)
    sample = values if isinstance(values, Sample) else Sample.of(values)
    if sample.mean is None or sample.error is None:
        return unknown(
            "Student's t", sample.reason or "not finite", estimate=sample.mean, n=sample.n, null=null,
            alternative=alternative, confidence=confidence, left_out=sample.left_out,
        )  # fmt: skip
    return t_result(
        "Student's t", estimate=sample.mean, error=sample.error, freedom=sample.n - 1, n=sample.n, null=null,
        alternative=alternative, confidence=confidence, left_out=sample.left_out,
        deviation=sample.error * math.sqrt(sample.n),
    )  # fmt: skip


def welch(
    candidate: npt.ArrayLike | Sample,
    champion: npt.ArrayLike | Sample,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
) -> Result:
    """Return the difference of two means, candidate less champion, shapes (n,) and (m,), by Welch's t-test.

    Variances may be unequal; the degrees of freedom are those of Welch and Satterthwaite. Without spread in
    one of them the difference has no interval, and p is 1. ``n`` and ``needed`` count both samples together.
    Source: B. L. Welch, "The generalization of Student's problem when several different population variances
    are involved", Biometrika 34 (1947); NIST/SEMATECH e-Handbook, 1.3.5.3.
    """
    check_confidence(confidence)
    one = candidate if isinstance(candidate, Sample) else Sample.of(candidate)
    other = champion if isinstance(champion, Sample) else Sample.of(champion)
    n, left_out = one.n + other.n, one.left_out + other.left_out
    found = None if one.mean is None or other.mean is None else _finite(one.mean - other.mean)
    a, b = one.error, other.error
    if found is None or a is None or b is None:
        return unknown(
            "Welch's t", one.reason or other.reason or "not finite", estimate=found, n=n, null=null,
            alternative=alternative, confidence=confidence, left_out=left_out,
        )  # fmt: skip
    # As shares of the larger one, so that squares of very large and very small errors are finite.
    largest = max(a, b)
    x, y = (a / largest) ** 2, (b / largest) ** 2
    error = largest * math.sqrt(x + y)
    return t_result(
        "Welch's t", estimate=found, error=error,
        freedom=(x + y) ** 2 / (x**2 / (one.n - 1) + y**2 / (other.n - 1)),
        n=n, null=null, alternative=alternative, confidence=confidence, left_out=left_out,
        deviation=error * math.sqrt(n),
    )  # fmt: skip


def hierarchical(
    candidate: npt.ArrayLike,
    champion: npt.ArrayLike,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
) -> Result:
    """Return the difference of two models, each trained with several seeds and tested on the same examples.

    candidate: shape (seeds, examples); champion: shape (its seeds, examples). The interval covers both a new
    seed and new examples: its variance is that of the means by seed of each model, and that of the
    differences by example. Noise of single answers is counted twice, which makes it wider, never narrower.
    Each model needs three seeds: with two, the test errs at 6 % in place of 5 %. Examples with a NaN are left
    out. ``n`` is the number of examples; ``needed`` is unknown, because more seeds may be cheaper.

    Source: A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1 (2007), the variance of
    crossed factors; F. E. Satterthwaite, "An approximate distribution of estimates of variance components",
    Biometrics Bulletin 2 (1946).
    """
    method = "Hierarchical t"
    check_confidence(confidence)
    one, other = np.asarray(candidate, np.float64), np.asarray(champion, np.float64)
    if one.ndim != 2 or other.ndim != 2 or one.shape[1] != other.shape[1]:
        raise ValueError(
            "candidate and champion must have the shapes (seeds, examples) with the same examples, "
            f"not {one.shape} and {other.shape}."
        )
    if np.isinf(one).any() or np.isinf(other).any():
        raise ValueError("candidate and champion must not have infinite values. Remove or clip them first.")
    missing = np.isnan(one).any(axis=0) | np.isnan(other).any(axis=0)
    one, other, left_out = one[:, ~missing], other[:, ~missing], int(missing.sum())
    n = one.shape[1]
    seeds = min(len(one), len(other))
    estimate = float(one.mean() - other.mean()) if n and seeds else None
    parts = []
    if n > 1 and seeds >= LEAST_SEEDS:
        for values in (one.mean(axis=1), other.mean(axis=1), one.mean(axis=0) - other.mean(axis=0)):
            parts.append((float(values.var(ddof=1)) / len(values), len(values) - 1))
    variance = sum(part for part, _ in parts)
    if estimate is None or variance == 0:
        reason: Reason = "no values" if estimate is None else "no spread" if parts else "few seeds"
        return unknown(
            method, reason, estimate=estimate, n=n, null=null, alternative=alternative,
            confidence=confidence, left_out=left_out,
        )  # fmt: skip
    freedom = 1 / sum((part / variance) ** 2 / degrees for part, degrees in parts)
    return t_result(
        method, estimate=estimate, error=math.sqrt(variance), freedom=freedom, n=n, null=null,
        alternative=alternative, confidence=confidence, left_out=left_out,
    )  # fmt: skip


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
