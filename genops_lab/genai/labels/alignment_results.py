"""Say what held-out labels show of a judge with a new criterion, beside the old one."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from msgspec.structs import replace

from genops_lab.genai.evaluations.evaluation_file import Model
from genops_lab.genai.evaluations.report import estimate, verdict
from genops_lab.genai.evaluations.report_means import SHARE, Means
from genops_lab.genai.evaluations.report_messages import amount, interval
from genops_lab.genai.evaluations.results_folder import KeptScore
from genops_lab.genai.scorers.judges import Rubric

from .agreement import against_labels
from .alignment_models import AlignmentVerdict, JudgeAlignment
from .alignment_plan import AlignmentMaterial, is_answered
from .models import JudgeAgreement

_NOT_KEPT: dict[AlignmentVerdict, str] = {
    "better": "The held-out labels show that it is better. It is not kept yet.",
    "worse": "The held-out labels show that it is worse, so nothing is kept.",
    "within chance": "The held-out labels do not show that it is better, so nothing is kept.",
    "not known": "The held-out labels do not show that it is better, so nothing is kept.",
}


def compared(
    state: JudgeAlignment, found: AlignmentMaterial, before: Mapping[str, KeptScore],
    after: Mapping[str, KeptScore], own_model: str,
) -> JudgeAlignment:  # fmt: skip
    """Return the state with the agreement of both criteria, and their difference, paired by answer."""
    one, other = _agreements(found, after), _agreements(found, before)
    apart = Means().difference(_by_example(found, one, other), _by_example(found, other, one), SHARE)
    shown = verdict(apart, apart.p, 0.0)
    lost = len(found.held_out) - len(one.keys() & other.keys())
    notes = [f"{lost:,} held-out labels are left out: a call to the judge failed."] if lost else []
    return replace(
        state, before=_agreement(found, before, own_model), after=_agreement(found, after, own_model),
        difference=estimate(apart), verdict=shown if shown in ("better", "worse", "not known") else "within chance",
        notes=list(dict.fromkeys([*state.notes, *notes])),
    )  # fmt: skip


def _agreements(found: AlignmentMaterial, marks: Mapping[str, KeptScore]) -> dict[str, float]:
    """Return how far each mark agrees with its label, from 0 to 1. A refusal is a disagreement."""
    agreements = {}
    for id, each in found.held_out.items():
        mark = marks.get(id)
        if mark is not None and is_answered(mark):
            agreements[id] = 0.0 if mark.value is None else 1 - abs(mark.value - each.label.value)
    return agreements


def _by_example(
    found: AlignmentMaterial, one: Mapping[str, float], other: Mapping[str, float]
) -> dict[str, float]:
    """Return the mean agreement of each row, on the answers that both criteria have a mark of."""
    rows: dict[str, list[float]] = {}
    for id, value in one.items():
        if id in other:
            rows.setdefault(found.held_out[id].label.example, []).append(value)
    return {example: float(np.mean(values)) for example, values in rows.items()}


def _agreement(found: AlignmentMaterial, marks: Mapping[str, KeptScore], own_model: str) -> JudgeAgreement:
    labels = [each.label for each in found.held_out.values()]
    scores = {each.label.key: marks[id] for id, each in found.held_out.items() if id in marks}
    lengths = {each.label.key: len(each.answered.text) for each in found.held_out.values()}
    return against_labels(found.judge, scores, labels, lengths, {}, own_model).agreement


def rubric_text(judge: Rubric, model: Model) -> str:
    """Return YAML with a judge and the model that it asks, as ``genops evaluate score`` takes it."""
    given = msgspec.to_builtins(judge)
    model_given = {
        name: value for name, value in msgspec.to_builtins(model).items() if value not in ("", {}, [], None)
    }
    content = {
        "scorers": [{name: value for name, value in given.items() if value not in ("", {}, None)}],
        "judges": {judge.model: model_given},
    }
    return msgspec.yaml.encode(content).decode()


def sentences(state: JudgeAlignment) -> list[str]:
    """Say what was written, what held-out labels show, and what is kept."""
    training = state.training
    assert training is not None
    seen = f"{_share(training.before)} before and {_share(training.after)} after"
    if not state.new_criterion:
        return [
            f"None of {state.tried:,} new criteria agrees better with the {training.rows:,} labels that the writer "
            f"saw: {seen}. Nothing is kept."
        ]
    before, after, apart = state.before, state.after, state.difference
    assert before is not None and after is not None and apart is not None
    if apart.value is None:
        said = ["No held-out label has a mark by both criteria."]
    else:
        said = [
            f"The new criterion changes the agreement of {state.judge} with people by "
            f"{amount(apart.value, True, signed=True)} on {apart.n:,} held-out rows{interval(apart, True)}; {seen} on "
            f"the {training.rows:,} labels that the writer saw."
        ]
    said.append(f"Agreement beyond chance: {_kappa(before)} before, {_kappa(after)} after.")
    if after.base_rate is not None:
        said.append(
            f"Equal marks: {_share(before.rate)} before, {_share(after.rate)} after; always the most common label "
            f"would reach {_share(after.base_rate)}."
        )
    if not state.kept_as:
        said.append(_NOT_KEPT[state.verdict])
    return said


def _kappa(each: JudgeAgreement) -> str:
    if each.kappa.value is None:
        return "unknown"
    return f"{each.kappa.value:.2f} ({each.kappa.low:.2f} to {each.kappa.high:.2f})"


def _share(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.0f} %"
