"""Write one trace for each answer of an evaluation into MLflow, in batches.

MLflow's client writes each trace, its spans and each assessment in transactions of their own.
So a database gets all rows of a batch by MLflow's own tables. A server of MLflow gets them by its API.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from .asking import Wanted
from .attachments import text_of
from .journal import Call
from .spans import hash_of, id_of, spans_of, usage_of

_BATCH = 500
#: MLflow's bound of a preview, in characters.
_PREVIEW = 1000
Rows = list[dict[str, Any]]


class Mark(NamedTuple):
    """A score of an answer as MLflow's feedback. ``value`` None: not judged, and ``reason`` says why."""

    name: str
    value: float | None
    reason: str
    source_type: str
    source_id: str


@dataclasses.dataclass(frozen=True)
class AnswerTrace:
    """The answer of one trace. ``expected``: columns of the row that scorers compare with.

    The id is made of ``call``. All that is shown of the row is in ``wanted``, which may be redacted.
    """

    evaluation: str
    name: str
    wanted: Wanted
    call: Call
    marks: list[Mark]
    expected: dict[str, Any]

    @functools.cached_property
    def id(self) -> str:
        """Return the trace's id, the same at each try."""
        return trace_id(self.evaluation, self.call.model, self.call.example, self.call.repeat)


def trace_id(evaluation: str, model: str, example: str, repeat: int) -> str:
    """Return the id of the trace of an answer."""
    return "tr-" + hash_of(f"{evaluation}\n{model}\n{example}\n{repeat}")


