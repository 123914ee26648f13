"""Compare the answers of two evaluations of the same rows."""

from __future__ import annotations

from dataclasses import replace

from msgspec.structs import replace as with_fields

from genops_lab.core.errors import Conflict

from .asking_models import clusters_of
from .evaluation_file import read_evaluation
from .models import AnswerEvaluation, ComparedResults, ScoresReport
from .process import question_of
from .report import by_example, compare, corrected
from .report_means import Means, WithoutIntervals
from .report_messages import sentences
from .results_folder import ResultsFolder


def check_same_rows(one: AnswerEvaluation, other: AnswerEvaluation) -> None:
    """Raise Conflict if two evaluations have different rows."""
    if one.digest != other.digest:
        raise Conflict(
            f"{one.id} and {other.id} have different rows: their digests are {one.digest} and {other.digest}.",
            hint="Compare evaluations of the same rows.",
            code="other_rows",
        )


def compare_results(folder: ResultsFolder, other: ResultsFolder) -> ComparedResults:
    """Return the differences of one evaluation to another, by their common scorers. Blocks. Raises Conflict.

    A model is compared with the model of the same name there, else with the first.
    """
    one, against = folder.state(), other.state()
    check_same_rows(one, against)
    scorers = [each for each in one.scorers if each in against.scorers]
    if not scorers:
        raise Conflict(
            f"{one.id} and {against.id} have no scorer in common.",
            hint=f"Add one: genops evaluate score {one.id} --scorer {against.scorers[0]}",
            code="other_scorers",
        )
    file, rows = read_evaluation(folder.text(), f"{folder.id}/evaluation.yaml"), folder.rows()
    early = [each for each in (one, against) if _stopped_early(each)]
    means = WithoutIntervals(list(rows)) if early else Means(clusters_of(file, rows))
    question = replace(question_of(folder, file, rows), means=means)
    known = {each.model for each in against.models}
    found = []
    for scorer in scorers:
        mine, theirs = folder.scores(scorer), other.scores(scorer)
        for model in (each.model for each in one.models):
            rival = model if model in known else against.models[0].model
            sides = (model, by_example(mine, model)), (rival, by_example(theirs, rival))
            shown = compare(*sides, scorer, question, tests=len(scorers) * len(one.models))
            found.append(with_fields(shown, against_result=against.id))
    found = corrected(found, question)
    notes = [
        f"{each.id} stopped when its answer was known, so its rows are no random part of all, and the differences have "
        "no intervals. Evaluate both models in one file with stop_when_known."
        for each in early
    ]
    return ComparedResults(
        id=one.id, against=against.id, compared=found, notes=notes,
        sentences=sentences(ScoresReport(scored=[], compared=found)),
    )  # fmt: skip


def _stopped_early(state: AnswerEvaluation) -> bool:
    return any(each.wanted < state.rows * state.repeats for each in state.models)
