"""Wire types of load tests and of single requests from the panel. Rates in requests a second, times in milliseconds."""

from __future__ import annotations

from typing import Any

import msgspec


class DeploymentInput(msgspec.Struct, frozen=True, kw_only=True):
    """A column or tensor of a model's input or output.

    ``datatype`` is that of the Open Inference Protocol. -1 in ``shape`` is any size.
    """

    name: str
    datatype: str
    shape: list[int]


class DeploymentInterface(msgspec.Struct, frozen=True, kw_only=True):
    """Describe the input and output of the current revision of a deployment.

    ``kind`` is ``columns``, ``tensors``, or ``unknown`` for a model without a signature; ``chat`` or ``embeddings`` for
    a language model; ``command`` for a command. ``params`` are the defaults of the parameters. ``path`` is where
    requests go first. ``example`` is a body for it as JSON, such as the one that was logged with the model; else empty.
    """

    name: str
    version: str
    kind: str = "unknown"
    inputs: list[DeploymentInput] = []
    outputs: list[DeploymentInput] = []
    params: dict[str, Any] = {}
    example: str = ""
    path: str = "/invocations"


class TryRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to a deployment: a ``body`` of ``content_type`` for the path below its URL."""

    body: str
    path: str = "/invocations"
    content_type: str = "application/json"


class TryAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a deployment. ``revision`` is 0 if no revision answered, but the gateway did.

    ``retry_after_s`` is above 0 if the answer says when to try again.
    """

    status: int
    body: str
    content_type: str
    ms: float
    revision: int = 0
    request_id: str = ""
    retry_after_s: int = 0


class NewLoadTest(msgspec.Struct, frozen=True, kw_only=True):
    """Send requests whose rate grows from ``first_rate`` to ``last_rate`` within ``seconds``.

    An answer is in time if it came within ``limit_ms`` of the moment at which its request was due. ``requests`` are
    bodies for ``path`` (empty: where such a deployment is asked first), sent in turn. ``recorded`` takes them from the
    recording. Without both, the input example of the model is sent. ``source`` names their file.
    """

    first_rate: float = 10.0
    last_rate: float = 200.0
    seconds: float = 30.0
    limit_ms: float = 200.0
    requests: list[str] = []
    source: str = ""
    path: str = ""
    recorded: bool = False


class NewRecording(msgspec.Struct, frozen=True, kw_only=True):
    """Record the next ``requests`` of a deployment: those with JSON bodies, to the path of the first."""

    requests: int = 200


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """How many ``requests`` of those ``wanted`` are recorded, and for how long they are kept.

    ``full`` is true if no more are recorded: all came, or they have 2 MiB.
    """

    wanted: int
    requests: int
    full: bool
    path: str
    left_s: int


class LoadStep(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a load test at one ``rate``. ``goodput`` is the rate of answers in time.

    Latencies count from when a request was due, so a queue before the model counts. ``first_`` and ``between_`` are the
    times to the first event of a streamed answer and between events. ``late_ms`` is how late the client
    itself sent (99 of 100 requests).
    """

    rate: float
    seconds: float
    sent: int
    answered: int
    failed: int
    in_time: int
    goodput: float
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    first_p50_ms: float | None = None
    first_p95_ms: float | None = None
    first_p99_ms: float | None = None
    between_p50_ms: float | None = None
    between_p95_ms: float | None = None
    between_p99_ms: float | None = None
    late_ms: float = 0.0


class LoadFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of failure and how often it happened."""

    what: str
    count: int


class LoadFigures(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a load test.

    ``knee`` is the highest rate up to which 99 of 100 requests were answered in time; None if there is none.
    ``stopped`` says that the test ended early, because half of the answers were late.
    ``client_late_ms`` is above 0 if the client could not keep its schedule, so that the latencies are too high.
    """

    steps: list[LoadStep]
    knee: float | None = None
    stopped: bool = False
    client_late_ms: float = 0.0
    failures: list[LoadFailure] = []


class LoadTest(msgspec.Struct, frozen=True, kw_only=True):
    """A load test that has ended. ``before`` is the id of the one to compare it with; empty without one."""

    id: str
    deployment: str
    revision: int
    model: str
    version: str
    at: float
    plan: NewLoadTest
    figures: LoadFigures
    before: str = ""
