"""Make traces of requests that deployments answered, in MLflow's worker process."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from genops_lab.experiments.backends.client import MlflowBackend, experiment_named, mlflow_errors
from genops_lab.genai.endpoints.endpoint import CallFailed, Stream, usage_of

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


class AnsweredRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its answer, as the gateway kept them (``serving/gateway/samples.py``). Times in seconds.

    ``trace`` is the id of the trace to be, ``caller`` the name of the key. ``cut``: a part of the texts is missing.
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


class AnsweredTraces(MlflowBackend):
    """Writes traces of deployments. Writing the same ones again changes nothing."""

    def keep(self, deployment: str, experiment: str, redaction: str, requests: list[AnsweredRequest]) -> int:
        """Return the number of traces that MLflow has now. The experiment is made where it is missing."""
        resources = [{"scopeSpans": [{"spans": [span_of(deployment, each, redaction)]}]} for each in requests]
        spans = spans_in(json.dumps({"resourceSpans": resources}).encode(), JSON)
        with mlflow_errors(f"The traces of the deployment {deployment!r} could not be kept in MLflow"):
            id, _restored = experiment_named(self._client, experiment)
            self._client._tracing_client.log_spans(id, spans)
            for each in requests:
                self._client.set_trace_tag(f"tr-{each.trace}", "deployment", deployment)
        return len(spans)


def span_of(deployment: str, answered: AnsweredRequest, redaction: str = "off") -> dict[str, Any]:
    """Return a request as a span of OTLP's JSON, with the attributes ``gen_ai.*`` of OpenTelemetry.

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
        "user.id": answered.caller,
        "http.response.status_code": answered.status,
        "url.path": answered.path,
        "genops.deployment": deployment,
        "genops.revision": answered.revision,
        "genops.caller": answered.caller,
        "genops.request_id": answered.request_id,
    }
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
        "traceId": answered.trace, "spanId": answered.trace[:16],
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
