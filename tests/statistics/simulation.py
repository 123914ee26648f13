"""What a simulation says about a stated error."""

from __future__ import annotations

import math

from tests.support.exhaustive import times


def trials(full: int, daily: int) -> int:
    """Return how many data sets a simulation makes: ``full`` with ``make test-all``."""
    return times(full, daily)


def upper_bound(events: int, n: int, confidence: float = 0.99) -> float:
    """Return the one-sided upper bound of a rate (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    return 1.0 if events == n else float(betaincinv(events + 1, n - events, confidence))


def assert_error(events: int, n: int, level: float) -> None:
    """Fail unless the upper 99 % bound of an error's rate is at most ``level`` and the resolution of n data sets.

    The resolution is 6 standard errors. A test that errs at exactly its level passes in more than 99 of 100 such
    simulations, and one that errs at 10 % in place of 5 % fails in more than 99 of 100, from 1,000 data sets on.
    """
    resolution = 6 * math.sqrt(level * (1 - level) / n)
    bound = upper_bound(events, n)
    assert bound <= level + resolution, (
        f"{events} of {n} are errors: up to {bound:.4f}, and {level} was stated (+ {resolution:.4f})"
    )
