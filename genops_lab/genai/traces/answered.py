"""Make traces of requests that deployments answered, in MLflow's worker process.

A request that names a span of its application (``traceparent``) becomes a span below it, if the application's trace is
in the experiment of the deployment's traces. MLflow adds spans to a trace by its id alone, and a header must not
decide about traces of other experiments. There the request has a trace of its own, which names the application's.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from genops_lab.experiments.backends.client import MlflowBackend, experiment_named, mlflow_errors
from genops_lab.genai.endpoints.endpoint import CallFailed, Stream, usage_of

from .metadata import CALLER_SPAN, CALLER_TRACE
from .mlflow_traces import GONE, is_in_store
from .writing import JSON, spans_in

_OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}
_KINDS = {"chat": "CHAT_MODEL", "text_completion": "LLM", "embeddings": "EMBEDDING"}
_SETTINGS = ("temperature", "top_p", "max_tokens", "seed", "frequency_penalty", "presence_penalty")
NOT_REDACTED = "[not redacted, so not kept]"
#: The caller left before the end of the answer.
_LEFT = 499
_DEPLOYMENT = "deployment"


def call_parts(call: str) -> tuple[str, str]:
    """Return the trace of a call of a deployment and, where other spans are in that trace too, its span.

    >>> call_parts("tr-1:2"), call_parts("tr-1")
    (('tr-1', '2'), ('tr-1', ''))
    """
    trace, _, span = call.partition(":")
    return trace, span


class AnsweredRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its answer, as the gateway kept them (``serving/gateway/samples.py``). Times in seconds.

    ``trace`` is the id of the trace to be, ``caller`` the name of the key. ``cut``: a part of the texts is missing.
    ``caller_trace`` and ``caller_span`` are the span of the application that called, empty without one.
    """

    trace: str
    at: float
    seconds: float
    status: int
    path: str
    revision: int
    caller: str
    request: str
    answer: str
    first_s: float | None = None
    request_id: str = ""
    streamed: bool = False
    cut: bool = False
    caller_trace: str = ""
    caller_span: str = ""

    @property
    def span(self) -> str:
        """The id of its span."""
        return self.trace[:16]


class AnsweredTraces(MlflowBackend):
    """Writes traces of deployments. Writing the same ones again changes nothing."""

    def keep(
        self, deployment: str, experiment: str, redaction: str, requests: list[AnsweredRequest]
    ) -> list[str]:  # fmt: skip
        """Return the calls that MLflow has now (``call_parts``). The experiment is made where it is missing."""
        with mlflow_errors(f"The traces of the deployment {deployment!r} could not be kept in MLflow"):
            id, _restored = experiment_named(self._client, experiment)
            joined = {each.trace: self._application(each, id) for each in requests}
            spans = [
                span_of(deployment, each, redaction, joined=bool(joined[each.trace])) for each in requests
            ]
            resources = [{"scopeSpans": [{"spans": [span]}]} for span in spans]
            self._client._tracing_client.log_spans(
                id, spans_in(json.dumps({"resourceSpans": resources}).encode(), JSON)
            )
            calls = []
            for each in requests:
                application = joined[each.trace]
                trace = application.trace_id if application else f"tr-{each.trace}"
                # The application may have a tag of its own.
                if application is None or _DEPLOYMENT not in application.tags:
                    self._client.set_trace_tag(trace, _DEPLOYMENT, deployment)
                if application is None and each.caller_trace:
                    self._client.set_trace_tag(trace, CALLER_TRACE, f"tr-{each.caller_trace}")
                calls.append(f"{trace}:{each.span}" if application else trace)
        return calls

    def _application(self, request: AnsweredRequest, experiment_id: str) -> Any:
        """Return the trace of the application that the request joins; None if it has a trace of its own.

        The id of its span is drawn by the gateway after the request, so no header overwrites a span. Spans in files
        would be lost for MLflow if one more came into its database.
        """
        if not request.caller_trace:
            return None
        found = self._info(f"tr-{request.caller_trace}")
        if found is None or str(found.experiment_id) != experiment_id or not is_in_store(found):
            return None
        # A request that comes again, after the trace of its application landed, stays where it is.
        return None if self._info(f"tr-{request.trace}") is not None else found

    def _info(self, trace: str) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return self._client._tracing_client.get_trace_info(trace)
        except MlflowException as error:
            if error.error_code not in GONE:
                raise
            return None


