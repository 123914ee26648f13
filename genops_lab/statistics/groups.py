"""Fairness by group: rates and their gaps from counts, with intervals, and slices that a candidate must not harm."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from .margins import Better, non_inferiority
from .multiple import holm
from .results import CONFIDENCE, Codes, Floats, Result, check_confidence, same_length

#: Rates of a group, from its counts.
Rate = Literal[
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
    "true_negative_rate",
    "false_negative_rate",
    "accuracy",
    "precision",
]
#: Columns of counts: true positives, false positives, true negatives, false negatives.
_NUMERATOR: dict[Rate, tuple[int, ...]] = {
    "selection_rate": (0, 1),
    "true_positive_rate": (0,),
    "false_positive_rate": (1,),
    "true_negative_rate": (2,),
    "false_negative_rate": (3,),
    "accuracy": (0, 2),
    "precision": (0,),
}
_DENOMINATOR: dict[Rate, tuple[int, ...]] = {
    "selection_rate": (0, 1, 2, 3),
    "true_positive_rate": (0, 3),
    "false_positive_rate": (1, 2),
    "true_negative_rate": (1, 2),
    "false_negative_rate": (0, 3),
    "accuracy": (0, 1, 2, 3),
    "precision": (0, 1),
}
#: The rates whose largest gap (or smallest ratio) a fairness metric is.
Fairness = Literal["demographic_parity", "equalized_odds", "equal_opportunity", "accuracy"]
_RATES: dict[Fairness, tuple[Rate, ...]] = {
    "demographic_parity": ("selection_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
    "equal_opportunity": ("true_positive_rate",),
    "accuracy": ("accuracy",),
}
MIN_SIZE = 30
RESAMPLES = 2_000
#: Pairs of groups times draws of a chunk: 32 MB.
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Gap:
    """The largest difference of a rate between two groups.

    - estimate: the largest rate less the smallest, as Fairlearn gives it. Chance alone makes it larger than 0.
    - corrected: the estimate without the part that chance adds, 0 at least.
    - low, high: the interval of the true gap at ``confidence``. ``low`` is 0 if chance explains the gap.
    - lowest, highest: the two groups.
    - left_out: groups below ``min_size``, or without a rate.

    The figures are None if fewer than two groups are left.
    """

    method: str
    estimate: float | None
    corrected: float | None
    low: float | None
    high: float | None
    confidence: float
    lowest: Hashable = None
    highest: Hashable = None
    left_out: tuple[Hashable, ...] = ()


@dataclass(frozen=True)
class GroupCounts:
    """The confusion matrix of each group.

    groups: labels, length G. counts: shape (G, 4), true positives, false positives, true negatives, false
    negatives.
    """

    groups: tuple[Hashable, ...]
    counts: npt.NDArray[np.int64]

    @staticmethod
    def of(
        truth: npt.ArrayLike, predicted: npt.ArrayLike, groups: npt.ArrayLike, *, positive: Any = 1
    ) -> GroupCounts:
        """Count rows by group. truth, predicted: labels, shape (n,); groups: integers or texts, shape (n,).

        positive: the label that is an advantage, or the finding. All other labels are negative. Raises ValueError
        for NaN labels or lengths that differ. A missing group (None, NaN) is a group of its own, None.
        """
        actual, guess, labels = np.asarray(truth), np.asarray(predicted), np.asarray(groups)
        same_length(truth=actual, predicted=guess, groups=labels)
        for name, each in (("truth", actual), ("predicted", guess)):
            if each.ndim != 1:
                raise ValueError(f"{name} must have the shape (n,), not {each.shape}.")
            text = each.dtype.kind in "US" or (len(each) > 0 and isinstance(each.flat[0], str))
            if text != isinstance(positive, str) and len(each):
                raise ValueError(
                    f"{name} has labels such as {each[0]!r}, and positive is {positive!r}. Name the positive label."
                )
            if each.dtype.kind == "f" and np.isnan(each).any():
                raise ValueError(f"{name} has NaN. Leave these rows out of all three arrays.")
        names, codes = group_codes(labels)
        # truth and prediction as one digit of 0 to 3: negative and right, false positive, false negative, ...
        cells = codes * 4 + (actual == positive).astype(np.intp) * 2 + (guess == positive)
        table = np.bincount(cells, minlength=4 * len(names)).reshape(len(names), 4)
        return GroupCounts(names, table[:, [3, 1, 0, 2]].astype(np.int64))

    @cached_property
    def sizes(self) -> npt.NDArray[np.int64]:
        """The number of rows of each group, shape (G,)."""
        sizes: npt.NDArray[np.int64] = self.counts.sum(axis=1)
        return sizes

    def rate(self, name: Rate) -> Floats:
        """Return a rate of each group, shape (G,); NaN where the rate has no rows, such as a group without positives.

        >>> GroupCounts.of([1, 0, 1, 0], [1, 0, 0, 0], ["a", "a", "b", "b"]).rate("selection_rate").tolist()
        [0.5, 0.0]
        """
        return _rates(self.counts, name)

    def overall(self, name: Rate) -> float | None:
        """Return a rate of all rows; None without rows."""
        found = float(_rates(self.counts.sum(axis=0), name))
        return None if math.isnan(found) else found

    def difference(self, fairness: Fairness, *, min_size: int = 1) -> float | None:
        """Return the largest gap between groups, such as Fairlearn's `demographic_parity_difference`.

        Equalized odds: the larger one of the gaps of true and false positive rates. Groups below ``min_size``
        and groups without the rate are left out; None if fewer than two groups are left. (Fairlearn counts a group
        without positives with the rate 0.) Source: M. Hardt, E.
        Price and N. Srebro, "Equality of opportunity in supervised learning", NIPS 2016; Fairlearn 0.15.
        """
        gaps = [np.ptp(rates) for rates in self._kept_rates(fairness, min_size) if len(rates) > 1]
        return float(max(gaps)) if gaps else None

    def ratio(self, fairness: Fairness, *, min_size: int = 1) -> float | None:
        """Return the smallest ratio of a lowest and a highest rate, such as Fairlearn's `demographic_parity_ratio`.

        1.0 where all rates are 0. Below 0.8 a selection rate breaks the four-fifths rule (29 CFR 1607.4 D).
        """
        ratios = [
            rates.min() / rates.max() if rates.max() > 0 else 1.0
            for rates in self._kept_rates(fairness, min_size)
            if len(rates) > 1
        ]
        return float(min(ratios)) if ratios else None

    def gap(
        self,
        rate: Rate,
        *,
        rng: np.random.Generator,
        min_size: int = MIN_SIZE,
        confidence: float = CONFIDENCE,
        resamples: int = RESAMPLES,
    ) -> Gap:
        """Return the largest difference of a rate between groups with its interval, from counts alone.

        The interval is simultaneous over all pairs of groups, and studentised. The draws are a multinomial
        bootstrap of each group's counts. Each count gets 1/2 more, so that a rate of 0 has an error (A. Agresti
        and B. Caffo, The American Statistician 54, 2000). Groups of fewer than
        ``min_size`` rows are left out, and so are groups with no row that the rate counts.

        Source: J. P. Romano and M. Wolf, "Exact and approximate stepdown methods for multiple hypothesis
        testing", JASA 100 (2005), the largest studentised difference; the bias: B. Efron and R. J. Tibshirani,
        "An Introduction to the Bootstrap" (1993), section 10.3.
        """
        from scipy.special import ndtr, stdtrit

        alpha = check_confidence(confidence)
        method = "Multinomial bootstrap of counts"
        rates = self.rate(rate)
        use = (self.sizes >= min_size) & ~np.isnan(rates)
        left_out = tuple(name for name, used in zip(self.groups, use, strict=True) if not used)
        names = [name for name, used in zip(self.groups, use, strict=True) if used]
        if len(names) < 2:
            return Gap(method, None, None, None, None, confidence, left_out=left_out)
        rates, counts = rates[use], self.counts[use]
        smooth = counts + 0.5
        smooth_rates = _rates(smooth, rate)
        draws = np.stack(
            [
                rng.multinomial(size, cells / cells.sum(), resamples)
                for size, cells in zip(counts.sum(axis=1), smooth, strict=True)
            ],
            axis=1,
        )  # (draws, groups, 4)
        drawn = _rates(draws, rate)
        drawn = np.where(np.isnan(drawn), smooth_rates, drawn)
        rows = counts[:, list(_DENOMINATOR[rate])].sum(axis=1)
        freedom = np.maximum(rows - 1, 1)
        spread = drawn.var(axis=0) * rows / freedom
        first, second = np.triu_indices(len(names), 1)
        errors = np.sqrt(spread[first] + spread[second])
        pairs = smooth_rates[first] - smooth_rates[second]
        at_once = max(1, _CHUNK // len(first))
        largest = np.concatenate(
            [
                (np.abs(part[:, first] - part[:, second] - pairs) / errors).max(axis=1)
                for part in np.split(drawn, range(at_once, resamples, at_once))
            ]
        )
        critical = float(np.quantile(largest, min(1.0, (1 - alpha) * (1 + 1 / resamples)), method="higher"))
        # Small groups: the same level by Student's t, with Welch's degrees of freedom of each pair.
        degrees = errors**4 / (spread[first] ** 2 / freedom[first] + spread[second] ** 2 / freedom[second])
        half = stdtrit(degrees, ndtr(critical)) * errors
        observed = np.abs(rates[first] - rates[second])
        by_chance = float(np.ptp(drawn, axis=1).mean()) - float(np.ptp(smooth_rates))
        estimate = float(observed.max())
        return Gap(
            method, estimate, max(0.0, estimate - max(0.0, by_chance)),
            min(estimate, max(0.0, float((np.abs(pairs) - half).max()))),
            max(estimate, min(1.0, float((np.abs(pairs) + half).max()))),
            confidence, names[int(rates.argmin())], names[int(rates.argmax())], left_out,
        )  # fmt: skip

    def _kept_rates(self, fairness: Fairness, min_size: int) -> list[Floats]:
        kept = []
        for name in _RATES[fairness]:
            rates = self.rate(name)
            kept.append(rates[(self.sizes >= min_size) & ~np.isnan(rates)])
        return kept


def _rates(counts: npt.NDArray[Any], name: Rate) -> Floats:
    """Return a rate of counts, shape (..., 4)."""
    top = counts[..., list(_NUMERATOR[name])].sum(axis=-1).astype(np.float64)
    bottom = counts[..., list(_DENOMINATOR[name])].sum(axis=-1).astype(np.float64)
    found: Floats = np.divide(top, bottom, out=np.full(np.shape(bottom), np.nan), where=bottom > 0)
    return found


def group_codes(labels: npt.NDArray[Any]) -> tuple[tuple[Hashable, ...], Codes]:
    """Return the groups in order, and the place of each label among them, shape (n,)."""
    if labels.ndim != 1:
        raise ValueError(f"groups must have the shape (n,), not {labels.shape}.")
    if labels.dtype.kind in "iub" and len(labels):
        low, high = int(labels.min()), int(labels.max())
        if high - low < max(1_000, len(labels)):
            shifted = labels.astype(np.intp) - low
            there = np.flatnonzero(np.bincount(shifted))
            place = np.zeros(high - low + 1, np.intp)
            place[there] = np.arange(len(there))
            return tuple((there + low).astype(labels.dtype).tolist()), place[shifted]
    return _text_codes(labels)


def _text_codes(labels: npt.NDArray[Any]) -> tuple[tuple[Hashable, ...], Codes]:
    """Hash the labels: sorting a million texts takes a second."""
    import pyarrow as pa

    encoded = pa.array(labels, from_pandas=True).dictionary_encode(null_encoding="encode")
    names: list[Any] = encoded.dictionary.to_pylist()
    order = sorted(
        range(len(names)), key=lambda at: (names[at] is None, names[at] if names[at] is not None else 0)
    )
    place = np.empty(len(names), np.intp)
    place[order] = np.arange(len(names))
    return tuple(names[at] for at in order), place[encoded.indices.to_numpy()]


def metric_by_group(
    metric: Callable[..., Any], *arrays: npt.ArrayLike, groups: npt.ArrayLike, min_size: int = 1
) -> dict[Hashable, float | None]:
    """Return any metric of the rows of each group; None for groups of fewer than ``min_size`` rows.

    metric: a function of the arrays' rows, such as scikit-learn's `roc_auc_score` for labels and scores.

    >>> metric_by_group(lambda y, p: abs(y - p).mean(), [1, 2, 3], [1, 3, 5], groups=["a", "b", "b"])
    {'a': 0.0, 'b': 1.5}
    """
    given, labels = [np.asarray(array) for array in arrays], np.asarray(groups)
    same_length(groups=labels, **{f"array {at + 1}": array for at, array in enumerate(given)})
    names, codes = group_codes(labels)
    rows = np.split(
        np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes, minlength=len(names)))[:-1]
    )
    return {
        name: float(metric(*(array[own] for array in given))) if len(own) >= min_size else None
        for name, own in zip(names, rows, strict=True)
    }


@dataclass(frozen=True)
class Slice:
    """A group's answer. not_worse: the test of non-inferiority; harm: the test that it is worse at all.

    p of ``harm`` is corrected by Holm: one false harm in all groups is as unlikely as it says.
    """

    group: Hashable
    not_worse: Result
    harm: Result


def worse_for(
    test: Callable[..., Result],
    candidate: npt.ArrayLike,
    champion: npt.ArrayLike,
    groups: npt.ArrayLike,
    *,
    margin: float,
    better: Better = "higher",
    min_size: int = MIN_SIZE,
    **options: Any,
) -> tuple[list[Slice], tuple[Hashable, ...]]:
    """Test in each group whether the candidate is worse: "worse for nobody".

    test: a paired test such as `paired.mcnemar`; candidate, champion, groups: shape (n,). All groups are not
    worse if ``not_worse`` is rejected in each: an intersection-union test, which needs no correction (R. L.
    Berger, Technometrics 24, 1982). Returns the slices, and the groups of fewer than ``min_size`` rows.
    """
    one, other, labels = np.asarray(candidate), np.asarray(champion), np.asarray(groups)
    same_length(candidate=one, champion=other, groups=labels)
    names, codes = group_codes(labels)
    sizes = np.bincount(codes, minlength=len(names))
    tested = [at for at in range(len(names)) if sizes[at] >= min_size]
    found = []
    for at in tested:
        rows = codes == at
        harm = test(
            one[rows], other[rows], alternative="less" if better == "higher" else "greater", **options
        )
        not_worse = non_inferiority(test, one[rows], other[rows], margin=margin, better=better, **options)
        found.append((at, not_worse, harm))
    corrected = holm([harm.p for _, _, harm in found])
    slices = [
        Slice(names[at], not_worse, replace(harm, p=float(p)))
        for (at, not_worse, harm), p in zip(found, corrected, strict=True)
    ]
    return slices, tuple(names[at] for at in range(len(names)) if sizes[at] < min_size)
