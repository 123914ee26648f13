"""Answers that hold at every look: e-processes, confidence sequences, sample-ratio checks, alpha spending.

A test of this module may be asked after every row, and stopped at any time for any reason. ``p`` is anytime
valid, ``e_value`` is the evidence against ``null``: the chance that it ever reaches 1 / alpha is at most alpha.
Rows come in the order in which they arrived.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from .results import (
    CONFIDENCE,
    Alternative,
    Floats,
    Result,
    check_confidence,
    checked,
    normal_quantile,
    same_length,
    unknown,
)

_LARGEST_LOG = 700.0


def rate_sequence(
    successes: int,
    n: int,
    *,
    null: float = 0.5,
    confidence: float = CONFIDENCE,
    prior: tuple[float, float] = (0.5, 0.5),
) -> Result:
    """Return a rate from ``successes`` among n, with a confidence sequence from these two counts alone.

    The evidence is the likelihood under a Beta mixture by that under ``null``; the sequence has the rates whose
    evidence is below 1 / alpha.

    prior: the mixture, chosen before the data. Source: H. Robbins, "Statistical
    methods related to the law of the iterated logarithm", Annals of Mathematical Statistics 41 (1970); M.
    Lindon and A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022, with two outcomes.
    """
    method = "Beta-binomial confidence sequence"
    alpha = check_confidence(confidence)
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n, not {successes} of {n}.")
    if n == 0:
        return unknown(method, "no values", null=null, confidence=confidence)
    counts, weights = np.array([successes, n - successes], np.float64), np.array(prior, np.float64)

    def evidence(rate: float) -> float:
        return float(_log_evidence(counts, np.array([rate, 1 - rate]), weights))

    estimate, limit = successes / n, math.log(1 / alpha)
    log_e = evidence(null)
    return Result(
        method, estimate,
        _bisect(lambda rate: evidence(rate) >= limit, 0.0, estimate) if successes else 0.0,
        _bisect(lambda rate: evidence(rate) < limit, estimate, 1.0) if successes < n else 1.0,
        math.exp(-max(0.0, log_e)), n, null=null, confidence=confidence,
        e_value=_exp(log_e),
    )  # fmt: skip


def mean_sequence(
    values: npt.ArrayLike,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
) -> Result:
    """Return the mean of bounded values, shape (n,), with the hedged betting confidence sequence.

    bounds: the least and the largest possible value; (-1, 1) for differences of answers that are 0 to 1. The
    interval is the intersection of those of all rows so far. NaN are left out. Time and memory are O(n).

    Source: I. Waudby-Smith and A. Ramdas, "Estimating means of bounded random variables by betting", JRSS B 86
    (2024), section 4.4: predictable plug-in bets, truncated at 1/2, half of the capital on each side.

    >>> found = mean_sequence([1.0] * 20, null=0.5)
    >>> found.e_value > 20, found.high
    (True, 1.0)
    """
    method = "Betting confidence sequence"
    alpha = check_confidence(confidence)
    low, high = bounds
    if not low <= null <= high or low >= high:
        raise ValueError(f"null must lie within the bounds, not {null} in {low} to {high}.")
    array, left_out = checked(values)
    if len(array) and (array.min() < low or array.max() > high):
        raise ValueError(
            f"values must lie within the bounds {low} to {high}, and are {array.min():g} to {array.max():g}."
        )
    if not len(array):
        return unknown(
            method, "no values", null=null, alternative=alternative, confidence=confidence, left_out=left_out
        )
    x = (array - low) / (high - low)
    bets = _bets(x, alpha / 2)
    m = (null - low) / (high - low)
    limit = math.log(2 / alpha)
    above, below = _capital(x, bets, m), _capital(1 - x, bets, 1 - m)
    if alternative == "two-sided":
        path = np.maximum(above, below) - math.log(2)
    else:
        path = above if alternative == "greater" else below
    estimate = float(x.mean())
    ends = (
        _bisect(lambda mean: bool(_capital(x, bets, mean).max() >= limit), 0.0, estimate),
        _bisect(lambda mean: bool(_capital(1 - x, bets, 1 - mean).max() < limit), estimate, 1.0),
    )
    return Result(
        method, float(array.mean()), low + ends[0] * (high - low), low + ends[1] * (high - low),
        math.exp(-max(0.0, float(path.max()))), len(array), alternative, null, confidence,
        e_value=_exp(float(path[-1])), left_out=left_out,
    )  # fmt: skip


def finite_mean_sequence(
    values: npt.ArrayLike,
    size: int,
    *,
    bounds: tuple[float, float] = (0.0, 1.0),
    null: float = 0.0,
    alternative: Alternative = "two-sided",
    confidence: float = CONFIDENCE,
) -> Result:
    """Return the mean of a finite set of ``size`` examples, from the values so far, shape (n,), in a random order.

    The question is about this set itself, and not about others like it. The sequence gets narrower than that of
    `mean_sequence` as the set is used up, and is exact once all values are there. Values with a NaN are not left out,
    because the set would then be another: they raise ValueError.

    Source: I. Waudby-Smith and A. Ramdas, as of `mean_sequence`, section 5: betting without replacement.

    >>> found = finite_mean_sequence([1.0, 1.0, 0.0, 1.0] * 20, 100, null=0.5)
    >>> found.rejected, found.low >= 0.6, found.high <= 0.8  # 60 of 100 are right already, and 20 are still to come
    (True, True, True)
    """
    method = "Betting confidence sequence (finite set)"
    alpha = check_confidence(confidence)
    low, high = bounds
    if not low <= null <= high or low >= high:
        raise ValueError(f"null must lie within the bounds, not {null} in {low} to {high}.")
    array, missing = checked(values)
    n = len(array)
    if missing:
        raise ValueError("The values of a finite set must not have NaN: leave these examples out of the set.")
    if n > size:
        raise ValueError(f"A set of {size} examples cannot have {n} values.")
    if n and (array.min() < low or array.max() > high):
        raise ValueError(
            f"values must lie within the bounds {low} to {high}, and are {array.min():g} to {array.max():g}."
        )
    if not n:
        return unknown(method, "no values", null=null, alternative=alternative, confidence=confidence)
    x = (array - low) / (high - low)
    bets, limit = _bets(x, alpha / 2), math.log(2 / alpha)
    estimate, total = float(x.mean()), float(x.sum())
    least, most = total / size, (total + size - n) / size
    ends = (
        _bisect(lambda mean: bool(_finite_capital(x, bets, mean, size).max() >= limit), least, estimate),
        _bisect(
            lambda mean: bool(_finite_capital(1 - x, bets, 1 - mean, size).max() < limit), estimate, most
        ),
    )
    m = (null - low) / (high - low)
    above, below = _finite_capital(x, bets, m, size), _finite_capital(1 - x, bets, 1 - m, size)
    if alternative == "two-sided":
        path = np.maximum(above, below) - math.log(2)
    else:
        path = above if alternative == "greater" else below
    return Result(
        method, float(array.mean()), low + ends[0] * (high - low), low + ends[1] * (high - low),
        math.exp(-max(0.0, float(path.max()))), n, alternative, null, confidence,
        e_value=_exp(float(path[-1])),
    )  # fmt: skip


def _finite_capital(x: Floats, bets: Floats, mean: float, size: int) -> Floats:
    """Return the logarithm of the capital after each bet that the mean of the set is above ``mean``.

    Under a mean, the values that are left have a mean too: the game is against that one. A mean that the values so far
    make impossible loses to an infinite capital.
    """
    before = np.concatenate(([0.0], np.cumsum(x)[:-1]))
    left = (size * mean - before) / (size - np.arange(len(x)))
    possible = np.clip(left, 0.0, 1.0)
    with np.errstate(divide="ignore"):
        bounded = np.minimum(bets, np.where(possible > 0, 0.5 / possible, math.inf))
    found: Floats = np.cumsum(np.log1p(bounded * (x - possible)))
    # Rounding must not call a mean impossible that is not: an end of the interval lies on it.
    over = np.maximum.accumulate(before + x - size * mean > 1e-9 * size)
    return np.where(over, np.inf, found)


def _bets(x: Floats, alpha: float) -> Floats:
    """Return the bet before each value, from the values before it (equation 26 of the paper)."""
    t = np.arange(1, len(x) + 1)
    mean = (0.5 + np.cumsum(x)) / (t + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2)) / (t + 1)
    before = np.concatenate(([0.25], variance[:-1]))
    bets: Floats = np.sqrt(2 * math.log(1 / alpha) / (before * t * np.log1p(t)))
    return bets


def _capital(x: Floats, bets: Floats, mean: float) -> Floats:
    """Return the logarithm of the capital after each bet that the mean of x is above ``mean``."""
    bounded = np.minimum(bets, 0.5 / mean) if mean > 0 else bets
    found: Floats = np.cumsum(np.log1p(bounded * (x - mean)))
    return found


def two_rates(
    candidate: npt.ArrayLike,
    champion: npt.ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    prior: tuple[float, float] = (0.18, 0.18),
) -> Result:
    """Return the difference of the rates of two streams of 0/1 answers, each of shape (n,), as a rollout has.

    Row i of each is the i-th answer of that stream; the answers need not be those of the same questions. The
    null is that the rates are equal. The interval combines two confidence sequences, each at half of alpha.

    Source: R. J. Turner, A. Ly and P. D. Grünwald, "Generic E-variables for exact sequential k-sample tests
    that allow for optional stopping", Journal of Statistical Planning and Inference 230 (2024), with the prior
    recommended there.
    """
    method = "Safe test of two rates"
    alpha = check_confidence(confidence)
    one, other = np.asarray(candidate, np.float64), np.asarray(champion, np.float64)
    same_length(candidate=one, champion=other)
    there = ~(np.isnan(one) | np.isnan(other))
    one, other = one[there], other[there]
    if not (np.isin(one, (0, 1)).all() and np.isin(other, (0, 1)).all()):
        raise ValueError("two_rates needs answers that are 0 or 1.")
    n, left_out = len(one), int((~there).sum())
    if n == 0:
        return unknown(method, "no values", confidence=confidence, left_out=left_out)
    a, b = (_rate_before(answers, prior) for answers in (one, other))
    middle = (a + b) / 2
    path = np.cumsum(
        _log_likelihood(one, a) + _log_likelihood(other, b)
        - _log_likelihood(one, middle) - _log_likelihood(other, middle)
    )  # fmt: skip
    first, second = (
        rate_sequence(int(answers.sum()), n, confidence=1 - alpha / 2) for answers in (one, other)
    )
    assert first.low is not None and first.high is not None
    assert second.low is not None and second.high is not None
    return Result(
        method, float(one.mean() - other.mean()), first.low - second.high, first.high - second.low,
        math.exp(-max(0.0, float(path.max()))), n, confidence=confidence,
        e_value=_exp(float(path[-1])), left_out=left_out,
    )  # fmt: skip


def _rate_before(answers: Floats, prior: tuple[float, float]) -> Floats:
    """Return the expected rate before each answer."""
    before = np.cumsum(answers) - answers
    found: Floats = (prior[0] + before) / (prior[0] + prior[1] + np.arange(len(answers)))
    return found


def _log_likelihood(answers: Floats, rate: Floats) -> Floats:
    found: Floats = np.log(np.where(answers == 1, rate, 1 - rate))
    return found


def quantile_sequence(
    values: npt.ArrayLike,
    *,
    probability: float = 0.5,
    confidence: float = CONFIDENCE,
    expected: int = 1_000,
) -> Result:
    """Return a quantile of values, shape (n,), such as the latency at 0.95, with a confidence sequence.

    No assumption is made about the distribution; ties are allowed. An end is infinite where the values are too
    few. expected: the n at which the interval is narrowest. NaN are left out. p is 1: nothing is tested.

    Source: S. R. Howard and A. Ramdas, "Sequential estimation of quantiles with applications to A/B testing
    and best-arm identification", Bernoulli 28 (2022): one-sided beta-binomial mixtures of the numbers of
    values below the quantile.
    """
    method = "Beta-binomial quantile sequence"
    alpha = check_confidence(confidence)
    if not 0 < probability < 1:
        raise ValueError(f"probability must be between 0 and 1, not {probability}.")
    array, left_out = checked(values)
    n = len(array)
    if n == 0:
        return unknown(method, "no values", confidence=confidence, left_out=left_out)
    ordered = np.sort(array)
    # The mixture whose standard deviation is that of a rate after ``expected`` values at this level.
    concentration = max(expected / (2 * math.log(2 / alpha)), 1.0)
    limit = math.log(2 / alpha)
    counts = np.arange(n + 1)
    few = _log_one_sided(counts, n, probability, concentration) < limit
    many = _log_one_sided(n - counts, n, 1 - probability, concentration) < limit
    # The quantile has ``least`` values or more at or below it, and ``most`` or fewer below it.
    least, most = int(counts[few].min()), int(counts[many].max())
    return Result(
        method, float(ordered[min(n - 1, math.ceil(probability * n - 1e-9) - 1)]),
        float(ordered[least - 1]) if least > 0 else -math.inf,
        float(ordered[most]) if most < n else math.inf,
        1.0, n, confidence=confidence, left_out=left_out,
    )  # fmt: skip


def _log_one_sided(successes: npt.NDArray[np.int_], n: int, rate: float, concentration: float) -> Floats:
    """Return the log evidence that the true rate is below ``rate``: a Beta mixture of the rates below it."""
    from scipy.special import betainc, betaln

    a, b = concentration * rate, concentration * (1 - rate)
    with np.errstate(divide="ignore"):
        mixed = np.log(betainc(a + successes, b + n - successes, rate)) + betaln(
            a + successes, b + n - successes
        )
    alone = math.log(betainc(a, b, rate)) + betaln(a, b)
    found: Floats = mixed - alone - successes * math.log(rate) - (n - successes) * math.log1p(-rate)
    return found


def sample_ratio(counts: npt.ArrayLike, shares: npt.ArrayLike, *, alpha: float = 0.001) -> Result:
    """Test once, at a planned n, whether traffic was split as planned, by the chi-square test of fit.

    counts: requests of each arm, shape (k,); shares: the planned shares, shape (k,), which are divided by their
    sum. The estimate is the largest difference of an observed share and its planned one. Every expected count
    should be 5 or more. Source: K. Pearson, Philosophical Magazine 50 (1900); A. Fabijan et al., "Diagnosing
    sample ratio mismatch in online controlled experiments", KDD 2019.
    """
    from scipy.special import gammaincc

    observed, planned = _arms(counts, shares)
    method, n = "Chi-square sample-ratio check", int(observed.sum())
    if n == 0:
        return unknown(method, "no values", confidence=1 - alpha)
    statistic = float(((observed - n * planned) ** 2 / (n * planned)).sum())
    p = float(gammaincc((len(planned) - 1) / 2, statistic / 2))
    return Result(method, float(np.abs(observed / n - planned).max()), None, None, p, n, confidence=1 - alpha)


def sample_ratio_sequence(
    counts: npt.ArrayLike, shares: npt.ArrayLike, *, alpha: float = 0.001, concentration: float = 100.0
) -> Result:
    """Test at any time, and as often as wanted, whether traffic is split as planned.

    counts: requests of each arm so far, shape (k,), or those of every look, shape (looks, k), each with the
    requests before it.

    concentration: that of the Dirichlet mixture around the plan. A larger one finds small deviations sooner.

    Source: M. Lindon and A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022.
    """
    looks = np.atleast_2d(np.asarray(counts, np.float64))
    if len(looks) > 1 and (np.diff(looks, axis=0) < 0).any():
        raise ValueError("counts of later looks must include those before: no count may become smaller.")
    observed, planned = _arms(looks[-1], shares)
    method, n = "Multinomial sample-ratio sequence", int(observed.sum())
    if n == 0:
        return unknown(method, "no values", confidence=1 - alpha)
    path = _log_evidence(looks, planned, concentration * planned)
    return Result(
        method, float(np.abs(observed / n - planned).max()), None, None,
        math.exp(-max(0.0, float(path.max()))), n, confidence=1 - alpha,
        e_value=_exp(float(path[-1])),
    )  # fmt: skip


def _arms(counts: npt.ArrayLike, shares: npt.ArrayLike) -> tuple[Floats, Floats]:
    observed, planned = np.asarray(counts, np.float64), np.asarray(shares, np.float64)
    same_length(counts=observed, shares=planned)
    if observed.ndim != 1 or len(observed) < 2:
        raise ValueError("A sample-ratio check needs counts of two arms or more.")
    if not (planned > 0).all() or not np.isfinite(planned).all():
        raise ValueError("Every planned share must be above 0.")
    if not (observed >= 0).all() or not np.isfinite(observed).all():
        raise ValueError("Every count must be 0 or more.")
    return observed, planned / planned.sum()


def _log_evidence(counts: Floats, probabilities: Floats, weights: Floats) -> Floats:
    """Return the log likelihood of counts, shape (..., k), under a Dirichlet mixture less that of the null."""
    from scipy.special import gammaln, xlogy

    total = counts.sum(axis=-1)
    mixed = gammaln(weights.sum()) - gammaln(weights.sum() + total)
    mixed = mixed + (gammaln(weights + counts) - gammaln(weights)).sum(axis=-1)
    found: Floats = mixed - xlogy(counts, probabilities).sum(axis=-1)
    return found


def spent_alpha(
    share: float, alpha: float = 0.05, *, kind: Literal["obrien-fleming", "pocock"] = "obrien-fleming"
) -> float:
    """Return how much of alpha may be spent by the time that a share of the planned examples is there.

    share: 0 to 1, and more counts as 1. A look may spend what is returned less what looks before have spent; it
    rejects at that level. That holds for looks at any times. The sum of the levels is at most alpha, so the
    error is too (Bonferroni), a little less than with the joint distribution of the looks.

    Source: K. K. G. Lan and D. L. DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70
    (1983).

    >>> [round(spent_alpha(share), 5) for share in (0.25, 0.5, 1.0)]
    [9e-05, 0.00557, 0.05]
    """
    if not share >= 0:
        raise ValueError(f"share must be 0 or more, not {share}.")
    share = min(1.0, share)
    if share == 0:
        return 0.0
    if kind == "pocock":
        return alpha * math.log1p((math.e - 1) * share)
    z = normal_quantile(1 - alpha / 2)
    return math.erfc(z / math.sqrt(2 * share))


def _bisect(is_left: Callable[[float], bool], low: float, high: float) -> float:
    """Return the point up to which a condition holds, between two ends."""
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if is_left(middle) else (low, middle)
    return (low + high) / 2


def _exp(log_value: float) -> float:
    return math.exp(min(log_value, _LARGEST_LOG))
