"""Wire types of evaluations. Times in seconds since 1970, latencies in seconds for one row."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from genops_lab.core.models import Task as RunningTask
from genops_lab.core.paging import PageQuery

Task = Literal["classification", "regression"]
How = Literal["evaluate", "logged"]
Better = Literal["higher", "lower"]
#: better, worse: the difference is shown at 95 %; within chance: it is not.
DifferenceVerdict = Literal["better", "worse", "within chance"]


class NewEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Evaluate a version (a number, an alias, or empty for the newest) and the version that it is compared with.

    - data: a file on the Lab's machine, or ``NAME@DIGEST`` or ``NAME`` (its newest digest) of a data set that MLflow
      knows. A file is an absolute path, or one below the Jupyter server's folder. A digest may be a unique prefix.
    - against: a version or an alias; None: the alias ``champion`` if the model has it; empty: none.
    - name: the name of a data set that is given as a file; empty: the file's name.
    - id, label, groups: columns. Empty: as in the last evaluation on this data, else ``id`` or row numbers, and
      ``label`` or ``target``.
    - batch_rows: rows that a model gets in one call.
    - trust: the digests of files of an unknown origin that may be loaded.
    - on: the connected target on whose host the models run; empty: this machine.
    """

    model: str
    version: str = ""
    data: str
    against: str | None = None
    on: str = ""
    name: str = ""
    id: str = ""
    label: str = ""
    groups: list[str] = []
    task: Literal["", "classification", "regression"] = ""
    batch_rows: int = 256
    trust: list[str] = []


class BegunEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A begun evaluation. Its runs in MLflow have ``task.id`` as their session."""

    task: RunningTask
    model: str
    version: str
    against: str


class LoggedPredictions(msgspec.Struct, frozen=True, kw_only=True):
    """Keep predictions that a person computed, as an evaluation of a version.

    ``path`` is a JSON file on the Lab's machine with the lists ids, labels, predictions, latency_s, and the objects
    scores and groups (lists by class and by name). ``data`` as in :class:`NewEvaluation`; ``digest`` and ``source`` are
    those of the fingerprint of data that only the caller can read. Predictions with the same ``key`` are kept once.
    ``place``: the target of the kernel that computed them; empty: this machine.
    """

    path: str
    model: str
    version: str = ""
    data: str
    digest: str = ""
    source: str = ""
    source_type: str = ""
    key: str = ""
    place: str = ""
    against: str | None = None
    task: Literal["", "classification", "regression"] = ""


class MetricEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """A metric with its 95 % interval. ``reason`` says why there is no interval. ``rows`` were used."""

    value: float | None
    low: float | None = None
    high: float | None = None
    rows: int = 0
    left_out: int = 0
    reason: str = ""


class MetricDifference(msgspec.Struct, frozen=True, kw_only=True):
    """Candidate less champion on the same rows, with its 95 % interval.

    ``more`` rows would show a true difference of this size; None if it is shown, or if that is unknown.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    p: float
    verdict: DifferenceVerdict
    method: str
    rows: int
    more: int | None = None


class JudgedMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of both versions. ``group`` and ``value`` are empty for all rows, else name a slice."""

    metric: str
    better: Better
    group: str = ""
    value: str = ""
    candidate: MetricEstimate
    champion: MetricEstimate | None = None
    difference: MetricDifference | None = None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation of one version on one data set: a run of MLflow.

    ``place`` is the target whose host predicted; empty for the Lab's machine.
    """

    run_id: str
    model: str
    version: str
    data: str
    digest: str
    session: str
    made_at: float | None = None
    how: How = "evaluate"
    place: str = ""
    metrics: dict[str, float] = {}


class EvaluationReport(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation beside the one that it is compared with.

    ``judged`` counts the versions that this data set has judged. ``notes`` are sentences: rows without a label or a
    prediction, ids that only one version has, what ``judged`` means.
    """

    evaluation: Evaluation
    against: Evaluation | None = None
    task: Task
    rows: int
    metrics: list[JudgedMetric]
    groups: list[JudgedMetric] = []
    judged: int = 0
    notes: list[str] = []


class ReportQuery(msgspec.Struct, frozen=True, kw_only=True):
    """``against``: the run of another evaluation on the same data. None: as it was evaluated; empty: none."""

    against: str | None = None


class EvaluationsQuery(PageQuery, frozen=True, kw_only=True):
    """A page of evaluations, newest first, of a model, a version, a data set's digest, or a session."""

    model: str = ""
    version: str = ""
    digest: str = ""
    session: str = ""


class DataSet(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that are evaluated: ``rows.parquet`` for the models and ``roles.parquet`` for the record.

    ``source`` and ``profile`` are those of MLflow's dataset. ``kept`` is the run that has the file; empty: none.
    """

    name: str
    digest: str
    source_type: str
    source: str
    profile: dict[str, Any] = {}
    file: str = ""
    kept: str = ""
    rows: int = 0
    id: str = ""
    label: str = ""
    groups: list[str] = []
