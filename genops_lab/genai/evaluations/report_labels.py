"""Use people's labels of some answers: judges are checked by them, and their means and differences corrected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace

from genops_lab.genai.scorers import judge_checks
from genops_lab.genai.scorers.base import BaseScorer
from genops_lab.genai.scorers.judge_checks import Calibration, Marked, asks_a_model, check
from genops_lab.genai.scorers.judges import Pairwise, identity, row_digest
from genops_lab.statistics.results import Result

from .journal import Call, Key
from .kept_labels import KeptLabels
from .models import JudgeVerdict, ScoreEstimate
from .report_means import Means, Sequences
from .results_folder import KeptLabel, KeptScore

#: Labels of one scorer's answers by their key.
Labels = Mapping[Key, KeptLabel]


def labels_of(
    scorers: Mapping[str, BaseScorer], kept: Sequence[KeptLabels], rows: Mapping[str, Mapping[str, Any]]
) -> dict[str, Labels]:
    """Return the labels of each scorer that asks a model: those of the question of its name, else of another.

    A pairwise judge has labels of pairs, and no other has them. An aligned judge has the labels that it was not
    aligned by.
    """
    found: dict[str, Labels] = {}
    for label, scorer in scorers.items():
        if asks_a_model(scorer):
            own = question_for(scorer, scorers, kept)
            if own is not None:
                found[label] = {each.key: each for each in unseen(scorer, own.labels, rows)}
    return found


def question_for(
    scorer: BaseScorer, scorers: Mapping[str, BaseScorer], kept: Sequence[KeptLabels]
) -> KeptLabels | None:
    """Return the labels that say whether a judge is right."""
    alike = [each for each in kept if each.pairs == isinstance(scorer, Pairwise)]
    for name in question_names(scorer):
        for each in alike:
            if each.question == name:
                return each
    general = [each for each in alike if each.question not in scorers]
    return general[-1] if general else None


def question_names(scorer: BaseScorer) -> list[str]:
    """Return the names of questions that are about a judge: its own, and that of the labels that it was aligned by."""
    aligned = getattr(scorer, "aligned", None)
    return [scorer.label] if aligned is None else [scorer.label, aligned.labels]


def unseen(
    scorer: BaseScorer, labels: Sequence[KeptLabel], rows: Mapping[str, Mapping[str, Any]]
) -> list[KeptLabel]:
    """Return the labels of rows that a judge was not aligned by. They were chosen with a smaller chance."""
    aligned = getattr(scorer, "aligned", None)
    if aligned is None:
        return list(labels)
    seen = set(aligned.rows)
    found = [each for each in labels if row_digest(rows.get(each.example, {})) not in seen]
    chosen = {each.example for each in labels if each.chance is not None}
    left = {each.example for each in found if each.chance is not None}
    return [
        each if each.chance is None else replace(each, chance=each.chance * len(left) / len(chosen))
        for each in found
    ]


def lengths_of(calls: Mapping[Key, Call], rival: str = "") -> dict[Key, int]:
    """Return the characters of each answer; with ``rival`` less those of this model's answer to the same row."""
    found = {key: len(call.answer.text) for key, call in calls.items() if call.answer is not None}
    if not rival:
        return found
    return {
        key: length - found[rival, key[1], key[2]]
        for key, length in found.items()
        if (rival, key[1], key[2]) in found
    }


def calibrations(
    scorers: Mapping[str, BaseScorer],
    scores: Mapping[str, Mapping[Key, KeptScore]],
    labels: Mapping[str, Labels],
    calls: Mapping[Key, Call],
    names: Mapping[str, str],
) -> dict[str, Calibration]:
    """Return what labels say about each judge that has some, by the judge's identity.

    ``names``: what the endpoints call the models that answer and judge, by their names in the file. Pairs are of a
    model and the first one.
    """
    found = {}
    first = next(iter(names), "")
    for label, scorer in scorers.items():
        given, marks = labels.get(label, {}), scores.get(label, {})
        if not asks_a_model(scorer) or not given:
            continue
        lengths = lengths_of(calls, first if isinstance(scorer, Pairwise) else "")
        marked = []
        for key, each in given.items():
            mark = marks.get(key)
            if mark is None or mark.value is None or key not in lengths:
                continue
            marked.append(
                Marked(
                    mark=mark.value, label=each.value, chance=each.chance, model=names.get(key[0], key[0]),
                    length=lengths[key],
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
    if not both:  # marks of pairs: those of the first model are none
        return None
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
