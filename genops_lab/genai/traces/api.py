"""Read traces through MlflowClient: any store that mlflow can open, page by page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from genops_lab.experiments.backends.client import all_pages, mlflow_errors
from genops_lab.experiments.columns.changes import Changes, ExperimentRow
from genops_lab.experiments.columns.paged_source import PagedSource
from genops_lab.experiments.columns.snapshot import Snapshot

from .metadata import COST, SESSION, TRACE_NAME, USAGE
from .rows import TraceChanges, TraceRow

#: MLflow's largest page of traces.
PAGE = 500
#: Traces that each poll reads again besides the newest: a new assessment changes no time.
_EVERY_S, _SHARE = 2.0, 0.1


class ApiTraces(PagedSource):
    """Reads the newest page with every poll, and all others page by page in turn."""

    _rows = "traces"
    _largest = PAGE

    def __init__(self, tracking_uri: str) -> None:
        super().__init__(tracking_uri, _EVERY_S)
        self._experiments = self._read_experiments()
        self._sweeping: set[str] = set()

    def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
        """Return the newest traces, the touched ones, and the next page of all others."""
        begun = time.monotonic()
        self._experiments = self._read_experiments()
        newest, _ = self._page(PAGE, "")
        swept = self._swept(PAGE)
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
        changes = self._changes(list(found.values()))
        changes.gone = gone
        self.every_s = max(_EVERY_S, (time.monotonic() - begun) / _SHARE)
        return changes

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
