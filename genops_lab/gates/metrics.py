"""Metrics of predictions: values by row, their tests, and the direction that is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from genops_lab.evaluations.predictions import Predictions, class_names, describe_ids
from genops_lab.statistics.margins import non_inferiority, superiority
from genops_lab.statistics.paired import mcnemar, paired_bootstrap, paired_t
from genops_lab.statistics.rates import binomial
from genops_lab.statistics.repeats import mean_t
from genops_lab.statistics.results import Alternative, Floats, Result

from .metric_kinds import METRICS, called
from .plan import Label

#: The rows that a mean, or a metric of all rows, needs.
MIN_ROWS = 100
_LEAST_SCORE = 1e-15


class CannotBeChecked(Exception):
    """A rule cannot be checked; the message is a clause."""

    def __init__(self, clause: str, detail: str = "") -> None:
        super().__init__(clause)
        self.clause, self.detail = clause, detail


def rows_of(name: str, found: Predictions, positive: Label = 1) -> Floats:
    """Return the values of each row, shape (n,), or (n, 2) for f1; NaN without a label.

    Raises CannotBeChecked if predictions or scores are missing.
    """
    if name in ("accuracy", "error_rate"):
        right = found.right()
        return right if name == "accuracy" else 1 - right
    if name in ("mae", "mse", "rmse"):
        return _errors(name, found)
    if name == "f1":
        return _hits(found, positive)
    return _of_scores(name, found)


def _errors(name: str, found: Predictions) -> Floats:
    if found.labels.dtype == object or found.predictions.dtype == object:
        raise CannotBeChecked(f"{called(name)} needs numbers as labels and predictions")
    _all_answered(name, found)
    with np.errstate(over="ignore"):
        gap = np.abs(found.labels - found.predictions)
        errors: Floats = gap if name == "mae" else gap**2
    if np.isinf(errors).any():
        raise CannotBeChecked(f"{called(name)} is infinite in {describe_ids(found.ids[np.isinf(errors)])}")
    return errors


def _hits(found: Predictions, positive: Label) -> Floats:
    """Return true positives, and false positives or negatives, shape (n, 2)."""
    [name] = class_names(np.array([positive], object))
    actual, guess = class_names(found.labels) == name, class_names(found.predictions) == name
    if not actual.any():
        raise CannotBeChecked(
            f"no row has the positive label {name}", "Set the key 'positive' of the gate file."
        )
    rows = np.stack([actual & guess, actual ^ guess], axis=1).astype(np.float64)
    rows[~found.labelled] = np.nan
    return rows


def _of_scores(name: str, found: Predictions) -> Floats:
    if not found.scores:
        raise CannotBeChecked(f"{called(name)} needs scores, and the predictions have none")
    classes = list(found.scores)
    scores = np.stack([found.scores[each] for each in classes], axis=1)
    rows = found.labelled
    if len(classes) == 1:
        raise CannotBeChecked(f"{called(name)} needs the scores of two classes or more")
    bad = rows & ~(np.isfinite(scores).all(axis=1) & (np.abs(scores.sum(axis=1) - 1) < 1e-3))
    if bad.any():
        raise CannotBeChecked(
            f"{called(name)} needs scores that add up to 1, not those of {describe_ids(found.ids[bad])}"
        )
    labels = class_names(found.labels)
    truth = np.stack([labels == each for each in classes], axis=1).astype(np.float64)
    if name == "log_loss":
        values: Floats = -np.log(np.clip((truth * scores).sum(axis=1), _LEAST_SCORE, 1))
    else:
        unseen = 1 - truth.sum(axis=1)  # a label that the model has no score for
        values = ((scores - truth) ** 2).sum(axis=1) + unseen
    values[~rows] = np.nan
    return values


def _all_answered(name: str, found: Predictions) -> None:
    """Leaving out the rows that a model did not answer would favour it."""
    missing = found.labelled & ~found.answered
    if missing.any():
        raise CannotBeChecked(
            f"{called(name)} cannot be computed: {describe_ids(found.ids[missing])} have no prediction"
        )


def root_mean(rows: Floats) -> Floats:
    """Return the root of the mean of squared errors, from shape (draws, n) to (draws,)."""
    found: Floats = np.sqrt(rows.mean(axis=1))
    return found


def f1_score(rows: Floats) -> Floats:
    """Return F1 of hits, from shape (draws, n, 2) to (draws,); 0 without a positive."""
    hits, wrong = rows[..., 0].sum(axis=1), rows[..., 1].sum(axis=1)
    found: Floats = np.divide(2 * hits, 2 * hits + wrong, out=np.zeros(len(hits)), where=hits > 0)
    return found


def _draws() -> np.random.Generator:
    # The same draws each time: panel, command and CI give one verdict.
    return np.random.default_rng(20_261_130)


def _bootstrap(name: str) -> Callable[..., Result]:
    statistic = f1_score if name == "f1" else root_mean
    return lambda one, other, **options: paired_bootstrap(
        one, other, rng=_draws(), statistic=statistic, **options
    )


def test_of(name: str) -> Callable[..., Result]:
    """Return the paired test of a metric, for `statistics.margins`."""
    kind = METRICS[name].kind
    return mcnemar if kind == "rate" else paired_t if kind == "mean" else _bootstrap(name)


def enough(name: str, rows: Floats) -> int:
    """Return how many more rows the metric's test needs; 0 if there are enough."""
    if METRICS[name].kind == "rate":
        return 0 if len(rows) else 1
    return max(0, MIN_ROWS - int((~np.isnan(rows).reshape(len(rows), -1).any(axis=1)).sum()))


def against_bound(name: str, rows: Floats, bound: float, alternative: Alternative, alpha: float) -> Result:
    """Test a metric against a bound; the interval has twice the alpha, so that it agrees with the verdict."""
    kind = METRICS[name].kind
    if kind == "rate":
        there = rows[~np.isnan(rows)]
        test: Callable[..., Result] = binomial
        data: tuple[Any, ...] = (int(there.sum()), len(there))
    elif kind == "mean":
        test, data = mean_t, (rows,)
    else:
        test, data = _bootstrap(name), (rows, np.zeros_like(rows))
    options = {"null": bound, "alternative": alternative}
    return with_interval(
        lambda confidence: test(*data, confidence=confidence, **options), alpha, kind == "all"
    )


def difference(
    name: str, candidate: Floats, champion: Floats, *, margin: float, superior: bool, alpha: float
) -> Result:
    """Test a difference with a margin; the interval has twice the alpha, so that it agrees with the verdict."""
    claim = superiority if superior else non_inferiority
    return with_interval(
        lambda confidence: claim(
            test_of(name), candidate, champion, margin=margin, better=METRICS[name].better,
            confidence=confidence,
        ),
        alpha, METRICS[name].kind == "all",
    )  # fmt: skip


def with_interval(test: Callable[[float], Result], alpha: float, drawn: bool = False) -> Result:
    """Return a test's result at 1 - alpha with its interval at 1 - 2 alpha.

    drawn: the test draws, and its p has no confidence in it, so that one call is enough.
    """
    wide = test(1 - 2 * alpha)
    return replace(wide if drawn else test(1 - alpha), confidence=1 - alpha, low=wide.low, high=wide.high)
