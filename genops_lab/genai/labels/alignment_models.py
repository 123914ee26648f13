"""The wire types of alignments: a judge's criterion is written again by people's labels, which other labels judge."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from genops_lab.core.models import Task
from genops_lab.core.paging import PageQuery
from genops_lab.genai.evaluations.models import ScoreEstimate
from genops_lab.genai.prompts.models import TextPiece
from genops_lab.genai.prompts.optimization_models import (
    OptimizerCost,
    OptimizerLimits,
    OptimizerWork,
    TrainingScore,
)

from .models import JudgeAgreement

#: What held-out labels show of the new criterion beside the old one.
AlignmentVerdict = Literal["better", "worse", "within chance", "not known"]
#: better: the new judge is kept if held-out labels show that it is better. asked: when a person asks for it.
KeptWhen = Literal["better", "always", "asked"]


class NewAlignment(OptimizerLimits, frozen=True, kw_only=True):
    """Align a judge of an evaluation with people's labels.

    - evaluation: its id. judge: the name of a rubric; empty: its only one.
    - writer: the endpoint that writes criteria.
    - keep: when the best criterion becomes a judge.
    """

    evaluation: str
    writer: str
    judge: str = ""
    rounds: Annotated[int, msgspec.Meta(ge=1, le=50)] = 2
    keep: KeptWhen = "better"


class AlignmentCost(OptimizerCost, frozen=True, kw_only=True):
    """The most that an alignment uses, and the question whose labels count."""

    judge: str
    question: str


class JudgeAlignment(OptimizerWork, frozen=True, kw_only=True):
    """An alignment of a judge.

    - criterion, new_criterion: the old one, and the best one that was written; empty: none so far, none better.
      changed: both in one text.
    - training: the share of agreement on labels that the writer saw, which is too good.
    - before, after: the judge with both criteria beside held-out labels.
    - difference: of the shares of agreement, paired by answer. An answer that the judge refused to mark counts as a
      disagreement.
    - kept_as: the name of the new judge, which is registered in MLflow; empty: nothing is kept.
    - rubric: YAML with the new judge, for ``genops evaluate score``.
    """

    evaluation: str
    judge: str
    question: str
    training_answers: int
    held_out_answers: int
    criterion: str
    new_criterion: str = ""
    changed: list[TextPiece] = msgspec.field(default_factory=list)
    training: TrainingScore | None = None
    before: JudgeAgreement | None = None
    after: JudgeAgreement | None = None
    difference: ScoreEstimate | None = None
    verdict: AlignmentVerdict = "not known"
    kept_as: str = ""
    rubric: str = ""


class OfEvaluationQuery(PageQuery, frozen=True, kw_only=True):
    """A page of the alignments of an evaluation. ``evaluation`` empty: those of all evaluations."""

    evaluation: str = ""


class BegunAlignment(msgspec.Struct, frozen=True, kw_only=True):
    """The alignment that a task works on."""

    alignment: JudgeAlignment
    task: Task
