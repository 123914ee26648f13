"""The wire types of alignments: a judge's criterion is written again by people's labels, which other labels judge."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from genops_lab.core.models import Task
from genops_lab.genai.evaluations.models import PlannedCalls, ScoreEstimate
from genops_lab.genai.prompts.optimization_models import OptimizerName, TrainingScore

from .models import JudgeAgreement

#: writing: criteria are written and tried on training labels. comparing: the best one marks held-out answers.
AlignmentStage = Literal["writing", "comparing", "done"]
#: What held-out labels show of the new criterion beside the old one.
AlignmentVerdict = Literal["better", "worse", "within chance", "not known"]


class NewAlignment(msgspec.Struct, frozen=True, kw_only=True):
    """Align a judge of an evaluation with people's labels.

    - evaluation: its id. judge: the name of a rubric; empty: its only one.
    - writer: the endpoint that writes criteria.
    - rounds: criteria that are written, one after the other.
    - held_out: the share of labelled rows that the writer does not see. ``seed``: of the random split.
    - money: the most that all calls may cost. None: no limit.
    - keep: keep the best criterion though held-out labels do not show that it is better.
    """

    evaluation: str
    writer: str
    judge: str = ""
    optimizer: OptimizerName = "metaprompt"
    rounds: Annotated[int, msgspec.Meta(ge=1, le=50)] = 2
    held_out: Annotated[float, msgspec.Meta(ge=0.1, le=0.9)] = 0.5
    seed: int = 0
    money: Annotated[float, msgspec.Meta(gt=0)] | None = None
    keep: bool = False


class AlignmentCost(msgspec.Struct, frozen=True, kw_only=True):
    """The most that an alignment uses. ``money`` is in ``currency``, and None if a model has no price.

    - training, held_out: labelled answers of each side. without_price: endpoints that have no price.
    - parts: calls by their purpose, which is the name of the part.
    """

    judge: str
    question: str
    training: int
    held_out: int
    calls: int
    tokens: int
    money: float | None
    currency: str = "USD"
    without_price: list[str]
    parts: list[PlannedCalls]


class JudgeAlignment(msgspec.Struct, frozen=True, kw_only=True):
    """An alignment of a judge.

    - criterion, new_criterion: the old one, and the best one that was written; empty: none so far, none better.
    - training: the share of agreement on labels that the writer saw, which is too good.
    - before, after: the judge with both criteria beside held-out labels.
    - difference: of the shares of agreement, paired by answer. An answer that the judge refused to mark counts as a
      disagreement.
    - kept_as: the name of the new judge, which is registered in MLflow; empty: nothing is kept.
    - rubric: YAML with the new judge, for ``genops evaluate score``.
    - tokens, money: of all calls; ``money`` is in ``currency``, and None without a price.
    - sentences: the results in plain words, the most important first. notes: what a reader must know.
    """

    id: str
    evaluation: str
    judge: str
    question: str
    optimizer: str
    writer: str
    seed: int
    training_answers: int
    held_out_answers: int
    created_at: float
    criterion: str
    new_criterion: str = ""
    stage: AlignmentStage = "writing"
    tried: int = 0
    training: TrainingScore | None = None
    before: JudgeAgreement | None = None
    after: JudgeAgreement | None = None
    difference: ScoreEstimate | None = None
    verdict: AlignmentVerdict = "not known"
    kept_as: str = ""
    rubric: str = ""
    tokens: int = 0
    money: float | None = None
    currency: str = "USD"
    sentences: list[str] = []
    notes: list[str] = []


class BegunAlignment(msgspec.Struct, frozen=True, kw_only=True):
    """The alignment that a task works on."""

    alignment: JudgeAlignment
    task: Task