class TraceWriter:
    """Writes traces into one experiment. All methods block."""

    def __init__(self, client: Any, experiment: str, *, in_bulk: bool = True) -> None:
        self._experiment = experiment
        self._store = client._tracking_client.store
        self._client = client
        #: Whether a batch is one transaction of a database, and not many requests.
        self.in_bulk = in_bulk and hasattr(self._store, "ManagedSessionMaker")

    def write(self, run_id: str, traces: Sequence[AnswerTrace]) -> None:
        """Write the traces of a run's answers that are not there yet, and their new marks."""
        for start in range(0, len(traces), _BATCH):
            batch = traces[start : start + _BATCH]
            if self.in_bulk:
                self._insert(run_id, batch)
            else:
                self._send(run_id, batch)

    def _insert(self, run_id: str, batch: Sequence[AnswerTrace]) -> None:
        from sqlalchemy import insert, select

        tables = importlib.import_module("mlflow.store.tracking.dbmodels.models")
        rollups = importlib.import_module("mlflow.store.tracking.utils.sql_trace_rollups")
        location = self._store.get_experiment(self._experiment).artifact_location
        ids = [each.id for each in batch]
        with self._store.ManagedSessionMaker(read_only=False) as session:
            partitions = [
                (family, int(self._experiment), [_started_ms(each.call) for each in batch])
                for family in (rollups.RollupFamily.TRACE_METRIC, rollups.RollupFamily.ASSESSMENT)
            ]
            rollups.enqueue_rollup_rebuild_partitions(session, partitions)
            statuses = dict(
                session.execute(
                    select(tables.SqlTraceInfo.request_id, tables.SqlTraceInfo.status).where(
                        tables.SqlTraceInfo.request_id.in_(ids)
                    )
                ).all()
            )
            # The trace of a call that failed is written again after the call was made again.
            stale = [
                each.id for each in batch if statuses.get(each.id, _state(each.call)) != _state(each.call)
            ]
            if stale:
                session.query(tables.SqlTraceInfo).filter(tables.SqlTraceInfo.request_id.in_(stale)).delete()
            column = tables.SqlAssessments.assessment_id
            marked = set(
                session.execute(select(column).where(tables.SqlAssessments.trace_id.in_(ids))).scalars()
            )
            rows: dict[str, Rows] = {
                "SqlTraceInfo": [],
                "SqlTraceTag": [],
                "SqlTraceMetadata": [],
                "SqlSpan": [],
            }
            rows["SqlAssessments"] = []
            for each in batch:
                if each.id not in statuses or each.id in stale:
                    _add_trace(rows, each, run_id, self._experiment, location)
                for assessment in _assessments(each, run_id):
                    if assessment["assessment_id"] not in marked:
                        rows["SqlAssessments"].append({**assessment, "experiment_id": int(self._experiment)})
            for table, values in rows.items():
                if values:
                    session.execute(insert(getattr(tables, table).__table__), values)

    def _send(self, run_id: str, batch: Sequence[AnswerTrace]) -> None:
        from mlflow.entities import Assessment, Expectation, Feedback, TraceInfo, TraceLocation, TraceState
        from mlflow.entities.assessment_error import AssessmentError
        from mlflow.entities.assessment_source import AssessmentSource
        from mlflow.entities.span import Span

        spans = []
        for each in batch:
            assessments = []
            for row in _assessments(each, run_id):
                source = AssessmentSource(row["source_type"], row["source_id"])
                common = {
                    "name": row["name"], "source": source, "trace_id": each.id,
                    "create_time_ms": row["created_timestamp"], "last_update_time_ms": row["created_timestamp"],
                    "metadata": json.loads(row["assessment_metadata"]),
                }  # fmt: skip
                value = json.loads(row["value"])
                if row["assessment_type"] == "expectation":
                    made: Assessment = Expectation(value=value, **common)
                else:
                    error = json.loads(row["error"]) if row["error"] else None
                    made = Feedback(
                        value=value,
                        error=AssessmentError.from_dictionary(error) if error else None,
                        rationale=row["rationale"],
                        **common,
                    )
                made.assessment_id, made.run_id = row["assessment_id"], run_id
                assessments.append(made)
            info = TraceInfo(
                trace_id=each.id,
                trace_location=TraceLocation.from_experiment_id(self._experiment),
                request_time=_started_ms(each.call),
                execution_duration=round(each.call.latency_s * 1000),
                state=TraceState(_state(each.call)),
                request_preview=_request_preview(each),
                response_preview=_response_preview(each),
                client_request_id=each.wanted.example[:50],
                tags={"mlflow.traceName": each.name, **_tags(each)},
                trace_metadata=_metadata(each, run_id),
                assessments=assessments,
            )
            self._store.start_trace(info)
            spans += [Span.from_dict(span) for span in spans_of(each)]
        self._store.log_spans(self._experiment, spans)


def _add_trace(
    rows: dict[str, Rows], trace: AnswerTrace, run_id: str, experiment: str, location: str
) -> None:
    """Add the rows that MLflow 3.17's ``start_trace`` and ``log_spans`` write."""
    analytics = importlib.import_module("mlflow.store.tracking.utils.trace_analytics")
    metadata = _metadata(trace, run_id)
    promoted = {key: metadata.pop(key) for key in analytics.PROMOTED_TRACE_METADATA_KEYS if key in metadata}
    call = trace.call
    rows["SqlTraceInfo"].append(
        {
            "request_id": trace.id,
            "experiment_id": int(experiment),
            "timestamp_ms": _started_ms(call),
            "execution_time_ms": round(call.latency_s * 1000),
            "status": _state(call),
            "client_request_id": trace.wanted.example[:50],
            "request_preview": _request_preview(trace),
            "response_preview": _response_preview(trace),
            "trace_name": trace.name,
            "db_payload_generation": 1,
            **dict.fromkeys(analytics.TOKEN_COLUMN_BY_KEY.values()),
            **analytics.analytics_columns_from_metadata(promoted),
        }
    )
    tags = {
        **_tags(trace),
        "mlflow.artifactLocation": f"{location}/traces/{trace.id}/artifacts",
        "mlflow.trace.spansLocation": "TRACKING_STORE",
    }
    rows["SqlTraceTag"] += [
        {"request_id": trace.id, "key": key, "value": value} for key, value in tags.items()
    ]
    metadata["mlflow.trace.infoFinalized"] = "true"
    rows["SqlTraceMetadata"] += [
        {"request_id": trace.id, "key": key, "value": value} for key, value in metadata.items()
    ]
    rows["SqlSpan"] += [_span_row(span, trace, experiment) for span in spans_of(trace)]


