"""Read live traces as answers, and write their scores as MLflow's assessments, in MLflow's worker process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.core.errors import NotFound
from genops_lab.core.locks import locked
from genops_lab.experiments.backends.client import MlflowBackend, mlflow_errors
from genops_lab.genai.endpoints.endpoint import usage_of
from genops_lab.genai.endpoints.limits import Price
from genops_lab.genai.scorers.base import Answered
from genops_lab.genai.traces.answered import NOT_REDACTED, call_parts
from genops_lab.genai.traces.content import MOST_CHARACTERS, content_of, documents_of
from genops_lab.genai.traces.metadata import CALLER_SPAN, CALLER_TRACE
from genops_lab.genai.traces.mlflow_traces import GONE, MlflowTraces
from genops_lab.genai.traces.models import SpanContent
from genops_lab.genai.traces.tree import INPUTS, OUTPUTS, RawSpan, attributes_of, value_at

from .live_scorers import DOCUMENTS, RETRIEVED
from .store import TraceScore

#: Metadata of an assessment of a live trace: the id of the scoring that made it.
SCORING = "genops.online"
#: How long after a call the spans of its application are waited for, in seconds.
LATE_S = 60.0


class LiveTrace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace as an answer; without one ``reason`` says why it cannot be scored.

    ``trace`` names a call (``call_parts``). ``late``: spans of its application may still come.
    """

    trace: str
    answered: Answered | None = None
    reason: str = ""
    late: bool = False


class OnlineTraces(MlflowBackend):
    """The live traces of one MLflow. All methods block."""

    def __init__(self, tracking_uri: str, scratch: str | None = None, **others: Any) -> None:
        super().__init__(tracking_uri, scratch, **others)
        self._traces = MlflowTraces(tracking_uri, scratch)

    def read(
        self, traces: list[str], prices: dict[str, Price], documents: bool = False, now: float | None = None
    ) -> list[LiveTrace]:  # fmt: skip
        """Return the traces as answers. ``prices`` by model; ``now`` in seconds since 1970.

        ``documents``: those that the application retrieved are needed, where neither answer nor request names any.
        """
        now_ns = int((time.time() if now is None else now) * 1e9)
        return [self._read(each, prices, documents, now_ns) for each in traces]

    def _read(self, call: str, prices: dict[str, Price], documents: bool, now_ns: int) -> LiveTrace:
        trace, span = call_parts(call)
        try:
            raw = self._traces.span(trace, span) if span else self._traces.top(trace)[0]
        except NotFound:
            return LiveTrace(trace=call, reason="the trace was deleted")
        read = "the trace has no spans" if raw is None else answered_in(trace, raw, prices)
        if raw is None or isinstance(read, str):
            return LiveTrace(trace=call, reason=str(read))
        caller = (trace, raw.parent_id) if span else _caller_of(raw)
        if not documents or DOCUMENTS in read.row or not caller[0]:
            return LiveTrace(trace=call, answered=read)
        found = self._traces.documents(*caller, raw.end_ns)
        if found:
            given = {
                DOCUMENTS: [each.text.text for each in found],
                RETRIEVED: [each.source for each in found],
            }
            read = msgspec.structs.replace(read, row={**read.row, **given})
            return LiveTrace(trace=call, answered=read)
        if now_ns < (raw.end_ns or raw.start_ns) + LATE_S * 1e9:
            return LiveTrace(trace=call, late=True)
        why = (
            f"the span of the application that called did not come within {LATE_S:g} s"
            if found is None
            else "the application's trace has no documents that were retrieved before the call"
        )
        return LiveTrace(trace=call, reason=why)

    def write(
        self, scoring: str, scorer: str, source: tuple[str, str], scores: list[TraceScore], lock: str
    ) -> int:  # fmt: skip
        """Write scores as assessments and return how many are new. Those that are there from before a crash stay.

        ``lock``: a file that only one process at a time has, because the worker of a killed Lab may still write.
        """
        from mlflow.entities import AssessmentSource, Feedback
        from mlflow.entities.assessment_error import AssessmentError
        from mlflow.exceptions import MlflowException

        tracing, new = self._client._tracing_client, 0
        with mlflow_errors("The scores of live traces could not be kept in MLflow"), locked(Path(lock)):
            for each in scores:
                try:
                    trace, span = call_parts(each.trace)
                    if _is_scored(tracing.get_trace_info(trace), scorer, span):
                        continue
                    made = Feedback(
                        name=scorer[:250], span_id=span or None, value=each.value, rationale=each.reason or None,
                        source=AssessmentSource(*source), metadata={SCORING: scoring},
                        error=AssessmentError("NOT_SCORED", each.reason) if each.value is None else None,
                    )  # fmt: skip
                    tracing.log_assessment(trace, made)
                    new += 1
                except MlflowException as error:
                    if error.error_code not in GONE:  # somebody deleted the trace
                        raise
        return new


