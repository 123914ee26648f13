"""Wire types of evaluations of answers. Times in seconds since 1970."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from genops_lab.core.models import Task
from genops_lab.core.paging import PageQuery
from genops_lab.evaluations.models import LoggedPredictions
from genops_lab.genai.endpoints.limits import Price, Usage
from genops_lab.genai.traces.pictures import Picture

#: asking, scoring and recording: an end is missing, so either a task runs or ``resume`` goes on.
Stage = Literal["asking", "scoring", "recording", "done"]


#: The experiment of evaluations that name none.
EXPERIMENT = "Evaluations of answers"


class NewAnswerEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Begin an evaluation of answers.

    - text: the content of an evaluation file, ``kind: Evaluation``.
    - name: what errors call the file.
    - folder: the absolute path of the folder that ``data`` of the file is below, on the Lab's machine.
    - path: that of the file below the folder of JupyterLab; it stands for ``name`` and ``folder``.
    - data: the absolute path of other rows, in place of those of the file.
    - data_name: what the evaluation calls ``data`` where the file is gone later, such as rows of a notebook.
    - on: the connected target on whose host models are asked and answers scored; empty: this machine.
    - expect: ``seen`` of the plan that the user agreed to; nothing begins if the plan is another one by now.
    - idempotency_key: requests with the same one begin one evaluation.
    """

    text: str
    name: str = "evaluation.yaml"
    folder: str = ""
    path: str = ""
    data: str = ""
    data_name: str = ""
    on: str = ""
    expect: str = ""
    idempotency_key: str = ""


class NewKernelEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Evaluate rows of a kernel on another host.

    - text, name: as in :class:`NewAnswerEvaluation`.
    - rows: the ticket of an uploaded file of JSON lines.
    - rows_name: what the evaluation calls the rows.
    """

    text: str
    name: str = "cell"
    rows: str
    rows_name: str = "rows"


class NewScores(msgspec.Struct, frozen=True, kw_only=True):
    """Score kept answers by more scorers. ``text``: YAML with the list ``scorers``, as an evaluation file has it.

    Without a text the report is made again from the kept scores, with people's labels of now.
    """

    text: str = ""
    name: str = "scorers.yaml"


class ModelAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of a model.

    - wanted: answers that the evaluation needs: rows times repeats.
    - failed, failures: calls without an answer, also by kind.
    - joined: answers that were shared, because another row has the same messages.
    - cut: answers that ended at ``max_tokens``.
    - again: answers that needed more than one call.
    - repeated, repeated_tokens: calls that were in flight when a process ended, and the most tokens that they cost.
    - unanswered_tokens: the most that calls cost which ended without an answer, such as after a timeout.
    - spent, money: of all calls, the repeated and unanswered ones at their most; ``money`` is None without a price,
      else in ``currency``.
    - price: the price by which it is counted, of the file or else of the endpoint when it was asked.
    - names, fingerprints: those that the endpoint returned. Several: the model changed meanwhile.
    - stopped: why not all answers were asked for.
    """

    model: str
    wanted: int
    answered: int
    failed: int = 0
    failures: dict[str, int] = {}
    message: str = ""
    joined: int = 0
    cut: int = 0
    again: int = 0
    repeated: int = 0
    repeated_tokens: int = 0
    repeated_money: float | None = None
    unanswered_tokens: int = 0
    spent: Usage = Usage()
    money: float | None = None
    currency: str = "USD"
    price: Price | None = None
    latency_s: float | None = None
    names: list[str] = []
    fingerprints: list[str] = []
    stopped: str = ""
    run_id: str = ""


class AnswerEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation of answers. ``digest`` is that of the file of the rows; ``target`` is empty on this machine.

    ``notes`` say what a reader must know of it, ``data_notes`` of its rows. ``scores`` are those by the first scorer;
    lists alone have them. ``unfinished``: scorers that stopped before all answers were scored, such as a judge whose
    key was refused.
    """

    id: str
    name: str
    created_at: float
    data: str
    digest: str
    rows: int
    repeats: int
    scorers: list[str]
    models: list[ModelAnswers]
    stage: Stage = "asking"
    notes: list[str] = []
    scores: list[ScoredModel] = []
    data_notes: list[str] = []
    target: str = ""
    unfinished: list[str] = []

    @property
    def missing(self) -> int:
        """Return how many answers are missing."""
        return sum(each.wanted - each.answered for each in self.models)


class BegunAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """The evaluation that a task works on."""

    evaluation: AnswerEvaluation
    task: Task


class DeletedAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation was deleted. ``left``: what is left on the host of its target, and why; empty: nothing."""

    left: str = ""


class ScoreEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """A number with its interval at 95 %. None: the data cannot tell. ``n`` counts examples."""

    value: float | None
    low: float | None
    high: float | None
    n: int


class ScoredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model by a scorer. ``answers`` were scored; ``failed`` calls and ``not_scored`` answers count as neither right
    nor wrong.

    - between, within, judging: standard deviations: between examples, between answers to one example, and between a
      judge's judgements of one answer. None: nothing was repeated.
    - pass_at_k, pass_hat_k: the chance that one, or all, of the repeats pass; of scores that are 0 or 1.
    - corrected: the mean of people's labels, of which the judge's marks tell those that are missing.
    """

    model: str
    scorer: str
    mean: ScoreEstimate
    answers: int
    failed: int
    not_scored: int
    between: float | None = None
    within: float | None = None
    judging: float | None = None
    pass_at_k: ScoreEstimate | None = None
    pass_hat_k: ScoreEstimate | None = None
    corrected: ScoreEstimate | None = None


#: "equal": the interval lies within the smallest difference that the evaluation file names.
CompareVerdict = Literal["better", "worse", "higher", "lower", "equal", "within chance", "not known"]


class ComparedSlice(msgspec.Struct, frozen=True, kw_only=True):
    """The difference on the examples whose ``column`` has a value. The verdict is corrected for the other slices."""

    column: str
    value: str
    difference: ScoreEstimate
    verdict: CompareVerdict


class ComparedModels(msgspec.Struct, frozen=True, kw_only=True):
    """Two models on the examples that both answered: ``model`` less ``against``. The lists have ids of examples.

    - against_result: the other evaluation, where ``against`` answered in one.
    - p: corrected for all ``tests`` comparisons of the report.
    - points: scores are from 0 to 1, so a difference of 0.04 is 4 points.
    - worse, better: with any difference. new_failures, mended: of scores that are 0 or 1, where most answers passed
      before and do not now, or the other way round.
    - corrected: the difference of people's labels, of which the judge's marks tell those that are missing.
    """

    model: str
    against: str
    scorer: str
    difference: ScoreEstimate
    verdict: CompareVerdict
    worse: list[str]
    better: list[str]
    against_result: str = ""
    p: float = 1.0
    tests: int = 1
    points: bool = False
    new_failures: list[str] | None = None
    mended: list[str] | None = None
    slices: list[ComparedSlice] = []
    corrected: ScoreEstimate | None = None


class AskedUntilKnown(msgspec.Struct, frozen=True, kw_only=True):
    """How far an evaluation with ``stop_when_known`` came: ``examples`` of ``of`` were asked, in a random order.

    - known: each comparison is known.
    - spared, spared_money: answers that were not asked for, and their cost at the mean price so far, in ``currency``.
    - finite: the answer is about these rows alone.
    """

    examples: int
    of: int
    known: bool
    spared: int
    spared_money: float | None = None
    currency: str = "USD"
    finite: bool = False


class JudgeVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on a judge by people's labels. Marks of one that is not ``calibrated`` decide nothing."""

    scorer: str
    calibrated: bool
    verdict: str
    agreement: ScoreEstimate | None = None


class ScoresReport(msgspec.Struct, frozen=True, kw_only=True):
    """The results of an evaluation. ``sentences``: what they show, in plain words, the most important first."""

    scored: list[ScoredModel]
    compared: list[ComparedModels]
    stopped: AskedUntilKnown | None = None
    judges: list[JudgeVerdict] = []
    sentences: list[str] = []


class DataSet(msgspec.Struct, frozen=True, kw_only=True):
    """A data set of MLflow's evaluations. ``rows``: their number when MLflow last counted them; None: not known.

    ``updated_at``: seconds since 1970.
    """

    name: str
    rows: int | None
    updated_at: float


