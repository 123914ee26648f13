"""Make an evaluation of answers the evidence of gates: predictions of a registered version, a data set a scorer.

The label of each row is 1 and the prediction is its score. So the accuracy is the share of answers that pass, and the
mean absolute error is what a score lacks to 1. Gates find them as all evaluations of a version.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from genops_lab.evaluations.models import LoggedPredictions

from .evaluation_file import Evaluation
from .models import AllGateEvidence, AnswerEvaluation, GateEvidence, ModelAnswers, ScoresReport
from .report import by_example
from .results_folder import ResultsFolder


def evidence_of(
    folder: ResultsFolder, file: Evaluation, state: AnswerEvaluation, report: ScoresReport, pairs: Container[str]
) -> AllGateEvidence:  # fmt: skip
    """Return the evidence of models that are registered versions. ``pairs``: pairwise judges. Blocks."""
    found: list[GateEvidence] = []
    said: list[str] = []
    registered = {name: each.registered for name, each in file.models.items() if each.registered}
    if not registered:
        return AllGateEvidence(evidence=found, left_out=said)
    rows = folder.rows()
    judges = {each.scorer: each for each in report.judges}
    columns = [each for each in dict.fromkeys([file.cluster, *file.slices]) if each]
    for each in state.models:
        if each.model not in registered:
            continue
        problem = _problem(each, state)
        if problem:
            said.append(problem)
            continue
        for scorer in state.scorers:
            if scorer in judges and not judges[scorer].calibrated:
                said.append(f"No gate sees the scores of {each.model} by {scorer}. {judges[scorer].verdict}")
                continue
            unseen = _unseen(scorer, state, pairs)
            if unseen:
                said.append(f"No gate sees the scores of {each.model} by {scorer}: {unseen}")
                continue
            scores = by_example(folder.scores(scorer), each.model)
            if any(not 0 <= value <= 1 for values in scores.values() for value in values):
                continue  # a time, a cost or a length
            found.append(_evidence(state, each, registered[each.model], scorer, scores, rows, columns))
    return AllGateEvidence(evidence=found, left_out=said)


def _problem(model: ModelAnswers, state: AnswerEvaluation) -> str:
    if model.answered < model.wanted:
        missing = model.wanted - model.answered
        return f"No gate sees {model.model}: {missing:,} answers are missing. Ask: genops evaluate resume {state.id}"
    if model.wanted < state.rows * state.repeats:
        return (
            f"No gate sees {model.model}: its rows were asked until the difference was known, and a gate tests all of "
            "them. Evaluate without stop_when_known."
        )
    return ""


def _unseen(scorer: str, state: AnswerEvaluation, pairs: Container[str]) -> str:
    """Return why no gate sees a scorer. An answer without a score counts as wrong, also that of a champion."""
    if scorer in pairs:
        return "marks of pairs are about two models."
    if scorer in state.unfinished:
        return f"not all answers are scored. Go on with: genops evaluate resume {state.id}"
    return ""


def _evidence(
    state: AnswerEvaluation, model: ModelAnswers, version: str, scorer: str, scores: Mapping[str, Sequence[float]],
    rows: Mapping[str, Mapping[str, Any]], columns: Sequence[str],
) -> GateEvidence:  # fmt: skip
    """Return the evidence of one scorer. A row that it did not score has no prediction, which counts as wrong."""
    name, _, number = version.partition("@")
    values = [float(np.mean(scores[id])) if id in scores else None for id in rows]
    content = {
        "ids": list(rows),
        "labels": [1] * len(rows),
        "predictions": values,
        "groups": {column: [str(row.get(column, "")) for row in rows.values()] for column in columns},
    }
    is_right = {value for value in values if value is not None} <= {0.0, 1.0}
    key = hashlib.sha256(msgspec.json.encode([state.id, model.model, scorer, version, values])).hexdigest()[
        :32
    ]
    return GateEvidence(
        predictions=LoggedPredictions(
            path="", model=name, version=number, data=f"{state.name}.{scorer}", digest=state.digest, source=state.data,
            source_type="local", key=key, task="classification" if is_right else "regression",
        ),
        content=content,
    )  # fmt: skip
