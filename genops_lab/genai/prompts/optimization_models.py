"""The wire types of optimizations: MLflow writes a better text of a prompt, which rows that it did not see judge."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from genops_lab.core.models import Task
from genops_lab.genai.evaluations.models import ComparedModels, PlannedCalls, ShownDifference

from .trial_models import TrialModel

#: metaprompt: MLflow's MetaPromptOptimizer. gepa: its GepaPromptOptimizer, which needs gepa and LiteLLM.
OptimizerName = Literal["metaprompt", "gepa"]
#: writing: texts are written and tried on training rows. comparing: the best one is tried on held-out rows.
OptimizerStage = Literal["writing", "comparing", "done"]


class OptimizerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How an optimizer of MLflow works, and what it may use.

    - rounds: texts that are written, one after the other.
    - held_out: the share of rows that the writer does not see. ``seed``: of the random split.
    - money: the most that all calls may cost. None: no limit.
    """

    optimizer: OptimizerName = "metaprompt"
    rounds: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1
    held_out: Annotated[float, msgspec.Meta(ge=0.1, le=0.9)] = 0.5
    seed: int = 0
    money: Annotated[float, msgspec.Meta(gt=0)] | None = None


class OptimizerCost(msgspec.Struct, frozen=True, kw_only=True):
    """The most that the work of an optimizer uses. ``money`` is in ``currency``, and None if a model
    (``without_price``) has no price, or if prices have several currencies.

    - training, held_out: rows or labelled answers of each side.
    - parts: calls by their purpose, which is the name of the part.
    """

    training: int
    held_out: int
    calls: int
    tokens: int
    money: float | None
    currency: str = "USD"
    without_price: list[str]
    parts: list[PlannedCalls]


class OptimizerWork(msgspec.Struct, frozen=True, kw_only=True):
    """The work of an optimizer.

    - stage: writing, comparing on what was held out, or done.
    - tried: texts that were tried on all training rows, the first one not counted.
    - tokens, money: of all calls of the optimizer; ``money`` is in ``currency``, and None without a price.
    - sentences: the results in plain words, the most important first. notes: what a reader must know.
    """

    id: str
    optimizer: str
    writer: str
    seed: int
    created_at: float
    stage: OptimizerStage = "writing"
    tried: int = 0
    tokens: int = 0
    money: float | None = None
    currency: str = "USD"
    sentences: list[str] = []
    notes: list[str] = []


class NewOptimization(OptimizerLimits, frozen=True, kw_only=True):
    """Optimize a version (a number or an alias) of a prompt.

    - answerer: the model that answers the prompt. writer: the model that writes new texts.
    - data: the path of a file, below the folder of JupyterLab if it is relative; ``dataset:NAME`` or ``traces:QUERY``
      of MLflow. Its first ``rows`` are used.
    - scorers: YAML with the list ``scorers``, and ``judges`` where these ask a model; ``scorers_name``: for errors.
    - folder: the absolute path of the folder with the files that scorers name; empty: that of JupyterLab.
    - settings: of the calls to the answerer; they win over those of the version.
    - save: whether a text that is better on the training rows becomes a version at once.
    """

    version: str = "latest"
    answerer: TrialModel
    writer: TrialModel
    data: str
    rows: Annotated[int, msgspec.Meta(ge=4, le=10_000)] = 200
    scorers: str
    scorers_name: str = "scorers.yaml"
    folder: str = ""
    settings: dict[str, Any] = {}
    save: bool = True


class OptimizationCost(OptimizerCost, frozen=True, kw_only=True):
    """The most that an optimization uses.

    - together: rows that near-duplicates keep on one side. digest: that of all rows of the data.
    - shows: the smallest difference that the held-out rows show with a probability of 80 %.
    """

    version: str
    digest: str
    together: int
    shows: list[ShownDifference]


class TrainingScore(msgspec.Struct, frozen=True, kw_only=True):
    """The mean score of both texts on the training rows that both answered; they chose the text, so it is too high."""

    scorer: str
    before: float
    after: float
    rows: int


class Optimization(OptimizerWork, frozen=True, kw_only=True):
    """An optimization of a prompt.

    - version: the version that it began with. new_version: the one that was saved of it; empty: none.
    - has_text: whether a new text is better on the training rows.
    - training: scores on rows that the optimizer saw. compared: the new version less the old one on held-out rows.
    - evaluation: the id of the evaluation of the held-out rows. Its calls are not in ``tokens`` and ``money``.
    """

    name: str
    version: str
    new_version: str = ""
    has_text: bool = False
    answerer: str
    data: str
    digest: str
    training_rows: int
    held_out_rows: int
    training: list[TrainingScore] = []
    evaluation: str = ""
    compared: list[ComparedModels] = []


class BegunOptimization(msgspec.Struct, frozen=True, kw_only=True):
    """The optimization that a task works on."""

    optimization: Optimization
    task: Task
