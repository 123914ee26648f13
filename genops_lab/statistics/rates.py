"""One rate, or one quantile, against a bound: exact tests by the binomial distribution."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from .power import needed_examples
from .results import CONFIDENCE, Alternative, Result, check_confidence, checked, sided, unknown


def binomial(
    successes: int,
    n: int,
    *,
    null: float = 0.5,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
    left_out: int = 0,
) -> Result:
    """Return a rate from ``successes`` among n, with the exact test and the exact interval.

    A two-sided p is twice the smaller one-sided p. Source: C. J. Clopper and E. S. Pearson, "The use of
    confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26 (1934).

    >>> binomial(95, 100, null=0.9, alternative="greater").rejected
    False
    """
    from scipy.special import bdtr, bdtrc, betaincinv

    method = "Exact binomial test"
    alpha = check_confidence(confidence)
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n, not {successes} of {n}.")
    if not 0 <= null <= 1:
        raise ValueError(f"null must be between 0 and 1, not {null}.")
    if n == 0:
        return unknown(
            method, "no values", null=null, alternative=alternative, confidence=confidence, left_out=left_out
        )
    greater = float(bdtrc(successes - 1, n, null)) if successes else 1.0
    less = float(bdtr(successes, n, null))
    estimate = successes / n
    return Result(
        method, estimate,
        float(betaincinv(successes, n - successes + 1, alpha / 2)) if successes else 0.0,
        float(betaincinv(successes + 1, n - successes, 1 - alpha / 2)) if successes < n else 1.0,
        sided(greater, less, alternative), n, alternative, null, confidence,
        needed=needed_examples(
            estimate - null, math.sqrt(null * (1 - null)), alpha=alpha, alternative=alternative
        ),
        left_out=left_out,
    )  # fmt: skip


def quantile(
    values: npt.ArrayLike,
    probability: float,
    *,
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
) -> Result:
    """Return a quantile of values, shape (n,), such as the latency at 0.95, with its exact test and interval.

    No assumption is made about the distribution; ties are allowed. An end is infinite where the values are too
    few. NaN are left out. ``needed`` supposes the share of values below ``null`` that was seen. Source: W. J.
    Conover, "Practical Nonparametric Statistics" (1999), section 3.2.

    >>> quantile([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.5, null=20, alternative="less").rejected
    True
    """
    from scipy.special import bdtr, bdtrc

    method = "Exact quantile test"
    alpha = check_confidence(confidence)
    if not 0 < probability < 1:
        raise ValueError(f"probability must be between 0 and 1, not {probability}.")
    array, left_out = checked(values)
    n = len(array)
    if n == 0:
        return unknown(
            method, "no values", null=null, alternative=alternative, confidence=confidence, left_out=left_out
        )
    ordered = np.sort(array)
    below, at_most = int((ordered < null).sum()), int((ordered <= null).sum())
    less = float(bdtrc(below - 1, n, probability)) if below else 1.0
    greater = float(bdtr(at_most, n, probability))
    counts = np.arange(n + 1)
    few = bdtr(counts, n, probability) <= alpha / 2  # this few values below the quantile are too unlikely
    many = np.concatenate([[1.0], bdtrc(counts[:-1], n, probability)]) <= alpha / 2
    least, most = int(few.sum()), int((~many).sum())
    return Result(
        method, float(ordered[min(n - 1, math.ceil(probability * n - 1e-9) - 1)]),
        float(ordered[least - 1]) if least else -math.inf,
        float(ordered[most - 1]) if most <= n else math.inf,
        sided(greater, less, alternative), n, alternative, null, confidence,
        needed=needed_examples(
            below / n - probability if alternative == "less" else probability - at_most / n,
            math.sqrt(probability * (1 - probability)), alpha=alpha, alternative="greater",
        ),
        left_out=left_out,
    )  # fmt: skip
