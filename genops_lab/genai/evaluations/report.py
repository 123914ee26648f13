"""Say what the answers show: each scorer's mean with its interval, and the difference of two models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genops_lab.statistics.answers import pass_at_k, pass_hat_k, variances
from genops_lab.statistics.bounded import bounded_mean
from genops_lab.statistics.clusters import cluster_mean, cluster_rate
from genops_lab.statistics.results import Result

from .journal import Call, Key
from .models import ComparedModels, ScoredModel, ScoreEstimate, ScoresReport
from .results_folder import KeptScore

_SEED = 20

#: The scores of a model's answers by example, in the order of their repeats.
Scores = Mapping[str, Sequence[float]]


def report_of(
    calls: Mapping[Key, Call],
    scores: Mapping[str, Mapping[Key, KeptScore]],
    models: Sequence[str],
    repeats: int,
    clusters: Mapping[str, str] | None = None,
) -> ScoresReport:
    """Return the report of models' calls and the scores of each scorer. Blocks.

    Examples count once each, however many answers they have. ``clusters``: what each example belongs together by;
    examples of one cluster are not independent.
    """
    scored, compared = [], []
    for scorer, marks in scores.items():
        by_model: dict[str, dict[str, list[float]]] = {model: {} for model in models}
        failed, not_scored = dict.fromkeys(models, 0), dict.fromkeys(models, 0)
        for key in sorted(calls):
            model, example, _repeat = key
            if model not in by_model:
                continue
            mark = marks.get(key)
            if calls[key].answer is None:
                failed[model] += 1
            elif mark is None or mark.value is None:
                not_scored[model] += 1
            else:
                by_model[model].setdefault(example, []).append(mark.value)
        for model in models:
            found = by_model[model]
            scored.append(
                _scored(model, scorer, found, failed[model], not_scored[model], repeats, clusters or {})
            )
        compared += [compare(model, models[0], scorer, by_model, clusters) for model in models[1:]]
    return ScoresReport(scored=scored, compared=compared)


def compare(
    model: str,
    against: str,
    scorer: str,
    by_model: Mapping[str, Scores],
    clusters: Mapping[str, str] | None = None,
) -> ComparedModels:
    """Return the difference of two models on the examples that both answered, paired by example."""
    one, other = by_model[model], by_model[against]
    both = [example for example in one if example in other]
    apart = {example: float(np.mean(one[example]) - np.mean(other[example])) for example in both}
    found = _mean(apart, clusters or {}, (-1.0, 1.0))
    words = {"higher": "better", "lower": "worse"}
    return ComparedModels(
        model=model, against=against, scorer=scorer, difference=_estimate(found),
        verdict=words.get(found.verdict, found.verdict),
        worse=sorted((each for each in both if apart[each] < 0), key=apart.__getitem__),
        better=sorted((each for each in both if apart[each] > 0), key=lambda each: -apart[each]),
    )  # fmt: skip


def _scored(
    model: str, scorer: str, found: Scores, failed: int, not_scored: int, repeats: int,
    clusters: Mapping[str, str],
) -> ScoredModel:  # fmt: skip
    values = [each for scores in found.values() for each in scores]
    examples = [example for example, scores in found.items() for _ in scores]
    means = {example: float(np.mean(scores)) for example, scores in found.items()}
    more: dict[str, Any] = {}
    if repeats > 1 and values:
        spread = variances(values, examples)
        more = {"between": _root(spread.examples), "within": _root(spread.answers)}
        if set(values) <= {0.0, 1.0}:
            passed = [sum(scores) for scores in found.values()]
            counts = [len(scores) for scores in found.values()]
            for name, chance in (("pass_at_k", pass_at_k), ("pass_hat_k", pass_hat_k)):
                chances = dict(zip(found, chance(passed, counts, repeats).tolist(), strict=True))
                more[name] = _estimate(_mean(chances, clusters, (0.0, 1.0)))
    return ScoredModel(
        model=model, scorer=scorer, mean=_estimate(_mean(means, clusters, (0.0, 1.0))), answers=len(values),
        failed=failed, not_scored=not_scored, **more,
    )  # fmt: skip


def _mean(values: Mapping[str, float], clusters: Mapping[str, str], bounds: tuple[float, float]) -> Result:
    """Return the mean of examples; by a test of clusters where they belong together or have no bounds."""
    array = np.array(list(values.values()), np.float64)
    bounded = not len(array) or bool(bounds[0] <= array.min() and array.max() <= bounds[1])
    if bounded and not clusters:
        return bounded_mean(array, rng=_rng(), bounds=bounds)
    labels = [clusters.get(each, each) for each in values]
    if bounds[0] == 0 and set(array) <= {0.0, 1.0}:
        return cluster_rate(array, labels)
    return cluster_mean(array, labels)


def _estimate(found: Result) -> ScoreEstimate:
    low, high = (None if each is None or math.isinf(each) else each for each in (found.low, found.high))
    return ScoreEstimate(value=found.estimate, low=low, high=high, n=found.n)


def _root(value: float | None) -> float | None:
    return None if value is None else math.sqrt(value)


def _rng() -> np.random.Generator:
    """Return a generator with one seed, so that a report made again is the same."""
    return np.random.default_rng(_SEED)
