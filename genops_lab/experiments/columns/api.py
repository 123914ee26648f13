"""Read runs through MLflow's API, over HTTP with msgspec or through MlflowClient.

The API does not report changes, so :class:`ApiSource` reads the runs again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from genops_lab.core.errors import NotFound, Unavailable
from genops_lab.experiments.backends.client import all_pages, mlflow_errors, open_client

from .changes import Changes, ExperimentRow, RunRow
from .narrowing import Narrowed, Part, experiments_of, spelled
from .snapshot import Snapshot
from .source import FullReadNeeded, SourceKind

A = TypeVar("A")

PAGE = 1000
NEWEST_FIRST = "attributes.start_time DESC"
_ENDED_LAST = "attributes.end_time DESC"
_RUNNING = "attributes.status = 'RUNNING'"
_RUNNING_AT_MOST = 200
_RECENT = 25
_ONE_BY_ONE = 50
#: MLflow's largest page.
_POINTS = 25_000


class Experiment(msgspec.Struct, frozen=True):
    """An experiment in the API's form."""

    experiment_id: str
    name: str
    lifecycle_stage: str = "active"
    artifact_location: str = ""
    creation_time: int | None = None


class _Info(msgspec.Struct):
    experiment_id: str
    status: str
    run_id: str
    run_name: str | None = None
    user_id: str | None = None
    start_time: int | None = None
    end_time: int | None = None
    artifact_uri: str | None = None
    lifecycle_stage: str = "active"


class _Metric(msgspec.Struct):
    key: str
    value: float | str = 0.0
    timestamp: int = 0
    step: int = 0


class _Text(msgspec.Struct):
    key: str
    value: str = ""


class _Data(msgspec.Struct):
    metrics: list[_Metric] = []
    params: list[_Text] = []
    tags: list[_Text] = []


class Run(msgspec.Struct):
    """A run in the API's form."""

    info: _Info
    data: _Data = msgspec.field(default_factory=_Data)


class Page(msgspec.Struct):
    """Runs, and the token of the next page, empty at the end."""

    runs: list[Run] = []
    next_page_token: str = ""


class _Experiments(msgspec.Struct):
    experiments: list[Experiment] = []
    next_page_token: str = ""


class _OneRun(msgspec.Struct):
    run: Run


class _History(msgspec.Struct):
    metrics: list[_Metric] = []
    next_page_token: str = ""


class Latest(NamedTuple):
    """The state of a metric's history: whether it changed, when its run began (ms), whether the run is
    running.

    ``point`` is None if the run has no such metric.
    """

    point: tuple[float, float, float] | None
    start: int | None
    running: bool


class Api(Protocol):
    """Requests to MLflow. Raises NotFound, Unavailable and other GenOpsErrors."""

    def experiments(self) -> list[Experiment]:
        """Return all experiments, deleted ones included."""

    def search(self, experiments: list[str], where: str, order: str, limit: int, token: str = "") -> Page:
        """Return runs, deleted ones included."""

    def get(self, run_id: str) -> Run:
        """Return one run."""

    def latest(self, run_id: str, key: str) -> Latest:
        """Return the state of a metric."""

    def history(self, run_id: str, key: str) -> list[tuple[float, float, float]]:
        """Return all points of a metric: step, milliseconds, value."""


