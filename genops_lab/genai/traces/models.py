"""Define the wire types of traces. Times in seconds since 1970, durations in seconds.

The list of traces has the wire types of the run table (``experiments/columns/models.py``); a row's id is a trace's.
Inputs, outputs and attributes are in :class:`SpanContent` alone, because reading them is an action of its own.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from genops_lab.deployments.tracing_settings import Traced

from .pictures import Picture

SpanStatus = Literal["ok", "error", "unset", "running"]
TraceStatus = Literal["OK", "ERROR", "IN_PROGRESS", "STATE_UNSPECIFIED"]
AssessmentKind = Literal["feedback", "expectation", "issue"]
#: Where a cost comes from: MLflow's record, the price of an endpoint of the user, or nowhere (unknown).
CostSource = Literal["mlflow", "price", ""]


class Tokens(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Tokens of calls; None is unknown, and never zero. ``input`` includes ``cached_input``."""

    input: int | None = None
    output: int | None = None
    cached_input: int | None = None
    reasoning: int | None = None


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict of a person, a judge or code on a trace or one span of it.

    ``value`` is JSON, such as ``true`` or ``"yes"``. ``source`` is MLflow's kind: HUMAN, LLM_JUDGE or CODE. ``error``:
    why a judge gave no value.
    """

    assessment_id: str
    name: str
    kind: AssessmentKind
    value: str
    source: str
    source_id: str = ""
    span_id: str = ""
    rationale: str = ""
    error: str = ""
    at: float | None = None


class Span(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A span at its place in the tree, without what it was asked and what it answered.

    ``start`` counts from the trace's first span. ``duration`` None: the span never ended. ``cost`` in USD, None is
    unknown. ``tokens`` are the span's own. ``problem`` says why a span does not stand where its parent says.
    """

    span_id: str
    parent_id: str = ""
    depth: int = 0
    children: int = 0
    name: str
    kind: str = "UNKNOWN"
    status: SpanStatus
    message: str = ""
    start: float
    duration: float | None = None
    model: str = ""
    provider: str = ""
    tokens: Tokens | None = None
    cost: float | None = None
    cost_source: CostSource = ""
    content_bytes: int = 0
    problem: str = ""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace: its spans depth first, children by start. ``spans_total`` may be more than ``spans``.

    ``tokens`` and ``cost`` are of the whole trace. ``cost_is_partial``: spans with tokens have no known price.
    ``run_id``, ``notebook`` and ``cell`` say where the trace was made, if that is known. ``problems`` are whole
    sentences: spans without an end, parents in a circle, a missing root. ``caller_trace``: the trace of the
    application that called the deployment of this one, if MLflow has it.
    """

    trace_id: str
    name: str
    status: TraceStatus
    experiment_id: str
    experiment: str = ""
    started_at: float | None = None
    duration: float | None = None
    session: str = ""
    user: str = ""
    run_id: str = ""
    notebook: str = ""
    cell: str = ""
    model_id: str = ""
    source: str = ""
    tokens: Tokens | None = None
    cost: float | None = None
    cost_source: CostSource = ""
    cost_is_partial: bool = False
    caller_trace: str = ""
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    assessments: list[Assessment] = []
    spans: list[Span] = []
    spans_total: int = 0
    problems: list[str] = []


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning of a text of ``characters`` characters. ``is_json``: the whole text is JSON, here indented."""

    text: str
    characters: int
    is_cut: bool = False
    is_json: bool = False


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute of a span."""

    name: str
    value: Text


class ToolCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a tool that a model asked for. ``arguments`` as the model wrote them, JSON or not."""

    name: str
    arguments: Text
    call_id: str = ""


class ChatTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn of a chat. ``is_answer``: the span's model wrote it. ``call_id``: of the tool call that it answers."""

    role: str
    text: Text
    is_answer: bool = False
    call_id: str = ""
    tool_calls: list[ToolCall] = []
    pictures: list[Picture] = []


class RetrievedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """A document that a retriever found. ``score`` as the retriever gave it, None without one."""

    text: Text
    source: str = ""
    score: float | None = None
    metadata: Text | None = None


class SpanEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a span, such as an exception. ``at`` counts from the trace's first span."""

    name: str
    at: float
    attributes: list[Attribute] = []


