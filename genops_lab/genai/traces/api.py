"""Read traces through MlflowClient: any store that mlflow can open, page by page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from genops_lab.experiments.backends.client import all_pages, mlflow_errors, open_client
from genops_lab.experiments.columns.changes import Changes, ExperimentRow
from genops_lab.experiments.columns.snapshot import Snapshot
from genops_lab.experiments.columns.source import SourceKind

from .metadata import COST, SESSION, TRACE_NAME, USAGE
from .rows import TraceChanges, TraceRow

#: MLflow's largest page of traces.
PAGE = 500
#: Traces that each poll reads again besides the newest: a new assessment changes no time.
_EVERY_S, _SHARE = 2.0, 0.1


class ApiTraces:
    """Reads the newest page with every poll, and all others page by page in turn."""

    kind: SourceKind = "api"
    again_s = 0.0
    settled = True

    def __init__(self, tracking_uri: str) -> None:
        self._uri = tracking_uri
        self._client: Any = open_client(tracking_uri)
        self.every_s = _EVERY_S
        self.swept_since: float | None = None
        self._since, self._token = time.time(), ""
        self._experiments = self._read_experiments()
        self._sweeping: set[str] = set()

    def identity(self) -> str:
        """Return the address: another store behind it has other traces, which are read then."""
        return json.dumps(["traces", self._uri])

    def total(self) -> int | None:
        """Return None: MLflow does not count."""
        return None

    def newest(self, count: int) -> Changes:
        """Return the newest traces."""
        return self._changes(self._page(min(count, PAGE), "")[0])

    def some(self, asked: object) -> None:
        """Return None: all traces are read."""

    def blocks(self) -> Iterator[Changes]:
        """Yield all traces, page by page."""
        begun, token = time.time(), ""
        while True:
            found, token = self._page(PAGE, token)
            yield self._changes(found)
            if not token:
                break
        self.swept_since = begun

    def resume(self, mark: str) -> bool:
        """Return False: changes while nobody looked are unknown."""
        return False

    def mark(self) -> str:
        """Return an empty mark."""
        return ""

    def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
        """Return the newest traces, the touched ones, and the next page of all others."""
        begun = time.monotonic()
        self._experiments = self._read_experiments()
        newest, _ = self._page(PAGE, "")
        swept, self._token = self._page(PAGE, self._token)
        found = {each.trace_id: each for each in (*swept, *newest)}
        gone = []
        for trace_id in touched - found.keys():
            info = self._one(trace_id)
            if info is None:
                gone.append(trace_id)
            else:
                found[trace_id] = info
        self._sweeping |= found.keys()
        if not self._token:
            gone += [each for each in known.ids[: known.rows] if each not in self._sweeping]
            self._sweeping = set()
            self.swept_since, self._since = self._since, time.time()
        changes = self._changes(list(found.values()))
        changes.gone = gone
        self.every_s = max(_EVERY_S, (time.monotonic() - begun) / _SHARE)
        return changes

    def lacks_statistics(self) -> bool:
        """Return False: MLflow's own searches are not used for questions."""
        return False

    def close(self) -> None:
        """Do nothing: other backends of the process use the client."""

    def _read_experiments(self) -> dict[str, ExperimentRow]:
        with mlflow_errors("The experiments could not be listed"):
            found = all_pages(self._client.search_experiments)
        return {each.experiment_id: ExperimentRow(each.name, each.lifecycle_stage) for each in found}

    def _one(self, trace_id: str) -> Any:
        from mlflow.exceptions import MlflowException

        with mlflow_errors(f"The trace {trace_id} could not be read"):
            try:
                return self._client._tracing_client.get_trace_info(trace_id)
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise

    def _page(self, count: int, token: str) -> tuple[list[Any], str]:
        if not self._experiments:
            return [], ""
        with mlflow_errors("The traces could not be read"):
            page = self._client.search_traces(
                locations=list(self._experiments), max_results=count, page_token=token or None,
                order_by=["timestamp_ms DESC"], include_spans=False,
            )  # fmt: skip
        return [trace.info for trace in page], page.token or ""

    def _changes(self, found: list[Any]) -> TraceChanges:
        return TraceChanges(
            [row_of(info) for info in found],
            _pairs(info.trace_metadata for info in found),
            _pairs(info.tags for info in found),
            [
                (place, each.name, json.dumps(value))
                for place, info in enumerate(found)
                for each in sorted(info.assessments or [], key=lambda one: one.create_time_ms or 0)
                if (value := _value(each)) is not None and each.valid is not False
            ],
            experiments=self._experiments,
        )


def row_of(info: Any) -> TraceRow:
    """Return a trace's figures from MLflow's ``TraceInfo``."""
    metadata = info.trace_metadata or {}
    usage, cost = _numbers(metadata.get(USAGE)), _numbers(metadata.get(COST))
    return TraceRow(
        info.trace_id, str(info.experiment_id), info.request_time, info.execution_duration, str(info.state.value),
        info.request_preview, info.response_preview, (info.tags or {}).get(TRACE_NAME), metadata.get(SESSION),
        usage.get("input_tokens"), usage.get("output_tokens"), usage.get("total_tokens"), cost.get("total_cost"),
    )  # fmt: skip


def _pairs(texts: Iterator[dict[str, str]]) -> list[tuple[int, str, str]]:
    return [
        (place, key, value or "") for place, each in enumerate(texts) for key, value in (each or {}).items()
    ]


def _value(assessment: Any) -> Any:
    for part in (assessment.feedback, assessment.expectation):
        if part is not None:
            return part.value
    return None


def _numbers(text: str | None) -> dict[str, float]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return {key: float(value) for key, value in found.items() if isinstance(value, int | float)}
