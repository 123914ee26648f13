"""How well raters agree (people, or a judge and people), beyond what chance alone gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .power import needed_examples
from .rates import binomial
from .resampling import RESAMPLES
from .results import (
    CONFIDENCE,
    Floats,
    Reason,
    Result,
    check_confidence,
    same_length,
    sided,
    t_result,
    unknown,
)

#: How far apart two labels are: equal or not; by their order's places; by their order's places, squared.
Weights = Literal["none", "linear", "quadratic"]
#: The level of the labels of `alpha`: names, ordered marks, or numbers.
Level = Literal["nominal", "ordinal", "interval"]
#: Examples that the prior of kappa's interval counts for.
_PRIOR = 2.0
#: The variance that rounding alone may show.
_ROUNDING = 1e-24


@dataclass(frozen=True)
class Agreement:
    """Two raters of the same examples.

    - kappa: Cohen's kappa, with an interval.
    - rate: the share of equal labels, with the exact interval. A large share says little if one label is common.
    - shares: the share of each label, of the first and of the second rater: the base rates.
    """

    kappa: Result
    rate: Result
    shares: dict[Any, tuple[float, float]]


def cohens_kappa(
    one: npt.ArrayLike,
    other: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    weights: Weights = "none",
    null: float = 0.0,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> Agreement:
    """Return how well two raters agree, from labels of shape (n,): text, numbers or truth values.

    weights: for ordered marks, "linear" or "quadratic"; the order is that of the sorted labels. Examples that one
    of them left out (NaN, None) are left out. Kappa has no value if both gave one and the same label alone.

    The interval has the quantiles of kappa where the cells' shares are drawn as after a prior of two examples (half
    of one a cell, for two labels). So it has a width where the raters agree everywhere.

    Source: J. Cohen, "A coefficient of agreement for nominal scales", Educational and Psychological Measurement 20
    (1960), and "Weighted kappa", Psychological Bulletin 70 (1968); the prior: H. Jeffreys, "An invariant form for
    the prior probability in estimation problems", Proceedings of the Royal Society A 186 (1946).

    >>> found = cohens_kappa([1, 1, 0, 0, 1], [1, 0, 0, 0, 1], rng=np.random.default_rng(0))
    >>> round(found.kappa.estimate, 3), found.rate.estimate
    (0.615, 0.8)
    """
    method = "Cohen's kappa" if weights == "none" else f"Cohen's kappa ({weights} weights)"
    alpha = check_confidence(confidence)
    first, second = np.asarray(one, object), np.asarray(other, object)
    same_length(one=first, other=second)
    there = np.array(
        [not (_is_missing(a) or _is_missing(b)) for a, b in zip(first, second, strict=True)], bool
    )
    left_out = int((~there).sum())
    pairs = list(zip(first[there].tolist(), second[there].tolist(), strict=True))
    labels = sorted({label for pair in pairs for label in pair}, key=_order)
    place = {label: at for at, label in enumerate(labels)}
    table = np.zeros((len(labels), len(labels)))
    for a, b in pairs:
        table[place[a], place[b]] += 1
    distance = _distances(len(labels), weights)
    n = len(pairs)
    rate = binomial(int(np.trace(table)), n, confidence=confidence, left_out=left_out)
    shares = {
        label: (float(table[at].sum() / n), float(table[:, at].sum() / n)) for at, label in enumerate(labels)
    }
    estimate = float(_kappas(table[None], distance)[0]) if n else math.nan
    if math.isnan(estimate):
        return Agreement(
            unknown(
                method, "one class" if n else "no values", n=n, null=null, confidence=confidence, left_out=left_out
            ),
            rate, shares,
        )  # fmt: skip
    drawn = rng.dirichlet(table.ravel() + _PRIOR / table.size, resamples).reshape(-1, *table.shape)
    draws = _kappas(drawn, distance)
    low, high = np.quantile(draws, (alpha / 2, 1 - alpha / 2))
    p = sided(
        (1 + int((draws <= null).sum())) / (1 + resamples),
        (1 + int((draws >= null).sum())) / (1 + resamples),
        "two-sided",
    )
    kappa = Result(
        method, estimate, float(low), float(high), p, n, null=null, confidence=confidence,
        needed=needed_examples(estimate - null, float(draws.std()) * math.sqrt(n), alpha=alpha),
        left_out=left_out,
    )  # fmt: skip
    return Agreement(kappa, rate, shares)


def krippendorffs_alpha(
    ratings: npt.ArrayLike,
    *,
    level: Level = "nominal",
    null: float = 0.0,
    confidence: float = CONFIDENCE,
) -> Result:
    """Return how well several raters agree, from numbers of shape (raters, examples), NaN where a rater gave none.

    ``n`` counts the examples with two ratings or more; ``left_out`` those with fewer. The interval is Student's,
    from the jackknife over examples. Give names numbers first: they have no order at the level "nominal".

    Source: A. F. Hayes and K. Krippendorff, "Answering the call for a standard reliability measure for coding data",
    Communication Methods and Measures 1 (2007).
    """
    method = "Krippendorff's alpha"
    check_confidence(confidence)
    array = np.asarray(ratings, np.float64)
    if array.ndim != 2:
        raise ValueError(f"ratings must have the shape (raters, examples), not {array.shape}.")
    there = ~np.isnan(array)
    several = there.sum(axis=0) >= 2
    left_out = int((~several).sum())
    values = np.unique(array[:, several][there[:, several]])
    # How often each example got each value, shape (examples, values).
    counts = np.stack([(array[:, several] == value).sum(axis=0) for value in values], axis=1) if len(values) else (
        np.zeros((0, 0))
    )  # fmt: skip
    kinds, often = np.unique(counts, axis=0, return_counts=True) if len(counts) else (counts, np.zeros(0))
    return _jackknife(
        method, often.astype(np.float64), lambda weights: _alpha(kinds, weights, values, level),
        null=null, confidence=confidence, left_out=left_out,
    )  # fmt: skip


def _is_missing(label: object) -> bool:
    return label is None or (isinstance(label, float) and math.isnan(label))


def _order(label: object) -> tuple[str, Any]:
    """Order numbers by their value, and labels of other types after their type's name."""
    number = isinstance(label, bool | int | float)
    return ("", label) if number else (type(label).__name__, label)


