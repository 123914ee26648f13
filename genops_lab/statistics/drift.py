"""How far the distribution of a column moved between two samples: a distance with an interval, and a test.

With a million rows every test finds a difference. So a claim is about the distance: "not moved by more than x".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from .results import Floats, Reason

#: Columns with more values are ids or texts, not categories.
MOST_CATEGORIES = 200
_STEPS = 4_000


@dataclass(frozen=True)
class Drift:
    """The distance between the distributions of two samples.

    - distance: 0 (the same) to 1 (no value in common): the Kolmogorov-Smirnov distance of numbers, the total
      variation distance of categories. None without values.
    - low, high: the interval of the true distance at ``confidence``.
    - p: the p-value of "both samples have one distribution": Kolmogorov-Smirnov, or chi-square.
    - cramers_v: the effect size of the chi-square test; None for numbers.
    - missing: the share of missing values in each sample.
    - n: the values of each sample, missing ones too.
    - bound: the factor c of the bound c exp(-2 n t²) of both samples' errors.
    """

    kind: Literal["numbers", "categories"]
    distance: float | None
    low: float | None
    high: float | None
    p: float
    n: tuple[int, int]
    missing: tuple[float, float] = (0.0, 0.0)
    cramers_v: float | None = None
    confidence: float = 0.95
    bound: float = 2.0
    reason: Reason = ""

    def more(self, at_most: float) -> int | None:
        """Return how many more rows of each sample would probably show a distance below ``at_most``; None: none.

        The distance is taken to stay as it is, so this is a guide.
        """
        if self.distance is None or self.high is None or self.high <= at_most or self.distance >= at_most:
            return None
        smallest = min(self.n)
        grown = (_margin(self.n, self.bound, self.confidence) / (at_most - self.distance)) ** 2
        return max(1, math.ceil(smallest * (grown - 1)))


def numbers_drift(one: npt.ArrayLike, other: npt.ArrayLike, *, confidence: float = 0.95) -> Drift:
    """Return the drift of numbers, shapes (n,) and (m,). NaN is missing, and stands before all numbers.

    The interval holds for every distribution, with ties too: the distance lies no farther from the truth than both
    empirical distributions together. Sources: Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz
    inequality", Annals of Probability 18 (1990); the p-value is Smirnov's limit (1948).

    Raises ValueError for other shapes.

    >>> numbers_drift(range(1000), range(500, 1500)).distance
    0.5
    """
    first, second = _sorted(one), _sorted(other)
    n = (len(first), len(second))
    if not min(n):
        return _without_values("numbers", n, confidence)
    distance = max(_farthest(first, second, first), _farthest(first, second, second))
    from scipy.special import kolmogorov

    p = float(kolmogorov(distance * math.sqrt(n[0] * n[1] / sum(n))))
    missing = (
        float(np.isnan(np.asarray(one, np.float64)).mean()),
        float(np.isnan(np.asarray(other, np.float64)).mean()),
    )
    return _drift("numbers", distance, p, n, missing, 2.0, confidence)


def categories_drift(
    one: npt.NDArray[np.object_], other: npt.NDArray[np.object_], *, confidence: float = 0.95
) -> Drift:
    """Return the drift of categories, shapes (n,) and (m,). None is missing, and is a category of its own.

    Sources: Weissman et al., "Inequalities for the L1 deviation of the empirical distribution", HP Labs (2003), for
    the interval; Pearson (1900) and Cramér (1946) for the test of homogeneity and its effect size.

    Raises ValueError for more than 200 categories: the distance of ids or texts says nothing.
    """
    n = (len(one), len(other))
    if not min(n):
        return _without_values("categories", n, confidence)
    counted = [dict(zip(*_unique(sample), strict=True)) for sample in (one, other)]
    names = list(dict.fromkeys([*counted[0], *counted[1]]))
    if len(names) > MOST_CATEGORIES:
        raise ValueError(
            f"The samples have {len(names):,} categories; at most {MOST_CATEGORIES} are compared."
        )
    table = np.array([[float(counts.get(name, 0)) for name in names] for counts in counted])
    shares = table / np.array(n)[:, None]
    distance = float(np.abs(shares[0] - shares[1]).sum() / 2)
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / sum(n)
    chi_square = float(((table - expected) ** 2 / expected).sum())
    from scipy.special import chdtrc

    p = float(chdtrc(len(names) - 1, chi_square)) if len(names) > 1 else 1.0
    missing = (counted[0].get(None, 0) / n[0], counted[1].get(None, 0) / n[1])
    bound = 2.0 ** max(2, len(names)) - 2
    # An unseen category is taken to be absent: the bound counts the categories that a sample has.
    found = _drift("categories", distance, p, n, missing, bound, confidence)
    return Drift(**{**found.__dict__, "cramers_v": math.sqrt(chi_square / sum(n))})


def _drift(
    kind: Literal["numbers", "categories"],
    distance: float,
    p: float,
    n: tuple[int, int],
    missing: tuple[float, float],
    bound: float,
    confidence: float,
) -> Drift:
    margin = _margin(n, bound, confidence)
    return Drift(
        kind, distance, max(0.0, distance - margin), min(1.0, distance + margin), p, n, missing,
        confidence=confidence, bound=bound,
    )  # fmt: skip


def _without_values(kind: Literal["numbers", "categories"], n: tuple[int, int], confidence: float) -> Drift:
    return Drift(kind, None, None, None, 1.0, n, confidence=confidence, reason="no values")


@lru_cache(256)
def _margin(n: tuple[int, int], bound: float, confidence: float) -> float:
    """Return t such that both samples' errors together exceed t with a probability of at most 1 - confidence.

    Each error exceeds t with a probability of at most c exp(-2 n t²). The samples are independent, so the sum of two
    independent variables with exactly these tails bounds the sum of the errors. Its quantile is found on a grid that
    rounds up.
    """
    alpha = round(1 - confidence, 12)
    # Tails of one error, from 1 to 0, in equal steps; the last step is bounded by a thousandth of alpha.
    tails = np.arange(_STEPS, 0, -1) / _STEPS
    upper = np.maximum(tails - 1 / _STEPS, alpha / 1000)
    first, second = (np.sqrt((math.log(bound) - np.log(upper)) / (2 * each)) for each in n)
    low, high = 0.0, float(first[-1] + second[-1])
    for _ in range(60):
        middle = (low + high) / 2
        # For each step of the first error: the probability that the second one exceeds the rest.
        rest = np.maximum(middle - first, 0.0)
        exceeds = np.minimum(1.0, np.exp(math.log(bound) - 2 * n[1] * rest**2)).mean() + alpha / 1000
        low, high = (middle, high) if exceeds > alpha else (low, middle)
    return high


def _farthest(first: Floats, second: Floats, at: Floats) -> float:
    below = [np.searchsorted(each, at, side="right") / len(each) for each in (first, second)]
    return float(np.abs(below[0] - below[1]).max())


def _sorted(values: npt.ArrayLike) -> Floats:
    found = np.asarray(values, np.float64)
    if found.ndim != 1:
        raise ValueError(f"values must have the shape (n,), not {found.shape}.")
    return np.sort(np.where(np.isnan(found), -np.inf, found))


def _unique(values: npt.NDArray[np.object_]) -> tuple[list[object], list[int]]:
    counts: dict[object, int] = {}
    for each in values.tolist():
        counts[each] = counts.get(each, 0) + 1
    return list(counts), list(counts.values())