def span_of(
    deployment: str, answered: AnsweredRequest, redaction: str = "off", *, joined: bool = False
) -> dict[str, Any]:
    """Return a request as a span of OTLP's JSON, with the attributes ``gen_ai.*`` of OpenTelemetry.

    ``joined``: it is a span of its application's trace.

    Tokens that the answer does not tell stay unknown. Without redaction of what should be redacted, the texts are left
    out.
    """
    asked, answer = _redacted([_json(answered.request), _answer(answered)], redaction)
    told = answer if isinstance(answer, dict) else {}
    given = asked if isinstance(asked, dict) else {}
    operation = _OPERATIONS.get(answered.path.rstrip("/"), "")
    failed = answered.status >= 400
    attributes: dict[str, Any] = {
        "mlflow.spanInputs": json.dumps(asked),
        "mlflow.spanOutputs": json.dumps(answer),
        "mlflow.spanType": json.dumps(_KINDS.get(operation, "UNKNOWN")),
        "http.response.status_code": answered.status,
        "url.path": answered.path,
        "genops.deployment": deployment,
        "genops.revision": answered.revision,
        "genops.caller": answered.caller,
        "genops.request_id": answered.request_id,
    }
    if not joined:  # MLflow takes it for the user of the whole trace
        attributes["user.id"] = answered.caller
        if answered.caller_trace:
            attributes |= {CALLER_TRACE: f"tr-{answered.caller_trace}", CALLER_SPAN: answered.caller_span}
    if operation:
        attributes |= {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": "genops",
            "gen_ai.request.model": str(given.get("model") or deployment),
            "gen_ai.response.model": str(told.get("model") or given.get("model") or deployment),
        }
        attributes |= {
            f"gen_ai.request.{name}": given[name]
            for name in _SETTINGS
            if isinstance(given.get(name), int | float)
        }
        usage = usage_of(told.get("usage"))
        if usage.known:
            attributes["gen_ai.usage.input_tokens"] = usage.input
            attributes["gen_ai.usage.output_tokens"] = usage.output
    if answered.first_s is not None:
        attributes["genops.time_to_first_token_s"] = answered.first_s
    if answered.cut:
        attributes["genops.cut"] = True
    began = int(answered.at * 1e9)
    return {
        "traceId": answered.caller_trace if joined else answered.trace, "spanId": answered.span,
        "parentSpanId": answered.caller_span if joined else "",
        "name": f"{operation or 'invoke'} {deployment}", "kind": 2,
        "startTimeUnixNano": str(began), "endTimeUnixNano": str(began + int(answered.seconds * 1e9)),
        "attributes": [{"key": key, "value": _value(value)} for key, value in attributes.items()],
        "status": {"code": 2, "message": _failure(answered)} if failed else {"code": 1},
    }  # fmt: skip


def _failure(answered: AnsweredRequest) -> str:
    if answered.status == _LEFT:
        return "The caller left before the end of the answer."
    return f"The deployment answered with HTTP status {answered.status}."


def _answer(answered: AnsweredRequest) -> Any:
    """Return the answer as JSON; a stream of a chat as the whole answer that it makes, as far as it came."""
    if not answered.streamed or answered.path.rstrip("/") != "/v1/chat/completions":
        return _json(answered.answer)
    stream, usage, text = Stream(), None, ""
    try:
        for line in re.split(r"\r\n|\n|\r", answered.answer):  # texts may have other ends of lines
            text += stream.add(line)
            if '"usage"' in line and isinstance(found := _json(line.removeprefix("data:")), dict):
                usage = found.get("usage") or usage
        whole = stream.answer()
    except CallFailed as failed:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        return {"choices": [{"index": 0, "message": message}], "incomplete": failed.message}
    message = {"role": "assistant", "content": whole.text}
    if whole.tool_calls:
        message["tool_calls"] = whole.tool_calls
    return {
        "model": whole.model,
        "choices": [{"index": 0, "message": message, "finish_reason": whole.finish_reason}],
        "usage": usage,
    }


def _redacted(content: list[Any], mode: str) -> list[Any]:
    if mode == "off":
        return content
    from genops_lab.redaction.documents import DocumentRedactor
    from genops_lab.redaction.presidio import recognizer

    try:
        people = mode == "personal"
        redactor = DocumentRedactor(people=people, recognize=recognizer() if people else None)
        found = redactor.redact(content).document
    except Exception:  # the boundary: what cannot be redacted must not be kept
        return [NOT_REDACTED] * len(content)
    return list(found)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": str(value)}