def _distances(k: int, weights: Weights) -> Floats:
    places = np.arange(k, dtype=np.float64)
    apart: Floats = np.abs(places[:, None] - places[None, :])
    if weights == "none":
        return np.minimum(apart, 1.0)
    return apart if weights == "linear" else apart * apart


def _kappas(tables: Floats, distance: Floats) -> Floats:
    """Return kappa of each table, from shape (draws, labels, labels); NaN where chance alone cannot differ."""
    n = tables.sum(axis=(1, 2))
    by_chance = np.einsum("dj,dk,jk->d", tables.sum(axis=2), tables.sum(axis=1), distance) / n
    apart = np.einsum("djk,jk->d", tables, distance)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = np.where(by_chance > 0, 1 - apart / by_chance, math.nan)
    return found


def _alpha(kinds: Floats, weights: Floats, values: Floats, level: Level) -> float:
    """Return alpha of examples that come in kinds with equal counts of values, each kind ``weights`` times."""
    each = kinds.sum(axis=1)
    totals = weights @ kinds
    n = totals.sum()
    if level == "nominal":
        distance = 1.0 - np.eye(len(values))
    elif level == "interval":
        distance = (values[:, None] - values[None, :]) ** 2
    else:
        below = np.cumsum(totals) - totals / 2  # the middle ranks
        distance = (below[:, None] - below[None, :]) ** 2
    observed = float((weights / (each - 1) * np.einsum("ej,jk,ek->e", kinds, distance, kinds)).sum())
    expected = float(totals @ distance @ totals) / (n - 1)
    return float(1 - observed / expected) if expected > 0 else math.nan


def _jackknife(
    method: str,
    counts: Floats,
    statistic: Callable[[Floats], float],
    *,
    null: float,
    confidence: float,
    left_out: int,
) -> Result:
    """Return a statistic of examples that come in kinds, ``counts`` of each, with an interval from leaving each out."""
    n = int(counts.sum())
    estimate = statistic(counts) if n else math.nan
    given: dict[str, Any] = {"n": n, "null": null, "confidence": confidence, "left_out": left_out}
    if n < 2 or math.isnan(estimate):
        reason: Reason = "no values" if n == 0 else "one value" if n == 1 else "one class"
        return unknown(method, reason, estimate=None if math.isnan(estimate) else estimate, **given)
    without = np.array([statistic(counts - one) for one in np.eye(len(counts))])
    often = np.where(np.isnan(without), 0.0, counts)
    without = np.nan_to_num(without)
    mean = float((without * often).sum() / often.sum())
    variance = (n - 1) / n * float((often * (without - mean) ** 2).sum())
    if variance <= _ROUNDING:
        return unknown(method, "no spread", estimate=estimate, **given)
    found = t_result(
        method, estimate=estimate, error=math.sqrt(variance), freedom=n - 1, alternative="two-sided",
        deviation=math.sqrt(variance * n), **given,
    )  # fmt: skip
    assert found.high is not None
    return replace(found, high=min(1.0, found.high))
