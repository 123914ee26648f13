"""Use people's labels of some answers: judges are checked by them, and their means and differences corrected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from genops_lab.genai.scorers import judge_checks
from genops_lab.genai.scorers.base import BaseScorer
from genops_lab.genai.scorers.judge_checks import Calibration, Marked, asks_a_model, check
from genops_lab.genai.scorers.judges import Pairwise, identity
from genops_lab.statistics.results import Result

from .journal import Call, Key
from .kept_labels import KeptLabel, KeptLabels
from .models import JudgeVerdict, ScoreEstimate
from .report_means import Means, Sequences
from .results_folder import KeptScore

#: Labels of one scorer's answers by their key.
Labels = Mapping[Key, KeptLabel]


def labels_of(scorers: Mapping[str, BaseScorer], kept: Sequence[KeptLabels]) -> dict[str, Labels]:
    """Return the labels of each scorer that asks a model: those of the question of its name, else of another.

    A pairwise judge has none: its marks are of pairs.
    """
    found: dict[str, Labels] = {}
    for label, scorer in scorers.items():
        if asks_a_model(scorer) and not isinstance(scorer, Pairwise):
            named = [each for each in kept if each.question == label]
            general = [each for each in kept if each.question not in scorers]
            for each in (named or general)[-1:]:
                found[label] = {own.key: own for own in each.labels}
    return found


def calibrations(
    scorers: Mapping[str, BaseScorer],
    scores: Mapping[str, Mapping[Key, KeptScore]],
    labels: Mapping[str, Labels],
    calls: Mapping[Key, Call],
    names: Mapping[str, str],
) -> dict[str, Calibration]:
    """Return what labels say about each judge that has some, by the judge's identity.

    ``names``: what the endpoints call the models that answer and judge, by their names in the file.
    """
    found = {}
    for label, scorer in scorers.items():
        given, marks = labels.get(label, {}), scores.get(label, {})
        if not asks_a_model(scorer) or not given:
            continue
        marked = []
        for key, each in given.items():
            mark, call = marks.get(key), calls.get(key)
            if mark is None or mark.value is None or call is None or call.answer is None:
                continue
            marked.append(
                Marked(
                    mark=mark.value, label=each.value, chance=each.chance, model=names.get(key[0], key[0]),
                    length=len(call.answer.text),
                )
            )  # fmt: skip
        consistent = [each.consistent for each in marks.values() if each.consistent is not None]
        own = str(getattr(scorer, "model", ""))
        found[identity(scorer)] = check(scorer, marked, consistent=consistent, own_model=names.get(own, own))
    return found


def judge_verdicts(
    scorers: Mapping[str, BaseScorer],
    scores: Mapping[str, Mapping[Key, KeptScore]],
    labels: Mapping[str, Labels],
    calls: Mapping[Key, Call],
    names: Mapping[str, str],
) -> list[JudgeVerdict]:
    """Return the verdict on each scorer that asks a model."""
    known = calibrations(scorers, scores, labels, calls, names)
    found = []
    for label, scorer in scorers.items():
        if not asks_a_model(scorer):
            continue
        problem, own = judge_checks.problem(scorer, known), known.get(identity(scorer))
        agreement = None
        if own is not None:
            kappa = next(each for each in own.checks if each.name == "agreement")
            agreement = ScoreEstimate(value=kappa.value, low=kappa.low, high=kappa.high, n=kappa.n)
        found.append(
            JudgeVerdict(
                scorer=label, calibrated=not problem, verdict=problem or (own.verdict if own else ""),
                agreement=agreement,
            )
        )  # fmt: skip
    return found


def corrected_mean(
    marks: Mapping[Key, KeptScore], labels: Labels, model: str, means: Means
) -> ScoreEstimate | None:
    """Return the mean label of all examples by prediction-powered inference; None for looks at any time."""
    if not labels or isinstance(means, Sequences):
        return None
    mark, label, chance = _by_example(marks, labels, model)
    return _estimate(
        judge_checks.corrected_mean(
            list(mark.values()),
            [label.get(each) for each in mark],
            [chance.get(each, 1.0) for each in mark],
            clusters=means.clusters_of(mark),
        )
    )


def corrected_difference(
    marks: Mapping[Key, KeptScore], labels: Labels, model: str, against: str, means: Means
) -> ScoreEstimate | None:
    """Return the difference of labels: both answers to an example that was chosen have one."""
    if not labels or isinstance(means, Sequences):
        return None
    one, other = _by_example(marks, labels, model), _by_example(marks, labels, against)
    both = [each for each in one[0] if each in other[0]]
    labelled = {each for each in both if each in one[1] and one[2].get(each) == other[2].get(each)}
    return _estimate(
        judge_checks.corrected_mean(
            [one[0][each] - other[0][each] for each in both],
            [one[1][each] - other[1][each] if each in labelled else None for each in both],
            [one[2].get(each, 1.0) for each in both],
            clusters=means.clusters_of(both),
            paired=True,
        )
    )


def _by_example(
    marks: Mapping[Key, KeptScore], labels: Labels, model: str
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Return by example: the mean mark, the mean label, and the chance of being labelled."""
    mark: dict[str, list[float]] = {}
    label: dict[str, list[float]] = {}
    chance: dict[str, float] = {}
    for key, each in marks.items():
        if key[0] != model or each.value is None:
            continue
        mark.setdefault(key[1], []).append(each.value)
        own = labels.get(key)
        if own is not None and own.chance is not None:
            label.setdefault(key[1], []).append(own.value)
            chance[key[1]] = own.chance
    return (
        {example: float(np.mean(each)) for example, each in mark.items()},
        {example: float(np.mean(each)) for example, each in label.items()},
        chance,
    )


def _estimate(found: Result) -> ScoreEstimate:
    low, high = (
        None if each is None or not math.isfinite(each) else each for each in (found.low, found.high)
    )
    return ScoreEstimate(value=found.estimate, low=low, high=high, n=found.n)
