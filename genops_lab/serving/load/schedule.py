"""Plan when requests arrive.

The arrivals are a Poisson process with a rate that grows by steps: independent callers, who do not wait for the answers
of others (an open loop). A closed loop would send less while answers are slow, and so hide the slowness.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """A part of the test: arrivals in seconds since its start, in order."""

    rate: float
    begins_s: float
    ends_s: float
    arrivals: list[float]


def ramp(first: float, last: float, seconds: float, steps: int) -> list[Step]:
    """Return steps of equal length whose rates grow by the same factor, in requests a second.

    >>> [step.rate for step in ramp(10, 40, 30, 3)]
    [10.0, 20.0, 40.0]
    """
    steps = 1 if first == last else steps
    length = seconds / steps
    generator = random.Random(0)  # noqa: S311 - the same schedule each time, so that results can be compared
    found = []
    for at in range(steps):
        rate = first * (last / first) ** (at / (steps - 1)) if steps > 1 else float(first)
        begins, ends = at * length, (at + 1) * length
        arrivals, now = [], begins
        while (now := now + generator.expovariate(rate)) < ends:
            arrivals.append(now)
        found.append(Step(round(rate, 3), begins, ends, arrivals))
    return found