class SpanContent(msgspec.Struct, frozen=True, kw_only=True):
    """The inputs and outputs of a span.

    ``turns`` are empty unless the span is a chat that is understood, ``documents`` unless it is a retriever. ``inputs``
    and ``outputs`` are there in each case, None without any.
    """

    trace_id: str
    span_id: str
    inputs: Text | None = None
    outputs: Text | None = None
    turns: list[ChatTurn] = []
    documents: list[RetrievedDocument] = []
    attributes: list[Attribute] = []
    events: list[SpanEvent] = []


class SessionQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The session to show; ``experiment`` (a name or an id) leaves out traces of others that use the same session id.

    ``characters`` of each text are returned, at most 200,000.
    """

    session: str
    experiment: str = ""
    characters: int = 5_000


class SessionTrace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace of a session. ``turns``: what its user said since the last answer, and the answer.

    ``cost`` in USD, None is unknown. ``problem`` says why there are no turns.
    """

    trace_id: str
    name: str = ""
    status: TraceStatus
    experiment: str = ""
    started_at: float | None = None
    duration: float | None = None
    tokens: Tokens | None = None
    cost: float | None = None
    turns: list[ChatTurn] = []
    problem: str = ""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """The traces of a session in order: the last ones of ``traces_total``.

    All other figures are of all its traces. ``tokens`` and ``cost`` are sums of what is known; ``cost_is_partial``:
    a trace with tokens has no known cost. ``experiments`` are the names of its traces' experiments.
    """

    session: str
    traces: list[SessionTrace]
    traces_total: int
    failed: int
    started_at: float | None = None
    ended_at: float | None = None
    tokens: Tokens | None = None
    cost: float | None = None
    cost_is_partial: bool = False
    experiments: list[str] = []


class ContentQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``characters`` of each text, 20,000 unless more are asked for, at most 5,000,000."""

    characters: int = 20_000


class SpanPair(msgspec.Struct, frozen=True, kw_only=True):
    """A span of the first trace beside its match in the second; None: only the other trace has it.

    ``same_content``: whether inputs and outputs are equal; None unless both spans have some.
    """

    first: Span | None = None
    second: Span | None = None
    depth: int = 0
    same_content: bool | None = None


class TraceComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two traces side by side, without their spans, and their spans in pairs, depth first."""

    first: Trace
    second: Trace
    pairs: list[SpanPair]


class TwoTraces(msgspec.Struct, frozen=True, kw_only=True):
    """Two traces to compare, by id, unique prefix of an id, or ``latest``."""

    first: str
    second: str


class NewRows(msgspec.Struct, frozen=True, kw_only=True):
    """Traces (1 to 200) that become rows of the MLflow data set ``dataset``, which is made if it does not exist.

    A row has the inputs of the trace's first span, and the expectations that people gave. ``with_answer`` adds the
    answer as the expectation ``expected_response``. A new data set belongs to the experiment of the first trace.
    """

    trace_ids: list[str]
    dataset: str
    with_answer: bool = False


class AddedRows(msgspec.Struct, frozen=True, kw_only=True):
    """The data set, how many rows came to it, and how many were there before with the same inputs."""

    dataset: str
    dataset_id: str
    rows: int
    added: int
    updated: int


class TailQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Traces that match ``query`` and begin after the question; the answer ends after ``seconds``."""

    query: str = ""
    seconds: float = 0


class TailedTrace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace that has landed; its status may still be IN_PROGRESS."""

    trace_id: str
    name: str = ""
    status: str = ""
    started_at: float | None = None
    duration: float | None = None
    tokens: float | None = None
    cost: float | None = None
    session: str = ""
    request: str = ""
    response: str = ""


class TracesTaken(msgspec.Struct, frozen=True, kw_only=True):
    """Spans that came by OTLP and are kept in MLflow."""

    spans: int
    traces: int


class NewDeploymentTraces(Traced, frozen=True, kw_only=True):
    """Make traces of a sample of a deployment's requests."""


class DeploymentTraces(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests of a deployment become traces. ``kept`` counts since JupyterLab began, ``lost`` since the start.

    ``redaction`` is off, secrets or personal. ``problem`` says why traces wait.
    """

    name: str
    on: bool
    sample: float = 0.0
    experiment: str = ""
    kept: int = 0
    lost: int = 0
    redaction: str = ""
    problem: str = ""
