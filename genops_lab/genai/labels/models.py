"""Wire types of labels. Times in seconds since 1970."""

from __future__ import annotations

import msgspec

from genops_lab.genai.evaluations.models import ScoreEstimate
from genops_lab.genai.traces.pictures import Picture


class NewLabelQueue(msgspec.Struct, frozen=True, kw_only=True):
    """Begin to label answers of an evaluation.

    - evaluation: its id.
    - rows: how many rows are chosen at random. All models' answers to a chosen row are labelled.
    - judge: the name of a scorer whose scale the choices are; its marks are compared with the labels.
    - question, choices: without a judge; 2 to 9 choices, the worst first. MLflow shows both to reviewers.
    - failures: the name of a scorer. Then answers that it gives less than 1 are chosen, to note why they fail.
    - pairs: people say which of two answers is better: each model's, or the first model's to the same row. A pairwise
      judge asks for pairs too.
    """

    evaluation: str
    rows: int = 50
    judge: str = ""
    question: str = ""
    choices: list[str] = []
    instruction: str = ""
    failures: str = ""
    pairs: bool = False


class MoreLabels(msgspec.Struct, frozen=True, kw_only=True):
    """Add answers that were not chosen at random: the ``rows`` on which scorers disagree most."""

    rows: int = 20


class LabelQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """The question of a queue. ``choices``: the worst first; empty for a question that is answered by a text.

    - truth: MLflow keeps the label as true (the second choice) or false.
    - pairs: the question is about two answers, in an order that is drawn for each rater.
    """

    name: str
    choices: list[str] = []
    instruction: str = ""
    truth: bool = False
    pairs: bool = False


class LabelQueue(msgspec.Struct, frozen=True, kw_only=True):
    """A review queue of MLflow.

    - evaluation: whose answers it has; empty for traces of another origin.
    - question: None where GenOps Lab cannot ask it; ``problem`` says why.
    - items, labelled: answers in it, and those that anybody labelled.
    """

    id: str
    name: str
    experiment: str
    created_at: float
    items: int
    labelled: int
    evaluation: str = ""
    question: LabelQuestion | None = None
    problem: str = ""


class RaterQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Who labels. Empty: the user of this JupyterLab."""

    rater: str = ""


class LabelItem(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of a queue. ``label`` and ``note`` are the rater's own; empty: none yet.

    ``random``: the answer was chosen at random. ``outdated``: the label is none of today's choices.
    """

    trace_id: str
    random: bool
    label: str = ""
    note: str = ""
    outdated: bool = False


class LabelItems(msgspec.Struct, frozen=True, kw_only=True):
    """All answers of a queue in the order of one rater: those chosen at random first, in an order of the rater's own.

    After them come answers on which people or judges disagree.
    """

    queue: LabelQueue
    rater: str
    items: list[LabelItem]


class LabelTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn of the question to the model."""

    role: str
    text: str
    pictures: list[Picture] = []


class LabelContent(msgspec.Struct, frozen=True, kw_only=True):
    """The content of an answer for a rater: neither the model nor a mark is in it.

    - expected: values to compare with, by name.
    - other: the second answer of a pair, whose first is ``answer``.
    """

    trace_id: str
    turns: list[LabelTurn]
    answer: str
    expected: dict[str, str] = {}
    other: str | None = None


class NewLabel(msgspec.Struct, frozen=True, kw_only=True):
    """A label: one of the question's choices, or a text. ``note``: why."""

    label: str
    note: str = ""
    rater: str = ""


class RaterLabels(msgspec.Struct, frozen=True, kw_only=True):
    """How many answers a rater labelled."""

    rater: str
    labels: int


class JudgeAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """A scorer's marks beside people's labels, on answers that were chosen at random.

    - kappa: agreement beyond chance. rate: the share of equal marks. base_rate: the share of the most common label.
    - calibrated: whether the marks may decide anything; None for a scorer that asks no model.
    - criterion: that of a rubric, which an alignment can write again.
    - not_marked: labelled answers without a mark, such as where a judge refused.
    """

    scorer: str
    kappa: ScoreEstimate
    rate: float | None = None
    base_rate: float | None = None
    calibrated: bool | None = None
    verdict: str = ""
    criterion: str = ""
    not_marked: int = 0


class CorrectedMean(msgspec.Struct, frozen=True, kw_only=True):
    """The mean label of all answers of a model, from labels of a part and a judge's marks of all.

    With ``against`` it is the difference to this model, on rows that both answered.
    """

    scorer: str
    model: str
    judged: float | None
    corrected: ScoreEstimate
    against: str = ""


class LabelReport(msgspec.Struct, frozen=True, kw_only=True):
    """The results of the labels of a queue.

    - between: agreement of raters on answers with two labels or more.
    - is_newer: the report of the evaluation does not have these labels yet.
    """

    queue: LabelQueue
    raters: list[RaterLabels]
    between: ScoreEstimate
    judges: list[JudgeAgreement] = []
    corrected: list[CorrectedMean] = []
    notes: list[str] = []
    is_newer: bool = False


class FailureMode(msgspec.Struct, frozen=True, kw_only=True):
    """A named way to fail, an issue of MLflow. ``share``: of the answers that were read.

    ``rubric``: a YAML file with a scorer for it; its judge is called JUDGE.
    """

    id: str
    name: str
    description: str
    trace_ids: list[str]
    share: ScoreEstimate
    rubric: str


class NoteGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Notes that may be one failure mode. A person decides.

    - words: that the notes have in common; empty for a group of a model or of embeddings.
    - name, description: those that a model suggests.
    """

    words: list[str]
    notes: list[str]
    trace_ids: list[str]
    name: str = ""
    description: str = ""


class NotedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with what people noted about it."""

    trace_id: str
    note: str


class FailureModes(msgspec.Struct, frozen=True, kw_only=True):
    """The failure modes of a queue, the most common first. ``read``: answers with a note, which are ``answers``.

    ``suggested``: groups of the notes that have no failure mode yet.
    """

    read: int
    modes: list[FailureMode]
    suggested: list[NoteGroup] = []
    answers: list[NotedAnswer] = []


class NewFailureMode(msgspec.Struct, frozen=True, kw_only=True):
    """Name a way to fail, and answers that fail so. Answers are added to a mode of the same name."""

    name: str
    description: str = ""
    trace_ids: list[str] = []


class FailureModeText(msgspec.Struct, frozen=True, kw_only=True):
    """Another name and description of a failure mode."""

    name: str
    description: str


class ChosenFailureMode(msgspec.Struct, frozen=True, kw_only=True):
    """The one failure mode that an answer has from now on, by its name. Empty: none."""

    name: str = ""


class FailureRows(msgspec.Struct, frozen=True, kw_only=True):
    """The MLflow data set that gets the answers of a failure mode. Empty: the one with the mode's name."""

    dataset: str = ""


class SuggestedBy(msgspec.Struct, frozen=True, kw_only=True):
    """A model of the list of endpoints suggests groups of notes, or ``embeddings`` do.

    ``embeddings``: a model of sentence-transformers, a folder or a name. A name may be downloaded.
    """

    endpoint: str = ""
    embeddings: str = ""
