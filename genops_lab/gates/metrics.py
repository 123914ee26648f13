"""Metrics of predictions: values by row, their tests, and the direction that is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from genops_lab.core.yaml_files import nearest
from genops_lab.evaluations.predictions import Predictions, class_names, describe_ids, known
from genops_lab.statistics.auc import auc, auc_difference
from genops_lab.statistics.clusters import cluster_mcnemar, cluster_mean, cluster_rate
from genops_lab.statistics.margins import non_inferiority, superiority
from genops_lab.statistics.paired import mcnemar, paired_bootstrap_of_means, paired_t
from genops_lab.statistics.rates import binomial
from genops_lab.statistics.repeats import mean_t
from genops_lab.statistics.resampling import RESAMPLES
from genops_lab.statistics.results import Alternative, Codes, Floats, Result

from .metric_kinds import METRICS, called
from .plan import Label

#: The rows that a mean, or a metric of all rows, needs.
MIN_ROWS = 100
#: The clusters that a metric needs: a bootstrap of few clusters errs too often.
MIN_CLUSTERS = 10
MIN_DRAWN_CLUSTERS = 40
#: Draws of a bootstrap.
DRAWS = RESAMPLES
_LEAST_SCORE = 1e-15


class CannotBeChecked(Exception):
    """A rule cannot be checked; the message is a clause."""

    def __init__(self, clause: str, detail: str = "") -> None:
        super().__init__(clause)
        self.clause, self.detail = clause, detail


def rows_of(name: str, found: Predictions, positive: Label = 1) -> Floats:
    """Return the values of each row, shape (n,), or (n, 2) for f1 and auc; NaN without a label.

    Raises CannotBeChecked if predictions or scores are missing.
    """
    if name in ("accuracy", "error_rate"):
        right = found.right()
        return right if name == "accuracy" else 1 - right
    if name in ("mae", "mse", "rmse"):
        return _errors(name, found)
    if name == "f1":
        return _hits(found, positive)
    if name == "auc":
        return _ranks(found, positive)
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


def _ranks(found: Predictions, positive: Label) -> Floats:
    """Return whether a row is positive, and the score of the positive class, shape (n, 2)."""
    [name] = class_names(np.array([positive], object))
    hint = "Set the key 'positive' of the gate file."
    if name not in found.scores:
        have = ", ".join(found.scores)
        raise CannotBeChecked(
            f"AUC needs scores of the class {name}, and the predictions have {f'those of {have}' if have else 'none'}",
            hint if have else "Give scores: genops.log_predictions(..., scores={...}).",
        )
    rows, scores = found.labelled, found.scores[name]
    bad = rows & ~np.isfinite(scores)
    if bad.any():
        raise CannotBeChecked(f"AUC cannot be computed: {describe_ids(found.ids[bad])} have no score")
    actual = class_names(found.labels) == name
    if rows.any() and (not actual[rows].any() or actual[rows].all()):
        which = "every" if actual.any() else "no"
        raise CannotBeChecked(f"{which} row has the positive label {name}", hint)
    pairs = np.stack([actual, scores], axis=1).astype(np.float64)
    pairs[~rows] = np.nan
    return pairs


def clusters_of(found: Predictions, column: str) -> Codes | None:
    """Return a number for the cluster of each row, shape (n,); None without a column. Raises CannotBeChecked."""
    if not column:
        return None
    if column not in found.groups:
        have = ", ".join(sorted(found.groups)) or "none"
        raise CannotBeChecked(
            f"the predictions have no group {column!r}, the cluster of the rule",
            nearest(column, found.groups) or f"Their groups: {have}.",
        )
    labels = found.groups[column]
    missing = found.labelled & ~known(labels)
    if missing.any():
        raise CannotBeChecked(f"{describe_ids(found.ids[missing])} have no {column}, the cluster of the rule")
    codes: Codes = np.unique(np.where(known(labels), labels, ""), return_inverse=True)[1]
    return codes


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


def root_of_mean(means: Floats) -> Floats:
    """Return the root of the mean of squared errors, from shape (draws, 1) to (draws,)."""
    found: Floats = np.sqrt(means[:, 0])
    return found


def f1_of_means(means: Floats) -> Floats:
    """Return F1 of the shares of hits and of wrong rows, from shape (draws, 2) to (draws,); 0 without a positive."""
    hits, wrong = means.T
    found: Floats = np.divide(2 * hits, 2 * hits + wrong, out=np.zeros(len(hits)), where=hits > 0)
    return found


def _bootstrap(name: str, one: Floats, other: Floats, clusters: Codes | None, **options: Any) -> Result:
    columns = (len(one), -1)
    return paired_bootstrap_of_means(
        one.reshape(columns), other.reshape(columns), clusters,
        # The same draws each time: panel, command and CI give one verdict.
        rng=np.random.default_rng(20_261_130), of_means=f1_of_means if name == "f1" else root_of_mean,
        resamples=DRAWS, **options,
    )  # fmt: skip


def test_of(name: str, clusters: Codes | None = None) -> Callable[..., Result]:
    """Return the paired test of a metric, for `statistics.margins`; ``clusters``, shape (n,): of dependent rows."""
    kind = METRICS[name].kind
    if kind == "all":
        return lambda one, other, **options: _bootstrap(name, one, other, clusters, **options)
    if kind == "ranks":
        return lambda one, other, **options: auc_difference(
            one[:, 1], other[:, 1], one[:, 0], clusters, **options
        )
    if clusters is None:
        return mcnemar if kind == "rate" else paired_t
    if kind == "rate":
        return lambda one, other, **options: cluster_mcnemar(one, other, clusters, **options)
    return lambda one, other, **options: cluster_mean(one - other, clusters, **options)


def used(rows: Floats) -> Any:
    """Return which rows have values, shape (n,)."""
    return ~np.isnan(rows).reshape(len(rows), -1).any(axis=1)


def enough(name: str, rows: Floats, clusters: Codes | None = None) -> int:
    """Return how many more rows, or clusters, the metric's test needs; 0 if there are enough."""
    if clusters is not None:
        return max(0, least_clusters(name) - len(np.unique(clusters[used(rows)])))
    if METRICS[name].kind == "rate":
        return 0 if len(rows) else 1
    return max(0, MIN_ROWS - int(used(rows).sum()))


