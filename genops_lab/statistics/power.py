"""How many examples a test needs, and the smallest difference that it can detect."""

from __future__ import annotations

import math

from .results import POWER, Alternative, normal_quantile

#: More examples than this are reported as unknown: nobody collects them.
MOST_EXAMPLES = 1_000_000_000


def needed_examples(
    effect: float,
    deviation: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    alternative: Alternative = "two-sided",
) -> int | None:
    """Return how many pairs (or values) show a mean of ``effect`` with a probability of ``power``.

    deviation: the standard deviation of a value; of a paired test, that of a difference. For 0/1 answers see
    `paired_rate_deviation`. None: the effect is 0, has the wrong sign for a one-sided alternative, or needs
    more than 10^9.

    ``n = ((z_a + z_b) * deviation / effect)^2 + z_a^2 / 2``. Source: W. C. Guenther, "Sample size formulas
    for normal theory t tests", The American Statistician 35 (1981).

    >>> needed_examples(0.01, 0.3)
    7066
    """
    z_alpha, z_power = _quantiles(alpha, power, alternative)
    wrong = (alternative == "greater" and effect < 0) or (alternative == "less" and effect > 0)
    if wrong or not effect or not math.isfinite(effect) or not math.isfinite(deviation):
        return None
    ratio = (z_alpha + z_power) * deviation / abs(effect)
    if ratio > math.sqrt(MOST_EXAMPLES):
        return None
    return max(2, math.ceil(ratio**2 + z_alpha**2 / 2))


def smallest_effect(
    n: int,
    deviation: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    alternative: Alternative = "two-sided",
) -> float | None:
    """Return the smallest mean that n pairs (or values) show with a probability of ``power``; positive.

    The inverse of `needed_examples`. None: n is too small for any.

    >>> round(smallest_effect(7066, 0.3), 5)
    0.01
    """
    z_alpha, z_power = _quantiles(alpha, power, alternative)
    left = n - z_alpha**2 / 2
    return (z_alpha + z_power) * deviation / math.sqrt(left) if left > 0 and n > 1 else None


def paired_rate_deviation(only_candidate: float, only_champion: float) -> float:
    """Return the standard deviation of a paired difference of 0/1 answers.

    only_candidate, only_champion: the shares of rows where only that model is right, 0 to 1. Source: R. J.
    Connor, "Sample size for testing differences in proportions for the paired-sample design", Biometrics 43
    (1987).
    """
    difference = only_candidate - only_champion
    return math.sqrt(max(0.0, only_candidate + only_champion - difference**2))


def _quantiles(alpha: float, power: float, alternative: Alternative) -> tuple[float, float]:
    if not (0 < alpha < 1 and 0 < power < 1):
        raise ValueError(f"alpha and power must be between 0 and 1, not {alpha} and {power}.")
    return normal_quantile(1 - alpha / (2 if alternative == "two-sided" else 1)), normal_quantile(power)
