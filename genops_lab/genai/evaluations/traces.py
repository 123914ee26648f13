"""Write one trace for each answer of an evaluation into MLflow, in batches.

MLflow's client writes each trace, its spans and each assessment in transactions of their own.
So a database gets all rows of a batch by MLflow's own tables. A server of MLflow gets them by its API.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from .asking import Wanted
from .journal import Call

_BATCH = 500
#: MLflow's bound of a preview, in characters.
_PREVIEW = 1000
_SPAN_NAME = "answer"
Rows = list[dict[str, Any]]


class Mark(NamedTuple):
    """A score of an answer as MLflow's feedback. ``value`` None: not judged, and ``reason`` says why."""

    name: str
    value: float | None
    reason: str
    source_type: str
    source_id: str


class AnswerTrace(NamedTuple):
    """The answer of one trace. ``expected``: columns of the row that scorers compare with.

    The id is made of ``call``. All that is shown of the row is in ``wanted``, which may be redacted.
    """

    evaluation: str
    name: str
    wanted: Wanted
    call: Call
    marks: list[Mark]
    expected: dict[str, Any]

    @property
    def id(self) -> str:
        """Return the trace's id, the same at each try."""
        return trace_id(self.evaluation, self.call.model, self.call.example, self.call.repeat)


def trace_id(evaluation: str, model: str, example: str, repeat: int) -> str:
    """Return the id of the trace of an answer."""
    return "tr-" + _hash(f"{evaluation}\n{model}\n{example}\n{repeat}")


class TraceWriter:
    """Writes traces into one experiment. All methods block."""

    def __init__(self, client: Any, experiment: str, *, in_bulk: bool = True) -> None:
        self._experiment = experiment
        self._store = client._tracking_client.store
        self._client = client
        self._in_bulk = in_bulk and hasattr(self._store, "ManagedSessionMaker")

    def write(self, run_id: str, traces: Sequence[AnswerTrace]) -> None:
        """Write the traces of a run's answers that are not there yet, and their new marks."""
        for start in range(0, len(traces), _BATCH):
            batch = traces[start : start + _BATCH]
            if self._in_bulk:
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
            spans.append(Span.from_dict(_span(each)))
        self._store.log_spans(self._experiment, spans)


def _add_trace(
    rows: dict[str, Rows], trace: AnswerTrace, run_id: str, experiment: str, location: str
) -> None:
    """Add the rows that MLflow 3.17's ``start_trace`` and ``log_spans`` write."""
    analytics = importlib.import_module("mlflow.store.tracking.utils.trace_analytics")
    metadata = _metadata(trace, run_id)
    promoted = {key: metadata.pop(key) for key in analytics.PROMOTED_TRACE_METADATA_KEYS if key in metadata}
    span = _span(trace)
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
    rows["SqlSpan"].append(
        {
            "trace_id": trace.id,
            "experiment_id": int(experiment),
            "span_id": _hash(trace.id)[:16],
            "parent_span_id": None,
            "name": _SPAN_NAME,
            "type": "CHAT_MODEL",
            "status": "OK" if call.answer else "ERROR",
            "start_time_unix_nano": span["start_time_unix_nano"],
            "end_time_unix_nano": span["end_time_unix_nano"],
            "content": msgspec.json.encode(span).decode(),
            "model_name": (call.answer.model if call.answer else call.model)[:500] or None,
        }
    )


def _span(trace: AnswerTrace) -> dict[str, Any]:
    """Return the span of a call as MLflow's ``Span.to_dict`` has it."""
    call = trace.call
    started = int(call.at * 1e9)
    inputs = {"messages": trace.wanted.messages, **trace.wanted.settings}
    attributes: dict[str, Any] = {
        "mlflow.traceRequestId": trace.id,
        "mlflow.spanType": "CHAT_MODEL",
        "mlflow.spanInputs": inputs,
        "mlflow.llm.model": call.answer.model if call.answer else call.model,
        "mlflow.message.format": "openai",
    }
    if call.answer is not None:
        message: dict[str, Any] = {"role": "assistant", "content": call.answer.text}
        if call.answer.tool_calls:
            message["tool_calls"] = call.answer.tool_calls
        attributes["mlflow.spanOutputs"] = {
            "choices": [{"index": 0, "message": message, "finish_reason": call.answer.finish_reason}]
        }
        attributes["mlflow.chat.tokenUsage"] = _usage(call)
    code = "STATUS_CODE_OK" if call.answer else "STATUS_CODE_ERROR"
    return {
        "trace_id": base64.b64encode(bytes.fromhex(trace.id[3:])).decode(),
        "span_id": base64.b64encode(bytes.fromhex(_hash(trace.id)[:16])).decode(),
        "parent_span_id": None,
        "name": _SPAN_NAME,
        "start_time_unix_nano": started,
        "end_time_unix_nano": started + int(call.latency_s * 1e9),
        "events": [],
        "status": {"code": code, "message": call.message},
        "attributes": {key: msgspec.json.encode(value).decode() for key, value in attributes.items()},
        "links": [],
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
            **common, "assessment_id": "a-" + _hash(f"{trace.id}\n{mark.name}"), "name": mark.name[:250],
            "assessment_type": "feedback", "value": json.dumps(mark.value), "error": error,
            "source_type": mark.source_type, "source_id": mark.source_id[:250] or None,
            "rationale": mark.reason or None, "aggregate_value": mark.value,
            "is_numeric_value": mark.value is not None,
        }  # fmt: skip
    for name, value in trace.expected.items():
        yield {
            **common, "assessment_id": "a-" + _hash(f"{trace.id}\nexpected\n{name}"), "name": name[:250],
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
        found["mlflow.trace.tokenUsage"] = json.dumps(_usage(trace.call))
    return found


def _usage(call: Call) -> dict[str, int]:
    assert call.answer is not None
    usage = call.answer.usage
    return {"input_tokens": usage.input, "output_tokens": usage.output, "total_tokens": usage.total}


def _request_preview(trace: AnswerTrace) -> str:
    return str(trace.wanted.messages[-1]["content"])[:_PREVIEW]


def _response_preview(trace: AnswerTrace) -> str:
    return (trace.call.answer.text if trace.call.answer else trace.call.message)[:_PREVIEW]


def _state(call: Call) -> str:
    return "OK" if call.answer is not None else "ERROR"


def _started_ms(call: Call) -> int:
    return int(call.at * 1000)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