def answered_in(trace: str, top: RawSpan, prices: Mapping[str, Price]) -> Answered | str:
    """Return the answer in the span of a request, or why there is none to score."""
    attributes = attributes_of(top)
    status = value_at(attributes, "http.response.status_code")
    if isinstance(status, int) and status >= 400:
        return f"the request failed with HTTP status {status}"
    if value_at(attributes, "genops.cut"):
        return "the trace has only the first 64 KB of the request or the answer"
    outputs = value_at(attributes, OUTPUTS)
    if outputs == NOT_REDACTED:
        return "the trace could not be redacted, so its texts were not kept"
    told = outputs if isinstance(outputs, dict) else {}
    if "incomplete" in told:
        return "the answer broke off"
    content = content_of(trace, top, top.start_ns, MOST_CHARACTERS, lambda _id: None)
    answers = [each for each in content.turns if each.is_answer]
    inputs = value_at(attributes, INPUTS)
    usage = usage_of(told.get("usage"))
    price = prices.get(str(told.get("model") or ""))
    messages = _messages(content, inputs)
    choices = told.get("choices")
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    return Answered(
        text="\n".join(each.text.text for each in answers) if answers else _text(outputs, first),
        row={"messages": messages, **_documents(outputs, inputs)},
        messages=messages,
        tool_calls=[
            {"name": call.name, "arguments": call.arguments.text}
            for each in answers
            for call in each.tool_calls
        ],
        latency_s=None if top.end_ns is None else (top.end_ns - top.start_ns) / 1e9,
        usage=usage if usage.known else None,
        money=price.of(usage) if price is not None and usage.known else None,
        finish_reason=str(first.get("finish_reason") or ""),
    )


def _messages(content: SpanContent, inputs: Any) -> list[dict[str, Any]]:
    """Return the turns that were sent; a prompt as one turn."""
    turns = [
        {"role": each.role, "content": each.text.text}
        for each in content.turns
        if not each.is_answer
    ]  # fmt: skip
    if turns or content.inputs is None:
        return turns
    prompt = inputs.get("prompt") if isinstance(inputs, dict) else None
    return [{"role": "user", "content": prompt if isinstance(prompt, str) else content.inputs.text}]


def _documents(*said: Any) -> dict[str, list[str]]:
    """Return the documents that the answer or the request names; no column where neither does."""
    for each in said:
        found = documents_of(each["documents"]) if isinstance(each, dict) and "documents" in each else []
        if found:
            return {DOCUMENTS: found}
    return {}


def _text(outputs: Any, first: Mapping[str, Any]) -> str:
    """Return the text of an answer that is no chat."""
    if isinstance(first.get("text"), str):
        return str(first["text"])
    return outputs if isinstance(outputs, str) else msgspec.json.encode(outputs).decode()


def _caller_of(raw: RawSpan) -> tuple[str, str]:
    """Return the trace and the span of the application that called, empty without one."""
    attributes = attributes_of(raw)
    trace, span = value_at(attributes, CALLER_TRACE), value_at(attributes, CALLER_SPAN)
    return (trace, span) if isinstance(trace, str) and isinstance(span, str) else ("", "")


def _is_scored(info: Any, scorer: str, span: str) -> bool:
    return any(
        each.name == scorer[:250] and SCORING in (each.metadata or {}) and (each.span_id or "") == span
        for each in info.assessments or []
    )
