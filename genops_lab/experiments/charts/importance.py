"""Rank parameters by their importance for a metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from genops_lab.statistics.multiple import holm

from .models import Importance, ParameterImportance

_BINS = 10
#: Least runs in a bin of numbers.
_LEAST_IN_BIN = 5

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Parameter:
    """A parameter's values, None for a run without one."""

    name: str
    values: Sequence[str | None]


def importance(metric: str, values: Floats, parameters: Sequence[Parameter]) -> Importance:
    """Return how much of the metric each parameter explains alone.

    Runs are grouped by the parameter's value; numbers with more than 10 different values go into at most 10
    bins of equally many runs. The share of the variance of the metric's ranks that lies between groups is
    ``eta^2 = H / (n - 1)``. H is the statistic of Kruskal and Wallis (Use of ranks in one-criterion variance
    analysis, JASA 47, 1952), corrected for ties.

    Chance alone gives (k - 1) / (n - 1) for k groups. The rest is epsilon squared (Kelley: An unbiased
    correlation ratio measure, PNAS 21, 1935): ``(eta^2 - (k-1)/(n-1)) / (1 - (k-1)/(n-1))``, at least 0. p is
    that of H by the chi-squared distribution with k - 1 degrees of freedom, corrected by Holm (1979).

    Ranks ignore the metric's scale and single huge values. Combined effects of two parameters are not seen,
    and parameters that changed together cannot be separated.
    """
    usable = np.isfinite(values)
    metrics = values[usable]
    found: list[ParameterImportance] = []
    constant: list[str] = []
    unique: list[str] = []
    for parameter in parameters:
        given = [value for value, use in zip(parameter.values, usable, strict=True) if use]
        there = np.array([value is not None for value in given], np.bool_)
        texts = [value for value in given if value is not None]
        different = len(set(texts))
        if different < 2:
            constant.append(parameter.name)
            continue
        kind, numbers = _numbers(texts)
        if kind == "text" and different == len(texts):
            unique.append(parameter.name)
            continue
        groups = _bins(numbers) if numbers is not None else np.unique(texts, return_inverse=True)[1]
        parameter_importance = _importance(parameter.name, kind, metrics[there], groups, numbers, different)
        if parameter_importance is None:
            unique.append(parameter.name)
        else:
            found.append(parameter_importance)
    corrected = holm([each.p for each in found])
    found = [msgspec.structs.replace(each, p=float(p)) for each, p in zip(found, corrected, strict=True)]
    found.sort(key=lambda each: (-each.importance, each.p, each.parameter))
    return Importance(
        metric=metric, runs=int(usable.sum()), parameters=found, constant=constant, unique=unique
    )


def _numbers(texts: Sequence[str]) -> tuple[Literal["number", "text"], Floats | None]:
    try:
        numbers = np.array([float(text) for text in texts])
    except ValueError:
        return "text", None
    return ("number", numbers) if np.isfinite(numbers).all() else ("text", None)


def _bins(numbers: Floats) -> Codes:
    """Group numbers: by value, or into bins of equally many runs if there are many values."""
    values, codes = np.unique(numbers, return_inverse=True)
    bins = max(min(_BINS, len(numbers) // _LEAST_IN_BIN), 2)
    if len(values) <= bins:
        return codes
    edges = np.unique(np.quantile(numbers, np.arange(1, bins) / bins))
    return np.unique(np.searchsorted(edges, numbers, side="left"), return_inverse=True)[1]


def _importance(
    name: str,
    kind: Literal["number", "text"],
    metrics: Floats,
    groups: Codes,
    numbers: Floats | None,
    different: int,
) -> ParameterImportance | None:
    runs, sizes = len(metrics), np.bincount(groups)
    degrees = len(sizes) - 1
    if degrees < 1 or runs - 1 <= degrees:
        return None
    ranks = ranked(metrics)
    variance = float(((ranks - (runs + 1) / 2) ** 2).sum())
    if variance == 0:  # the metric is equal in all runs: no parameter explains anything
        return ParameterImportance(
            parameter=name, kind=kind, importance=0.0, p=1.0, direction=None, runs=runs, values=different
        )
    means = np.bincount(groups, ranks) / sizes
    between = float((sizes * (means - (runs + 1) / 2) ** 2).sum())
    by_chance = degrees / (runs - 1)
    from scipy.special import gammaincc

    return ParameterImportance(
        parameter=name,
        kind=kind,
        importance=max(0.0, (between / variance - by_chance) / (1 - by_chance)),
        p=float(gammaincc(degrees / 2, (runs - 1) * between / variance / 2)),
        direction=None if numbers is None else spearman(numbers, metrics),
        runs=runs,
        values=different,
    )


def ranked(values: Floats) -> Floats:
    """Return ranks from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    shared: Floats = (ends - (counts - 1) / 2)[inverse]
    return shared


def spearman(a: Floats, b: Floats) -> float | None:
    """Return Spearman's rank correlation; None if one of the two does not vary.

    Source: The proof and measurement of association between two things (1904).
    """
    x, y = ranked(a), ranked(b)
    x, y = x - x.mean(), y - y.mean()
    norm = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / norm if norm else None