class PlannedCalls(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of a model, at most.

    ``output_tokens`` is None where no ``max_tokens`` bounds them. ``input_tokens`` is None where they depend on answers
    without a bound. ``calls`` is None where the rows are not known. ``money`` is None with any of them, or without a
    ``price``.
    """

    model: str
    calls: int | None
    input_tokens: int | None
    output_tokens: int | None
    money: float | None
    currency: str = "USD"
    price: Price | None = None


class ShownDifference(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest difference that is shown with a probability of 80 %, if two models differ on so many rows.

    ``differing`` is a share of rows. ``difference`` is None where no difference is shown. With ``stop_when_known`` it
    is shown before the end or at it (about these rows: before the end), and ``rows`` are asked on average until
    then; ``rows_if_same`` until two models without a difference are known to be equal, or to the end.
    """

    differing: float
    difference: float | None
    rows: int | None = None
    rows_if_same: int | None = None


class PlannedEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A plan: what would be asked, what it costs at most, and what it could show. Nothing was asked.

    - rows: None where another harness has them, and no limit bounds them.
    - user: the calls of the model that plays the user of conversations.
    - tests: comparisons that share the level.
    - clusters: what rows belong together by; the differences count as if rows of a cluster told the same.
    - asked_until_known: whether rows are asked until the differences are known; ``shows`` has their number then.
    - notes: what a person must know of the rows.
    - keys: which keys go to the host of a target; empty on this machine.
    - problems: why it cannot begin now, such as an endpoint without its key.
    - seen: a hash of the file and the plan, for ``expect`` of :class:`NewAnswerEvaluation`.
    """

    name: str
    digest: str
    rows: int | None
    repeats: int
    models: list[PlannedCalls]
    judges: list[PlannedCalls]
    user: PlannedCalls | None = None
    shows: list[ShownDifference]
    tests: int
    clusters: int = 0
    asked_until_known: bool = False
    notes: list[str] = []
    keys: str = ""
    problems: list[str] = []
    seen: str = ""


class ComparisonQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Compare with another evaluation of the same rows."""

    against: str


class ComparedResults(msgspec.Struct, frozen=True, kw_only=True):
    """Two evaluations of the same rows, compared as :class:`ScoresReport` compares models.

    ``notes`` say what a reader must know, such as rows that only one of them asked.
    """

    id: str
    against: str
    compared: list[ComparedModels]
    sentences: list[str]
    notes: list[str] = []


class GateEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of a registered version as predictions. ``content`` becomes the JSON file ``predictions.path``."""

    predictions: LoggedPredictions
    content: dict[str, Any]


class AllGateEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence that an evaluation gives to gates. ``left_out`` says what they do not see, and why."""

    evidence: list[GateEvidence]
    left_out: list[str]


class AnswersReport(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation with its results; None until its answers are scored."""

    evaluation: AnswerEvaluation
    report: ScoresReport | None


class KernelEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation that a kernel on another host asked for. ``id`` is that of the request.

    ``evaluation`` and ``task`` are empty until the user agrees. ``report`` comes with the end of the task.
    """

    id: str
    evaluation: str = ""
    task: Task | None = None
    report: AnswersReport | None = None


class AnswersQuery(PageQuery, frozen=True, kw_only=True):
    """The answers of an evaluation by row. ``against``: another evaluation, whose answers to the same row stand beside.

    ``only``: failed (no answer), differing (scores of a row differ), or all. ``example``: the one row with this id.
    """

    against: str = ""
    example: str = ""
    only: Literal["all", "failed", "differing"] = "all"


class ShownScore(msgspec.Struct, frozen=True, kw_only=True):
    """A score of an answer. ``value`` is None for one that was not scored; ``reason`` says why."""

    scorer: str
    value: float | None
    reason: str = ""


class ShownAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a row: that of ``model`` in ``evaluation``, the ``repeat``-th from 0.

    ``failure`` says why there is none.
    """

    evaluation: str
    model: str
    repeat: int
    text: str = ""
    failure: str = ""
    message: str = ""
    latency_s: float = 0.0
    tries: int = 1
    finish_reason: str = ""
    usage: Usage = Usage()
    joined: bool = False
    trace_id: str = ""
    scores: list[ShownScore] = []


class AnsweredRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the data with its answers. ``pictures``: files of the row by column, where one example is asked for."""

    example: str
    row: dict[str, Any]
    answers: list[ShownAnswer]
    pictures: dict[str, Picture] = {}


class ExamplesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The examples of an evaluation by the scores of ``scorer``. ``models``: names with commas between; empty: all.

    ``against``: another evaluation of the same rows, whose ``against_model`` stands first.
    """

    scorer: str
    models: str = ""
    against: str = ""
    against_model: str = ""


class ExampleResult(msgspec.Struct, frozen=True, kw_only=True):
    """The answers of a model to an example. ``value`` is the mean of their scores; None if none was scored."""

    value: float | None
    answered: int = 0
    failed: int = 0
    not_scored: int = 0


class ExampleLine(msgspec.Struct, frozen=True, kw_only=True):
    """An example in a list. ``asked`` is the begin of the last message; ``results`` are in the order of the models."""

    example: str
    asked: str
    results: list[ExampleResult]


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """The examples in the order of the data. ``left_out``: how many more there are.

    ``models`` are those of the results; with ``against`` of the query the first one is of that evaluation.
    """

    models: list[str]
    examples: list[ExampleLine]
    left_out: int = 0
