"""Compare people's labels with each other and with scorers' marks, and correct a judge's means by them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from genops_lab.genai.evaluations.asking_models import clusters_of
from genops_lab.genai.evaluations.evaluation_file import read_evaluation
from genops_lab.genai.evaluations.journal import Key, read
from genops_lab.genai.evaluations.kept_labels import KeptLabels, keep_labels, report_is_older
from genops_lab.genai.evaluations.models import ScoreEstimate
from genops_lab.genai.evaluations.process import all_scorers
from genops_lab.genai.evaluations.report import by_example
from genops_lab.genai.evaluations.report_labels import (
    corrected_difference,
    corrected_mean,
    lengths_of,
    question_names,
    unseen,
)
from genops_lab.genai.evaluations.report_means import Means, less
from genops_lab.genai.evaluations.results_folder import KeptLabel, KeptScore, ResultsFolder
from genops_lab.genai.scorers.base import BaseScorer, Judge
from genops_lab.genai.scorers.judge_checks import Calibration, Marked, asks_a_model, check
from genops_lab.genai.scorers.judges import Pairwise, Rubric
from genops_lab.statistics.agreement import Agreement, Level, cohens_kappa, krippendorffs_alpha
from genops_lab.statistics.results import Result

from .backend import Item, position, text_of
from .models import CorrectedMean, JudgeAgreement, LabelQuestion, LabelQueue, LabelReport, RaterLabels

_SEED = 21
_UNKNOWN = ScoreEstimate(value=None, low=None, high=None, n=0)


class JudgedByLabels(NamedTuple):
    """A scorer's agreement with labels, and the verdict on one that asks a model."""

    agreement: JudgeAgreement
    calibration: Calibration | None


def report_of(
    queue: LabelQueue, question: LabelQuestion, items: Sequence[Item], models: Mapping[str, str],
    folder: ResultsFolder | None,
) -> LabelReport:  # fmt: skip
    """Return what the labels of a queue show. Blocks.

    models: the name of the model that answered, by run. folder: that of the evaluation, where this machine has it. The
    labels and the verdicts on judges are kept there.
    """
    counts: dict[str, int] = {}
    outside = 0
    for item in items:
        for rater, label in item.labels.items():
            counts[rater] = counts.get(rater, 0) + 1
            outside += bool(question.choices) and text_of(question, label.value) not in question.choices
    raters = [RaterLabels(rater=each, labels=count) for each, count in sorted(counts.items())]
    notes = []
    if outside:
        notes.append(
            f"{outside} labels are none of the choices any more: the scale changed. They count nowhere."
        )
    if queue.items > len(items):
        notes.append(
            f"{queue.items - len(items)} answers were deleted meanwhile. Their labels count nowhere."
        )
    if not question.choices:
        return LabelReport(queue=queue, raters=raters, between=_UNKNOWN, notes=notes)
    between = _between(question, items, sorted(counts))
    labels = _labels(question, items, models)
    if folder is None:
        return LabelReport(
            queue=queue, raters=raters, between=between, judges=_by_marks(question, items), notes=notes
        )
    judged, corrected, left_out = _against_scorers(folder, question, labels)
    notes += left_out
    calibrations = {
        each.agreement.scorer: each.calibration for each in judged if each.calibration is not None
    }
    kept = KeptLabels(question=question.name, labels=labels, calibrations=calibrations, pairs=question.pairs)
    keep_labels(folder, kept)
    return LabelReport(
        queue=queue, raters=raters, between=between, judges=[each.agreement for each in judged],
        corrected=corrected, notes=notes, is_newer=report_is_older(folder),
    )  # fmt: skip


def corrected_means(
    scores: Mapping[Key, KeptScore], labels: Sequence[KeptLabel], models: Sequence[str], scorer: str, means: Means
) -> list[CorrectedMean]:  # fmt: skip
    """Return the mean label of each model's answers, and its difference to the first model, corrected by labels.

    They are those of the evaluation's report. scores: a judge's, of all answers.
    """
    given = {each.key: each for each in labels}
    marks = {model: _mean_marks(scores, model) for model in models}
    first, *others = models
    found = []
    for model in models:
        mean = corrected_mean(scores, given, model, means)
        if mean is not None and marks[model]:
            judged = float(np.mean(list(marks[model].values())))
            found.append(CorrectedMean(scorer=scorer, model=model, judged=judged, corrected=mean))
    for model in others:
        difference = corrected_difference(scores, given, model, first, means)
        if difference is not None:
            judged = float(np.mean(list(less(marks[model], marks[first]).values())))
            found.append(
                CorrectedMean(scorer=scorer, model=model, judged=judged, corrected=difference, against=first)
            )
    return found


def _mean_marks(scores: Mapping[Key, KeptScore], model: str) -> dict[str, float]:
    return {example: float(np.mean(each)) for example, each in by_example(scores, model).items()}


def _labels(question: LabelQuestion, items: Sequence[Item], models: Mapping[str, str]) -> list[KeptLabel]:
    found = []
    for item in items:
        places = [position(question, text_of(question, each.value)) for each in item.labels.values()]
        known = [each for each in places if each is not None]
        if known:
            found.append(
                KeptLabel(
                    model=models.get(item.run_id, ""), example=item.example, repeat=item.repeat,
                    value=sum(known) / len(known), raters=len(known), chance=item.chance,
                )
            )  # fmt: skip
    return sorted(found, key=lambda each: each.key)