def _span_row(span: dict[str, Any], trace: AnswerTrace, experiment: str) -> dict[str, Any]:
    attributes = span["attributes"]
    model = json.loads(attributes.get("mlflow.llm.model", '""'))
    return {
        "trace_id": trace.id,
        "experiment_id": int(experiment),
        "span_id": id_of(span["span_id"]),
        "parent_span_id": span["parent_span_id"] and id_of(span["parent_span_id"]),
        "name": span["name"],
        "type": json.loads(attributes["mlflow.spanType"]),
        "status": span["status"]["code"].removeprefix("STATUS_CODE_"),
        "start_time_unix_nano": span["start_time_unix_nano"],
        "end_time_unix_nano": span["end_time_unix_nano"],
        "content": msgspec.json.encode(span).decode(),
        "model_name": model[:500] or None,
    }


def _assessments(trace: AnswerTrace, run_id: str) -> Iterator[dict[str, Any]]:
    """Yield rows of MLflow's assessments: a feedback for each mark, an expectation for each expected value."""
    now = int(time.time() * 1000)
    metadata = json.dumps({"mlflow.assessment.sourceRunId": run_id})
    common = {
        "trace_id": trace.id, "created_timestamp": now, "last_updated_timestamp": now, "run_id": run_id,
        "span_id": None, "overrides": None, "valid": True, "assessment_metadata": metadata,
        "trace_timestamp_ms": _started_ms(trace.call),
    }  # fmt: skip
    for mark in trace.marks:
        error = None
        if mark.value is None:
            error = json.dumps(
                {"error_code": "NOT_SCORED", "error_message": mark.reason, "stack_trace": None}
            )
        yield {
            **common, "assessment_id": "a-" + hash_of(f"{trace.id}\n{mark.name}"), "name": mark.name[:250],
            "assessment_type": "feedback", "value": json.dumps(mark.value), "error": error,
            "source_type": mark.source_type, "source_id": mark.source_id[:250] or None,
            "rationale": mark.reason or None, "aggregate_value": mark.value,
            "is_numeric_value": mark.value is not None,
        }  # fmt: skip
    for name, value in trace.expected.items():
        yield {
            **common, "assessment_id": "a-" + hash_of(f"{trace.id}\nexpected\n{name}"), "name": name[:250],
            "assessment_type": "expectation", "value": json.dumps(value), "error": None,
            "source_type": "HUMAN", "source_id": "data", "rationale": None, "aggregate_value": None,
            "is_numeric_value": False,
        }  # fmt: skip


def _tags(trace: AnswerTrace) -> dict[str, str]:
    return {
        "genops.answers.example": trace.wanted.example[:4000],
        "genops.answers.repeat": str(trace.call.repeat),
    }


def _metadata(trace: AnswerTrace, run_id: str) -> dict[str, str]:
    found = {"mlflow.sourceRun": run_id, "mlflow.trace_schema.version": "3"}
    if trace.call.answer is not None:
        found["mlflow.trace.tokenUsage"] = json.dumps(usage_of(trace.call.answer.usage))
    return found


def _request_preview(trace: AnswerTrace) -> str:
    return text_of(trace.wanted.messages)[:_PREVIEW]


def _response_preview(trace: AnswerTrace) -> str:
    return (trace.call.answer.text if trace.call.answer else trace.call.message)[:_PREVIEW]


def _state(call: Call) -> str:
    return "OK" if call.answer is not None else "ERROR"


def _started_ms(call: Call) -> int:
    return int(call.at * 1000)
