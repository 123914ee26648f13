"""The spans of an answer as MLflow's ``Span.to_dict`` has them: one call, or a conversation with its steps."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.genai.endpoints.limits import Usage

from .steps import Step

if TYPE_CHECKING:
    from .traces import AnswerTrace

_NAME = "answer"
_TYPES = {"model": "CHAT_MODEL", "tool": "TOOL", "user": "CHAT_MODEL"}


def spans_of(trace: AnswerTrace) -> list[dict[str, Any]]:
    """Return the spans, the first one on top."""
    steps = trace.call.steps
    top = _top(trace, is_conversation=bool(steps))
    found, messages = [top], list(trace.wanted.messages)
    for number, step in enumerate(steps):
        if step.kind != "user" or step.at:  # a user of the row takes no time
            found.append(_step(trace, number, step, messages))
        messages = [*messages, step.message]
    if steps:
        top["end_time_unix_nano"] = max(each["end_time_unix_nano"] for each in found)
    return found


def _top(trace: AnswerTrace, is_conversation: bool) -> dict[str, Any]:
    call = trace.call
    attributes: dict[str, Any] = {
        "mlflow.spanType": "AGENT" if is_conversation else "CHAT_MODEL",
        "mlflow.spanInputs": {"messages": trace.wanted.messages, **trace.wanted.settings},
        "mlflow.llm.model": call.answer.model if call.answer else call.model,
        "mlflow.message.format": "openai",
    }
    if call.answer is not None:
        message: dict[str, Any] = {"role": "assistant", "content": call.answer.text}
        if call.answer.tool_calls and not is_conversation:
            message["tool_calls"] = call.answer.tool_calls
        attributes["mlflow.spanOutputs"] = {
            "choices": [{"index": 0, "message": message, "finish_reason": call.answer.finish_reason}]
        }
        if not is_conversation:
            attributes["mlflow.chat.tokenUsage"] = usage_of(call.answer.usage)
    return _span(trace, "", _NAME, (call.at, call.latency_s), attributes, "" if call.answer else call.message)


def _step(trace: AnswerTrace, number: int, step: Step, messages: list[dict[str, Any]]) -> dict[str, Any]:
    attributes: dict[str, Any] = {"mlflow.spanType": _TYPES[step.kind]}
    if step.kind == "tool":
        called: dict[str, Any] = next(
            (
                each
                for message in reversed(messages)
                for each in message.get("tool_calls") or []
                if each.get("id") == step.message.get("tool_call_id")
            ),
            {},
        )
        attributes["mlflow.spanInputs"] = _object((called.get("function") or {}).get("arguments", ""))
        attributes["mlflow.spanOutputs"] = _object(step.message["content"])
    else:
        attributes["mlflow.spanInputs"] = {"messages": messages}
        attributes["mlflow.spanOutputs"] = {
            "choices": [{"index": 0, "message": {**step.message, "role": "assistant"}}]
        }
        attributes["mlflow.llm.model"] = step.name
        attributes["mlflow.message.format"] = "openai"
        attributes["mlflow.chat.tokenUsage"] = usage_of(step.usage)
    name = f"user {step.name}" if step.kind == "user" else step.name
    return _span(trace, str(number), name, (step.at, step.latency_s), attributes, "")


def _object(text: str) -> Any:
    """Return what JSON in a text has, as MLflow would; other texts as they are."""
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return found if isinstance(found, dict | list) else text


def _span(
    trace: AnswerTrace, part: str, name: str, when: tuple[float, float], attributes: dict[str, Any], error: str
) -> dict[str, Any]:  # fmt: skip
    started = int(when[0] * 1e9)
    is_error = not part and trace.call.answer is None
    attributes = {"mlflow.traceRequestId": trace.id, **attributes}
    return {
        "trace_id": base64.b64encode(bytes.fromhex(trace.id[3:])).decode(),
        "span_id": _span_id(trace, part),
        "parent_span_id": _span_id(trace, "") if part else None,
        "name": name,
        "start_time_unix_nano": started,
        "end_time_unix_nano": started + int(when[1] * 1e9),
        "events": [],
        "status": {"code": "STATUS_CODE_ERROR" if is_error else "STATUS_CODE_OK", "message": error},
        "attributes": {key: msgspec.json.encode(value).decode() for key, value in attributes.items()},
        "links": [],
    }


def _span_id(trace: AnswerTrace, part: str) -> str:
    whole = f"{trace.id}\n{part}" if part else trace.id
    return base64.b64encode(bytes.fromhex(hash_of(whole)[:16])).decode()


def id_of(encoded: str) -> str:
    """Return an id of a span as MLflow's tables have it."""
    return base64.b64decode(encoded).hex()


def usage_of(usage: Usage) -> dict[str, int]:
    """Return tokens as MLflow has them."""
    return {"input_tokens": usage.input, "output_tokens": usage.output, "total_tokens": usage.total}


def hash_of(text: str) -> str:
    """Return a digest of 32 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