def _between(question: LabelQuestion, items: Sequence[Item], raters: Sequence[str]) -> ScoreEstimate:
    """Return Krippendorff's alpha of the raters on the answers that were chosen at random."""
    core = [item for item in items if item.chance is not None]
    if len(raters) < 2 or not core:
        return _UNKNOWN
    table = np.full((len(raters), len(core)), np.nan)
    for column, item in enumerate(core):
        for row, rater in enumerate(raters):
            if rater in item.labels:
                place = position(question, text_of(question, item.labels[rater].value))
                table[row, column] = np.nan if place is None else place
    level: Level = "nominal" if len(question.choices) == 2 else "ordinal"
    return estimate(krippendorffs_alpha(table, level=level))


def _against_scorers(
    folder: ResultsFolder, question: LabelQuestion, labels: Sequence[KeptLabel]
) -> tuple[list[JudgedByLabels], list[CorrectedMean], list[str]]:
    file = read_evaluation(folder.text())
    scorers, judges = all_scorers(folder, file)
    calls, rows = read(folder.calls), folder.rows()
    alike = [each for each in scorers if isinstance(each, Pairwise) == question.pairs]
    named = [each for each in alike if question.name in question_names(each)]
    models = list(file.models)[1:] if question.pairs else list(file.models)
    judged, corrected, notes = [], [], []
    for scorer in named or alike:
        scores = folder.scores(scorer.label)
        own_model = judges[scorer.model].asked_as if isinstance(scorer, Judge) else ""
        answering = {name: model.asked_as for name, model in file.models.items()}
        lengths = lengths_of(calls, next(iter(file.models)) if question.pairs else "")
        own = unseen(scorer, labels, rows)
        if len(own) < len(labels):
            notes.append(
                f"{scorer.label} was aligned by labels of {len(labels) - len(own):,} of these answers. These labels "
                "say nothing about it."
            )
        found = against_labels(scorer, scores, own, lengths, answering, own_model)
        judged.append(found)
        if found.calibration is not None and not file.stop_when_known:  # these intervals are of one look
            means = Means(clusters_of(file, rows))
            corrected += corrected_means(scores, own, models, scorer.label, means)
    return judged, corrected, notes


def against_labels(
    scorer: BaseScorer, scores: Mapping[Key, KeptScore], labels: Sequence[KeptLabel], lengths: Mapping[Key, int],
    answering: Mapping[str, str], own_model: str,
) -> JudgedByLabels:  # fmt: skip
    """Return how a scorer agrees with people, with the verdict on one that asks a model."""
    marked, missing = [], 0
    for label in labels:
        score = scores.get(label.key)
        if score is None or score.value is None:
            missing += 1
            continue
        marked.append(
            Marked(
                mark=score.value, label=label.value, chance=label.chance,
                model=answering.get(label.model) or label.model, length=lengths.get(label.key, 0),
            )
        )  # fmt: skip
    if not asks_a_model(scorer):
        return JudgedByLabels(_agreement(scorer.label, marked, missing), None)
    consistent = [each.consistent for each in scores.values() if each.consistent is not None]
    found = check(scorer, marked, consistent=consistent, own_model=own_model)
    kappa = next(each for each in found.checks if each.name == "agreement")
    return JudgedByLabels(
        JudgeAgreement(
            scorer=scorer.label, kappa=ScoreEstimate(value=kappa.value, low=kappa.low, high=kappa.high, n=kappa.n),
            rate=found.rate, base_rate=found.base_rate, calibrated=found.calibrated, verdict=found.verdict,
            not_marked=missing, criterion=scorer.criterion if isinstance(scorer, Rubric) else "",
        ),
        found,
    )  # fmt: skip


def _by_marks(question: LabelQuestion, items: Sequence[Item]) -> list[JudgeAgreement]:
    """Return the agreement with the marks that MLflow has, where this machine has no folder of the evaluation."""
    found: dict[str, list[Marked]] = {}
    missing: dict[str, int] = {}
    for item in items:
        places = [position(question, text_of(question, each.value)) for each in item.labels.values()]
        known = [each for each in places if each is not None]
        for name, mark in item.marks.items() if known else ():
            if mark is None or not 0 <= mark <= 1:
                missing[name] = missing.get(name, 0) + 1
                continue
            label = sum(known) / len(known)
            found.setdefault(name, []).append(Marked(mark=mark, label=label, chance=item.chance))
    return [_agreement(name, marked, missing.get(name, 0)) for name, marked in sorted(found.items())]


def _agreement(scorer: str, marked: Sequence[Marked], missing: int) -> JudgeAgreement:
    core = [each for each in marked if each.chance is not None]
    one, other = [round(each.mark, 6) for each in core], [round(each.label, 6) for each in core]
    agreement: Agreement = cohens_kappa(one, other, rng=np.random.default_rng(_SEED))
    base = max((other.count(each) / len(other) for each in set(other)), default=None)
    return JudgeAgreement(
        scorer=scorer, kappa=estimate(agreement.kappa), rate=agreement.rate.estimate, base_rate=base,
        not_marked=missing,
    )  # fmt: skip


def estimate(found: Result) -> ScoreEstimate:
    """Return a result as it crosses the wire; no infinite ends."""
    low, high = (None if each is None or math.isinf(each) else each for each in (found.low, found.high))
    return ScoreEstimate(value=found.estimate, low=low, high=high, n=found.n)
