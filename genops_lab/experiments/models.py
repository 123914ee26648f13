"""Define the wire types of the experiments feature. Times in seconds since 1970."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from genops_lab.core.paging import Limit, PageQuery

#: The progress of a tracked run: see :class:`TrackedRun`.
OPEN, ENDED, FAILED = "open", "ended", "failed"
RunStatus = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """An MLflow experiment."""

    id: str
    name: str
    created_at: float | None = None
    updated_at: float | None = None


class NewExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment to add."""

    name: str


class ExperimentRef(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment, by its name or id."""

    experiment: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """An MLflow run with its latest metrics (None: NaN or infinite); ``tags`` are the user's own (no
    ``mlflow.*``).
    """

    run_id: str
    experiment_id: str
    experiment: str
    name: str
    status: RunStatus
    started_at: float | None = None
    ended_at: float | None = None
    user: str = ""
    params: dict[str, str] = {}
    metrics: dict[str, float | None] = {}
    tags: dict[str, str] = {}
    source: str = ""
    git_commit: str = ""
    git_dirty: bool = False


class RunQuery(PageQuery, frozen=True, kw_only=True):
    """A query for runs; ``experiment`` is a name or an id, ``filter`` an MLflow filter string."""

    experiment: str = ""
    filter: str = ""
    limit: Limit = 50


class FormerRunQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The former query for runs, before all pages had one form."""

    experiment: str = ""
    filter: str = ""
    limit: int = 50
    page_token: str = ""


class FormerRunPage(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to the former query: runs, newest first."""

    runs: list[Run]
    next_page_token: str = ""


class LoggedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a run logged and that can be registered."""

    name: str
    uri: str
    flavors: list[str] = []


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder among a run's artifacts."""

    path: str
    is_dir: bool
    size_bytes: int | None = None


class LatestMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric's latest value (None: NaN or infinite), its step, and its time in seconds since 1970."""

    key: str
    value: float | None
    step: int
    at: float


class LatestMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The latest values of a run's metrics, by name.

    ``stalled_s``: seconds for which the running run has logged no metric of its own, if that is long.
    """

    metrics: list[LatestMetric]
    stalled_s: float | None = None


class RelatedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A parent or child of a run."""

    run_id: str
    name: str
    status: RunStatus


class RunDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A run with its products, its parent, and at most 100 of its children, the oldest first.

    ``more_children``: there are more. ``output``: printed output is kept. ``note``: Markdown.
    """

    run: Run
    models: list[LoggedModel]
    artifacts: list[Artifact]
    latest: list[LatestMetric] = []
    parent: RelatedRun | None = None
    children: list[RelatedRun] = []
    more_children: bool = False
    output: bool = False
    note: str = ""


class OutputText(msgspec.Struct, frozen=True, kw_only=True):
    """The beginning and the end of a run's output on one stream (``stdout``, ``stderr``).

    ``session`` names a later session of a continued run; it is empty for the first one.
    """

    path: str
    stream: str
    session: str
    text: str


class RunOutput(msgspec.Struct, frozen=True, kw_only=True):
    """The printed output of a run, by session."""

    run_id: str
    texts: list[OutputText]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The history of one metric, ordered by step: arrays of equal length."""

    key: str
    steps: list[int]
    values: list[float | None]
    timestamps: list[float]


class RunMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """All histories of a run, at most 2,000 points each; ``system`` metrics (``system/...``) are separate."""

    run_id: str
    series: list[Series]
    system: list[Series]


class MetricsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Only points after this step, for a chart that has the rest; -1 for all."""

    after_step: int = -1


class TrackedProcess(msgspec.Struct, frozen=True, kw_only=True):
    """The sender: if this process ends before its run does, the run failed. ``created`` is its start time.

    ``place`` is the target on whose host it runs (and whose pids count), empty for this machine.
    """

    pid: int
    created: float | None = None
    kernel_id: str = ""
    notebook: str = ""
    place: str = ""


class TrackingEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run, in the order of ``seq`` (1, 2, ...; the first is ``start``).

    ``kind`` and its ``data``:

    - ``start`` {name, experiment, tags, params, parent?, resume?}; ``parent`` is the key of the parent run, and
      ``resume`` {run_id, run_key} of the run to continue
    - ``params`` {key: value}; ``tags`` {key: value}
    - ``metrics`` {values: {key: number}, step, timestamp}
    - ``text`` {path, content}; ``file`` {path, source}
    - ``dataset`` {name, digest, source_type, source, schema, profile, context}
    - ``media`` {type, name, step, series, index, ...} (:mod:`.backends.media`)
    - ``model`` {name, digest, run_id} of a model that this process logged
    - ``end`` {status}
    """

    seq: int
    kind: Literal["start", "params", "metrics", "tags", "text", "file", "dataset", "media", "model", "end"]
    timestamp: float
    data: dict[str, Any]


class TrackingBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Events of one run from its kernel's spool; sending some of them again does no harm."""

    run_key: str
    process: TrackedProcess
    events: list[TrackingEvent]


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A run that exists in MLflow."""

    run_id: str
    experiment_id: str
    name: str


class MetricPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a metric, for the live chart. ``timestamp`` in seconds since 1970."""

    key: str
    step: int
    value: float | None
    timestamp: float


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """The written points, the run's final status (empty: it is running), and notes on changed or refused
    values.
    """

    points: list[MetricPoint]
    ended: str
    notes: list[str]


class TrackingAck(Started, frozen=True, kw_only=True):
    """The last event up to which the run is safe in MLflow."""

    acked_seq: int
    tracking_uri: str


class TrackedRun(Started, frozen=True, kw_only=True):
    """A run whose events come through the Lab."""

    run_key: str
    state: str
    acked_seq: int
    process: TrackedProcess


class OwnModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a process of this user logged: ``digest`` is that of its files, 64 hexadecimal digits."""

    name: str
    digest: str
    run_id: str = ""


class ResumeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The run that a process wants to continue: an id, its beginning, ``latest`` or a name."""

    run: str
    process: TrackedProcess


class ResumableRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that can be continued, and its next steps: of logged metrics, of the machine's load, and of
    optimizers.
    """

    run_id: str
    name: str
    experiment: str
    next_step: int
    next_system_step: int
    next_auto_step: int


class KernelTracking(msgspec.Struct, frozen=True, kw_only=True):
    """How a kernel's own ``mlflow.*`` calls reach the same store; only the supervised server has a token.

    ``artifact_root`` is for a kernel that opens the embedded file itself. It is the value of
    ``_MLFLOW_SERVER_ARTIFACT_ROOT``, without which mlflow makes ``mlruns`` in the working folder.
    """

    tracking_uri: str
    token: str = ""
    artifact_root: str = ""


class MlflowUi(msgspec.Struct, frozen=True, kw_only=True):
    """The address of MLflow's own pages; ``this_machine``: it has a key and works only in a browser on the
    Lab's machine.
    """

    url: str
    this_machine: bool


class KernelTrackingQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The version of mlflow in the kernel's environment; empty without mlflow."""

    mlflow_version: str = ""
