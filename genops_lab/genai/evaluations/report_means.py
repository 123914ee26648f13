"""Means of examples and their differences: with intervals of one look at the end, or of looks at any time."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence

import numpy as np

from genops_lab.statistics.bounded import bounded_cluster_mean, bounded_mean
from genops_lab.statistics.clusters import cluster_mcnemar, cluster_mean, cluster_rate
from genops_lab.statistics.results import CONFIDENCE, Result, unknown
from genops_lab.statistics.sequential import finite_mean_sequence, mean_sequence

#: The lowest and the highest value; None: any number.
Bounds = tuple[float, float] | None
#: Values by example.
Values = Mapping[str, float]
SHARE: Bounds = (0.0, 1.0)
#: From so many examples (or clusters) on, a part of the observed outcome is left out: see `bounded.bounded_mean`.
MANY = 30
#: The part. Rates with a half (mid-P) cover in 92 % for some n and rates, such as 103 and 0.03.
_MID, _MID_OF_DIFFERENCES = 1 / 3, 1 / 2
_SEED = 20


class Means:
    """Means when all examples were asked. ``clusters``: what examples belong together by; empty: nothing."""

    def __init__(self, clusters: Mapping[str, str] | None = None) -> None:
        self._clusters = clusters or {}

    def clusters_of(self, examples: Iterable[str]) -> list[str] | None:
        """Return what each example belongs together by; None where nothing does."""
        return [self._clusters.get(each, each) for each in examples] if self._clusters else None

    def among(self, examples: Container[str]) -> Means:
        """Return the means of some of the examples."""
        return self

    def mean(self, values: Values, bounds: Bounds) -> Result:
        """Return the mean of values within bounds."""
        array, labels = _array(values), self._labels(values)
        mid = _MID if len(set(labels)) >= MANY else 0.0
        if not self._clusters and _within(array, bounds):
            return bounded_mean(array, rng=_rng(), bounds=bounds, null=bounds[0], mid=mid)  # type: ignore[arg-type, index]
        if bounds == SHARE and set(array) <= {0.0, 1.0} and len(set(labels)) > 1:
            return cluster_rate(array, labels, mid=mid)
        return self._clustered(array, labels, bounds, mid)

    def difference(
        self, one: Values, other: Values, bounds: Bounds, tests: int = 1, confidence: float = CONFIDENCE
    ) -> Result:
        """Return the mean of one less other, on the examples of both. It is one of ``tests`` comparisons."""
        apart = less(one, other)
        array, labels = _array(apart), self._labels(apart)
        mid = 0.0 if len(set(labels)) < MANY else _MID if self._clusters else _MID_OF_DIFFERENCES
        between = None if bounds is None else (bounds[0] - bounds[1], bounds[1] - bounds[0])
        if not self._clusters and _within(array, between):
            return bounded_mean(array, rng=_rng(), bounds=between, mid=mid, confidence=confidence)  # type: ignore[arg-type]
        values = _array({each: one[each] for each in apart}), _array({each: other[each] for each in apart})
        if bounds == SHARE and len(set(labels)) > 1 and set(values[0]) | set(values[1]) <= {0.0, 1.0}:
            return cluster_mcnemar(*values, labels, mid=mid, confidence=confidence)
        return self._clustered(array, labels, between, mid, confidence)

    def _labels(self, values: Values) -> list[str]:
        return [self._clusters.get(each, each) for each in values]

    def _clustered(
        self,
        array: np.ndarray,
        labels: Sequence[str],
        bounds: Bounds,
        mid: float,
        confidence: float = CONFIDENCE,
    ) -> Result:
        if bounds is not None and len(array) and _within(array, bounds):
            null = max(0.0, bounds[0])
            return bounded_cluster_mean(
                array, labels, rng=_rng(), bounds=bounds, null=null, mid=mid, confidence=confidence
            )
        return cluster_mean(array, labels, confidence=confidence)


class Sequences(Means):
    """Means that hold at each look: confidence sequences, by the random order in which examples were asked.

    - order: the ids of all examples. With clusters those of a cluster follow each other, and each cluster counts once.
    - is_finite: the question is about these rows, and not about others like them.

    A value without bounds has a mean, and no interval.
    """

    def __init__(
        self, order: Sequence[str], clusters: Mapping[str, str] | None = None, *, is_finite: bool = False
    ) -> None:
        super().__init__(clusters)
        self._order, self._is_finite = order, is_finite

    def among(self, examples: Container[str]) -> Means:
        """Return the means of some of the examples, in the same order."""
        order = [each for each in self._order if each in examples]
        return Sequences(order, self._clusters, is_finite=self._is_finite)

    def mean(self, values: Values, bounds: Bounds) -> Result:
        """Return the mean of values within bounds."""
        return self._sequence(values, bounds, CONFIDENCE, null=0.0 if bounds is None else bounds[0])

    def difference(
        self, one: Values, other: Values, bounds: Bounds, tests: int = 1, confidence: float = CONFIDENCE
    ) -> Result:
        """Return the mean of one less other. All ``tests`` comparisons together err as one with ``confidence``."""
        between = None if bounds is None else (bounds[0] - bounds[1], bounds[1] - bounds[0])
        return self._sequence(less(one, other), between, 1 - (1 - confidence) / tests, null=0.0)

    def _sequence(self, values: Values, bounds: Bounds, confidence: float, null: float) -> Result:
        kept: dict[str, list[float]] = {}
        size = set()
        for each in self._order:
            label = self._clusters.get(each, each)
            size.add(label)
            if each in values and math.isfinite(values[each]):
                kept.setdefault(label, []).append(values[each])
        array = np.array([np.mean(each) for each in kept.values()], np.float64)
        if bounds is None or not len(array) or not _within(array, bounds):
            return unknown(
                "Confidence sequence", "not finite" if len(array) else "no values", n=len(array), null=null,
                estimate=float(array.mean()) if len(array) else None, confidence=confidence,
            )  # fmt: skip
        if self._is_finite:
            return finite_mean_sequence(array, len(size), bounds=bounds, null=null, confidence=confidence)
        return mean_sequence(array, bounds=bounds, null=null, confidence=confidence)


class WithoutIntervals(Sequences):
    """Means of examples that were chosen by what they show, such as those that two stopped evaluations share."""

    def _sequence(self, values: Values, bounds: Bounds, confidence: float, null: float) -> Result:
        return super()._sequence(values, None, confidence, null)


def less(one: Values, other: Values) -> dict[str, float]:
    """Return one less other, on the examples of both.

    >>> less({"a": 1.0, "b": 1.0}, {"b": 0.5})
    {'b': 0.5}
    """
    return {example: one[example] - other[example] for example in one if example in other}


def _within(array: np.ndarray, bounds: Bounds) -> bool:
    return bounds is not None and (
        not len(array) or bool(bounds[0] <= array.min() and array.max() <= bounds[1])
    )


def _array(values: Values) -> np.ndarray:
    return np.array(list(values.values()), np.float64)


def _rng() -> np.random.Generator:
    """Return a generator with one seed, so that a report made again is the same."""
    return np.random.default_rng(_SEED)