class HttpApi:
    """Uses mlflow's own requests, so its credentials, certificates and plugins apply.

    mlflow's entities are not made: they take longer than the server's answer.
    """

    def __init__(self, tracking_uri: str) -> None:
        from mlflow.utils import credentials

        mlflow: Any = credentials
        with mlflow_errors("MLflow could not be opened"):
            self._host = mlflow.get_default_host_creds(tracking_uri)

    def experiments(self) -> list[Experiment]:
        found: list[Experiment] = []
        token = ""
        while True:
            asked = {"max_results": PAGE, "view_type": "ALL", "page_token": token}
            page = self._ask("experiments/search", "POST", _Experiments, json=asked)
            found += page.experiments
            token = page.next_page_token
            if not token:
                return found

    def search(self, experiments: list[str], where: str, order: str, limit: int, token: str = "") -> Page:
        asked = {
            "experiment_ids": experiments,
            "filter": where,
            "run_view_type": "ALL",
            "max_results": limit,
            "order_by": [order],
            "page_token": token,
        }
        return self._ask("runs/search", "POST", Page, json=asked)

    def get(self, run_id: str) -> Run:
        return self._ask("runs/get", "GET", _OneRun, params={"run_id": run_id}).run

    def latest(self, run_id: str, key: str) -> Latest:
        run = self.get(run_id)
        points = [_point(each) for each in run.data.metrics if each.key == key]
        return Latest(points[0] if points else None, run.info.start_time, run.info.status == "RUNNING")

    def history(self, run_id: str, key: str) -> list[tuple[float, float, float]]:
        found: list[tuple[float, float, float]] = []
        asked: dict[str, Any] = {"run_id": run_id, "metric_key": key, "max_results": _POINTS}
        while True:
            page = self._ask("metrics/get-history", "GET", _History, params=asked)
            found += map(_point, page.metrics)
            if not page.next_page_token:
                return found
            asked["page_token"] = page.next_page_token

    def _ask(self, path: str, method: str, answer: type[A], **given: Any) -> A:
        from mlflow.utils import rest_utils

        mlflow: Any = rest_utils
        endpoint = f"/api/2.0/mlflow/{path}"
        with mlflow_errors("The runs could not be read"):
            response = mlflow.http_request(host_creds=self._host, endpoint=endpoint, method=method, **given)
            if response.status_code != 200:  # otherwise the encoding of megabytes would be guessed first
                mlflow.verify_rest_response(response, endpoint)
        try:
            return msgspec.json.decode(_without_bare_nan(response.content), type=answer, strict=False)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unavailable(
                f"The runs could not be read: this address is not an MLflow server ({error}).",
                hint="Check MLflow's address.",
            ) from error


class ClientApi:
    """Uses MlflowClient: any store that mlflow can open."""

    def __init__(self, tracking_uri: str) -> None:
        self._client = open_client(tracking_uri)

    def experiments(self) -> list[Experiment]:
        from mlflow.entities import ViewType

        with mlflow_errors("The experiments could not be listed"):
            found = all_pages(self._client.search_experiments, view_type=ViewType.ALL)
        return [
            Experiment(
                each.experiment_id, each.name, each.lifecycle_stage, each.artifact_location, each.creation_time
            )
            for each in found
        ]  # fmt: skip

    def search(self, experiments: list[str], where: str, order: str, limit: int, token: str = "") -> Page:
        from mlflow.entities import ViewType

        with mlflow_errors("The runs could not be read"):
            page = self._client.search_runs(
                experiments, where, ViewType.ALL, limit, [order], token or None
            )  # fmt: skip
        next_token: Any = page.token or ""  # of a database: bytes
        return Page(
            [_of_entity(run) for run in page],
            next_token.decode() if isinstance(next_token, bytes) else next_token,
        )

    def get(self, run_id: str) -> Run:
        with mlflow_errors(f"Run {run_id} could not be read"):
            return _of_entity(self._client.get_run(run_id))

    def latest(self, run_id: str, key: str) -> Latest:
        # The client gives only the values of the latest metrics; the end of the history has the rest.
        info, points = self.get(run_id).info, self.history(run_id, key)
        last = (float(len(points)), *points[-1][1:]) if points else None
        return Latest(last, info.start_time, info.status == "RUNNING")

    def history(self, run_id: str, key: str) -> list[tuple[float, float, float]]:
        with mlflow_errors(f"The metric {key} of run {run_id} could not be read"):
            points = self._client.get_metric_history(run_id, key)
        return [(point.step, point.timestamp, point.value) for point in points]


def _point(metric: _Metric) -> tuple[float, float, float]:
    return metric.step, metric.timestamp, float(metric.value)


