"""How soon looks at `sequential.mean_sequence` know the difference of two models of right and wrong answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .power import smallest_effect
from .results import POWER, Floats

#: Evaluations that are simulated, and those of each step of a search. A power has a standard error of 3 points at most.
PATHS, _TRIED = 250, 120
#: The rows of a path are summed in so many parts at most, short ones first, whose rows have one bet.
_PARTS = 64
_STEPS = 6


@dataclass(frozen=True)
class EarlyStop:
    """The power of evaluations that stop when the difference is known.

    - difference: the true one, of the share of rows that are right.
    - power: the share of evaluations that show it.
    - examples: the rows that are asked on average.
    """

    difference: float
    power: float
    examples: float


def early_stop(
    looks: Sequence[int],
    differing: float,
    difference: float,
    *,
    alpha: float = 0.05,
    margin: float = 0.0,
    is_finite: bool = False,
    seed: int = 0,
    paths: int = PATHS,
) -> EarlyStop:
    """Return what is shown of a true difference of two models that differ on a share ``differing`` of rows.

    looks: the numbers of rows at which the confidence sequence is looked at; the last has all rows. An evaluation
    stops if the sequence excludes 0, or lies within ``margin`` on both sides of 0.

    is_finite: rows are drawn without replacement from a set of all rows. The last look knows, and does not count.

    A simulation of the capital of the bets with a fixed seed: equal rows add one amount, so rows are summed in parts.
    """
    n = looks[-1]
    rng = np.random.default_rng(seed)
    better, worse = (differing + difference) / 2, (differing - difference) / 2
    ends = np.unique(np.round(n * np.linspace(0, 1, _PARTS + 1) ** 1.5).astype(int))
    sizes = np.diff(ends)
    counts: Floats = (
        _from_a_set(sizes, round(better * n), round(worse * n), paths, rng)
        if is_finite
        else rng.multinomial(sizes, [better, worse, 1 - better - worse], (paths, len(sizes))).astype(
            np.float64
        )
    )
    one, other, same = np.moveaxis(counts, -1, 0)
    bets = _bets(one, other, sizes, alpha / 2)
    before = _before(one + same / 2)
    limit = math.log(2 / alpha)

    def first(mean: float, is_above: bool) -> Floats:
        """Return at how many rows each path excludes means up to (or from) ``mean``; infinite where it does not."""
        up, down, sums = (one, other, before) if is_above else (other, one, _before(other + same / 2))
        null: Floats | float = mean if is_above else 1 - mean
        if is_finite:
            null = np.clip((n * null - sums) / (n - ends[:-1]), 0.0, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            bet = np.minimum(bets, 0.5 / np.maximum(null, 1e-12))
            gain = (
                up * np.log1p(bet * (1 - null))
                + down * np.log1p(-bet * null)
                + same * np.log1p(bet * (0.5 - null))
            )
        crossed = np.cumsum(gain, axis=1) >= limit
        return np.where(crossed.any(axis=1), ends[1:][crossed.argmax(axis=1)], math.inf)

    shown = np.minimum(first(0.5, True), first(0.5, False))
    equal = np.full(paths, math.inf)
    if margin:
        equal = np.maximum(first((1 - margin) / 2, True), first((1 + margin) / 2, False))
    at = np.append(np.asarray(looks, np.float64), math.inf)
    last = len(looks) - 1
    shown_at, equal_at = np.searchsorted(at, shown), np.searchsorted(at, equal)
    known = (shown_at < equal_at) & (shown_at < last + (not is_finite))
    asked = at[np.minimum(np.minimum(shown_at, equal_at), last)]
    return EarlyStop(difference, float(known.mean()), float(asked.mean()))


def smallest_shown(
    looks: Sequence[int],
    differing: float,
    *,
    alpha: float = 0.05,
    power: float = POWER,
    is_finite: bool = False,
) -> EarlyStop | None:
    """Return the smallest difference that is shown with a probability of ``power``; None: there is none.

    It is larger than that of one look at the end, `power.smallest_effect`. The seed is the same for each difference.
    """
    low = smallest_effect(looks[-1], math.sqrt(differing), alpha=alpha, power=power) or differing
    low, high = min(low, differing) / (4 if is_finite else 1), differing
    options: dict[str, Any] = {"alpha": alpha, "is_finite": is_finite}
    if early_stop(looks, differing, high, paths=_TRIED, **options).power < power:
        return None
    for _ in range(_STEPS):
        middle = math.sqrt(low * high)
        is_shown = early_stop(looks, differing, middle, paths=_TRIED, **options).power >= power
        low, high = (low, middle) if is_shown else (middle, high)
    return early_stop(looks, differing, high, **options)


def _bets(one: Floats, other: Floats, sizes: Floats, alpha: float) -> Floats:
    """Return the bet at the middle row of each part, as `sequential._bets` makes it from the parts before."""
    t = _before(np.broadcast_to(sizes, one.shape).astype(np.float64))
    # Values are 1, 0 and 1/2: their squares around 1/2 are known without the running mean, which is near the mean.
    mean = (0.5 + t / 2 + _before(one - other) / 2) / (t + 1)
    squares = _before(one + other) / 4
    variance = (0.25 + np.maximum(0.0, squares - t * (mean - 0.5) ** 2)) / (t + 1)
    row = t + (1 + sizes) / 2
    found: Floats = np.sqrt(2 * math.log(1 / alpha) / (variance * row * np.log1p(row)))
    return found


def _before(values: Floats) -> Floats:
    """Return the sums of the parts before each."""
    return np.cumsum(values, axis=1) - values


def _from_a_set(sizes: Floats, one: int, other: int, paths: int, rng: np.random.Generator) -> Floats:
    """Return the counts of parts that are drawn without replacement, shape (paths, parts, 3)."""
    left = int(sizes.sum())
    ones, others = np.full(paths, one), np.full(paths, other)
    found = np.empty((paths, len(sizes), 3))
    for at, size in enumerate(sizes.tolist()):
        drawn = rng.hypergeometric(ones, left - ones, size)
        rest = rng.hypergeometric(others, left - ones - others, size - drawn)
        found[:, at] = np.stack((drawn, rest, size - drawn - rest), axis=1)
        ones, others, left = ones - drawn, others - rest, left - size
    return found