def least_clusters(name: str) -> int:
    """Return how many clusters the metric's test needs."""
    return MIN_DRAWN_CLUSTERS if METRICS[name].kind == "all" else MIN_CLUSTERS


def against_bound(
    name: str,
    rows: Floats,
    bound: float,
    alternative: Alternative,
    alpha: float,
    clusters: Codes | None = None,
) -> Result:
    """Test a metric against a bound; the interval has twice the alpha, so that it agrees with the verdict."""
    kind = METRICS[name].kind

    def test(**options: Any) -> Result:
        if kind == "all":
            return _bootstrap(name, rows, np.where(np.isnan(rows), np.nan, 0.0), clusters, **options)
        if kind == "ranks":
            return auc(rows[:, 1], rows[:, 0], clusters, **options)
        if clusters is not None:
            return (cluster_rate if kind == "rate" else cluster_mean)(rows, clusters, **options)
        if kind == "mean":
            return mean_t(rows, **options)
        there = rows[used(rows)]
        return binomial(int(there.sum()), len(there), **options)

    return with_interval(
        lambda confidence: test(null=bound, alternative=alternative, confidence=confidence),
        alpha,
        kind == "all",
    )


def difference(
    name: str,
    candidate: Floats,
    champion: Floats,
    *,
    margin: float,
    superior: bool,
    alpha: float,
    clusters: Codes | None = None,
) -> Result:
    """Test a difference with a margin; the interval has twice the alpha, so that it agrees with the verdict."""
    claim = superiority if superior else non_inferiority
    return with_interval(
        lambda confidence: claim(
            test_of(name, clusters), candidate, champion, margin=margin, better=METRICS[name].better,
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