def _of_entity(run: Any) -> Run:
    info = run.info
    return Run(
        _Info(
            info.experiment_id, info.status, info.run_id, info.run_name, info.user_id, info.start_time,
            info.end_time, info.artifact_uri, info.lifecycle_stage,
        ),
        _Data(
            [_Metric(*each) for each in run.data.metrics.items()],
            [_Text(*each) for each in run.data.params.items()],
            [_Text(*each) for each in run.data.tags.items()],
        ),
    )  # fmt: skip


def _without_bare_nan(content: bytes) -> bytes:
    """Replace NaN and Infinity, which older servers write although JSON forbids it."""
    if b": NaN" not in content and b": Infinity" not in content and b": -Infinity" not in content:
        return content
    for bare in (b"NaN", b"Infinity", b"-Infinity"):
        content = content.replace(b'"value": ' + bare, b'"value": "' + bare + b'"')
    return content


def as_experiments(found: Sequence[Experiment]) -> dict[str, ExperimentRow]:
    """Return experiments by id."""
    return {each.experiment_id: ExperimentRow(each.name, each.lifecycle_stage) for each in found}


def as_changes(runs: Sequence[Run]) -> Changes:
    """Return runs in a mirror's form; if a run comes twice, the last one counts."""
    latest = list({run.info.run_id: run for run in runs}.values())
    changes = Changes()
    for run in latest:
        info = run.info
        changes.runs.append(
            RunRow(
                info.run_id, info.run_name or None, info.status, info.start_time or None, info.end_time or None,
                info.lifecycle_stage, info.experiment_id, info.user_id, info.artifact_uri,
            )
        )  # fmt: skip
    changes.metrics.put(
        [(at, each.key, float(each.value)) for at, run in enumerate(latest) for each in run.data.metrics]
    )
    changes.params.put(
        [(at, each.key, each.value) for at, run in enumerate(latest) for each in run.data.params]
    )
    changes.tags.put([(at, each.key, each.value) for at, run in enumerate(latest) for each in run.data.tags])
    return changes


