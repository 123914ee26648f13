"""Compute means of repeats, and differences of means, with 95 % confidence intervals; scipy is imported on
first use.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Sample:
    """The number, mean and standard error of finite values (error None: no spread)."""

    n: int
    mean: float | None
    error: float | None

    @staticmethod
    def of(values: Sequence[float]) -> Sample:
        """Summarise; values near the largest double are scaled first, so that no sum overflows."""
        n = len(values)
        scale = max((abs(value) for value in values), default=0.0)
        if n == 0 or scale == 0.0:
            return Sample(n, 0.0 if n else None, None)
        scaled = [value / scale for value in values]
        mean = _finite(statistics.fmean(scaled) * scale)
        if n == 1 or min(values) == max(values):
            return Sample(n, values[0], None)
        error = _finite(statistics.stdev(scaled) / math.sqrt(n) * scale)
        return Sample(n, mean, error or None)


@dataclass(frozen=True)
class Interval:
    """A difference and the ends of its confidence interval."""

    difference: float | None
    low: float | None = None
    high: float | None = None


def margin(sample: Sample) -> float | None:
    """Return half of a mean's interval by Student's t: t(0.975, n-1) * s / sqrt(n). None without spread.

    Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.2 "Confidence Limits for the Mean". There
    is no spread if n = 1, or if all values are equal.
    """
    if sample.error is None:
        return None
    return _finite(_quantile(sample.n - 1) * sample.error)


def difference(one: Sample, baseline: Sample) -> Interval:
    """Return ``one`` less ``baseline``, with Welch's interval; without an interval if one of them has no
    spread.

    Variances may be unequal; the degrees of freedom are those of Welch and Satterthwaite. Source: B. L.
    Welch, "The generalization of Student's problem when several different population variances are involved",
    Biometrika 34 (1947); NIST/SEMATECH e-Handbook, 1.3.5.3.
    """
    if one.mean is None or baseline.mean is None:
        return Interval(None)
    found = _finite(one.mean - baseline.mean)
    a, b = one.error, baseline.error
    if found is None or a is None or b is None:
        return Interval(found)
    # As shares of the larger one, so that squares of very large and very small errors are finite.
    largest = max(a, b)
    x, y = (a / largest) ** 2, (b / largest) ** 2
    freedom = (x + y) ** 2 / (x**2 / (one.n - 1) + y**2 / (baseline.n - 1))
    half = _quantile(freedom) * largest * math.sqrt(x + y)
    low, high = _finite(found - half), _finite(found + half)
    return Interval(found) if low is None or high is None else Interval(found, low, high)


def _quantile(freedom: float) -> float:
    """Return the two-sided quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