class ApiSource:
    """Reads the hot set with every poll, and one page of a sweep over all runs.

    The hot set has running runs, the latest started and ended ones, and touched ones. All others are at most
    as old as a sweep. ``page`` is for the first reading, ``sweep`` for a sweep: a run of 49 values costs an
    MLflow server about 1.8 ms.
    """

    kind: SourceKind = "api"
    again_s = 0.0
    settled = True

    def __init__(self, api: Api, page: int = 500, sweep: int = 100, every_s: float = 2.0) -> None:
        self._api = api
        self._page = page
        self._sweep = sweep
        self.every_s = every_s
        self.swept_since: float | None = None
        self._experiments: list[Experiment] = []
        self._read_experiments()
        self._identity = self._identify()
        # The running sweep: its start, the next page, the runs known at its start, and the runs it saw.
        self._since = self._read_at
        self._token = ""
        self._known: set[str] | None = None
        self._seen: set[str] = set()
        self._missing: list[str] = []
        self._finished: float | None = None
        #: Runs that are read one by one with each poll.
        self._single: dict[str, None] = {}

    def identity(self) -> str:
        """Return the oldest experiment's creation time and artifact location."""
        return self._identity

    def total(self) -> int | None:
        """Return None: MLflow does not count."""
        return None

    def newest(self, count: int) -> Changes:
        """Return the newest runs."""
        changes = as_changes(self._search("", NEWEST_FIRST, count))
        changes.experiments = as_experiments(self._experiments)
        return changes

    def some(self, asked: Narrowed) -> Part | None:
        """Return the runs that a question needs, by MLflow's own search, which does not count."""
        known = as_experiments(self._experiments)
        ids = experiments_of(asked, known)
        if ids is None or not known:
            return None
        order = (
            f"metrics.`{asked.metric}` {'DESC' if asked.descending else 'ASC'}"
            if asked.metric
            else NEWEST_FIRST
        )
        where = " AND ".join(map(spelled, asked.where))
        runs: list[Run] = []
        token = ""
        while len(runs) <= asked.most:
            page = self._api.search(ids or self._ids(), where, order, min(self._page, asked.most), token)
            runs += page.runs
            token = page.next_page_token
            if not token:
                break
        changes = as_changes(runs)
        changes.experiments = known
        present = {"metric": changes.metrics.names, "param": changes.params.names, "tag": changes.tags.names}
        if any(name.kind != "attribute" and name.key not in present[name.kind] for name in asked.names):
            return None  # the candidates do not show whether other runs have it
        return Part(changes, whole=not token, total=None)

    def blocks(self) -> Iterator[Changes]:
        """Yield all runs, page by page."""
        begun, token = self._read_at, ""
        yield Changes(experiments=as_experiments(self._experiments))
        while self._experiments:
            page = self._api.search(self._ids(), "", NEWEST_FIRST, self._page, token)
            yield as_changes(page.runs)
            token = page.next_page_token
            if not token:
                break
        self.swept_since = begun

    def resume(self, mark: str) -> bool:
        """Resume: saved runs are as old as their last sweep, and are swept again from now on."""
        self.swept_since = float(mark)
        return True

    def mark(self) -> str:
        """Return when the last whole sweep began."""
        return str(self.swept_since or 0.0)

    def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
        """Return the hot set and a page of the sweep."""
        self._read_experiments()
        if self._identify() != self._identity:
            raise FullReadNeeded("another MLflow answers at this address")
        runs = self._search(_RUNNING, NEWEST_FIRST, _RUNNING_AT_MOST)
        going_on = {run.info.run_id for run in runs}
        runs += self._search("", NEWEST_FIRST, _RECENT)
        runs += self._search("", _ENDED_LAST, _RECENT)
        read = {run.info.run_id for run in runs}
        ended = [run_id for run_id in known.running() if run_id not in read and run_id not in going_on]
        runs += self._swept(known)
        read = {run.info.run_id for run in runs}
        self._single = dict.fromkeys(
            run_id for run_id in (*touched, *ended, *self._single) if run_id not in read
        )
        suspects, self._missing = self._missing[:_ONE_BY_ONE], self._missing[_ONE_BY_ONE:]
        now = list(self._single)[:_ONE_BY_ONE]
        gone = []
        for run_id in dict.fromkeys([*now, *suspects]):
            self._single.pop(run_id, None)
            try:
                runs.append(self._api.get(run_id))
            except NotFound:
                gone.append(run_id)
        if self._finished is not None and not self._missing:
            self.swept_since, self._finished = self._finished, None
        changes = as_changes(runs)
        changes.gone = gone
        changes.experiments = as_experiments(self._experiments)
        return changes

    def _swept(self, known: Snapshot) -> list[Run]:
        """Return the sweep's next page."""
        if self._known is None:
            self._since, self._known, self._seen = self._read_at, set(known.ids[: known.rows]), set()
        if not self._experiments:
            runs, self._token = [], ""
        else:
            page = self._api.search(self._ids(), "", NEWEST_FIRST, self._sweep, self._token)
            runs, self._token = page.runs, page.next_page_token
        self._seen.update(run.info.run_id for run in runs)
        if not self._token:
            # Runs that were deleted for good are on no page; nor is one that moved between two pages.
            self._missing += sorted(self._known - self._seen - set(self._missing))
            self._finished, self._known = self._since, None
        return runs

    def lacks_statistics(self) -> bool:
        """Return False: nothing is known of the server's database."""
        return False

    def close(self) -> None:
        """Do nothing: no connection is open between two requests."""

    def _search(self, where: str, order: str, limit: int) -> list[Run]:
        return self._api.search(self._ids(), where, order, limit).runs if self._experiments else []

    def _ids(self) -> list[str]:
        return [each.experiment_id for each in self._experiments]

    def _read_experiments(self) -> None:
        # What is read below is as old as this: experiments that change from now on are not in it.
        self._read_at = time.time()
        self._experiments = self._api.experiments()

    def _identify(self) -> str:
        oldest = min(
            self._experiments, key=lambda each: (len(each.experiment_id), each.experiment_id), default=None
        )
        identity = oldest and [oldest.experiment_id, oldest.creation_time, oldest.artifact_location]
        return json.dumps(["api", identity])
