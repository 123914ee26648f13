"""Read what a rater sees of a trace: the turns, the answer and expected values; no model, no marks."""

from __future__ import annotations

import json
from typing import Any

from .models import LabelContent, LabelTurn

#: Characters of a text that is shown.
_SHOWN = 50_000


def content_of(trace: Any) -> LabelContent:
    """Return the content of an MLflow trace: that of its first span without a parent."""
    top = next((each for each in trace.data.spans if each.parent_id is None), None)
    inputs, outputs = (top.inputs, top.outputs) if top is not None else (None, None)
    return LabelContent(
        trace_id=trace.info.trace_id, turns=_turns(inputs), answer=_answer(outputs),
        expected={
            each.name: _text(each.expectation.value)
            for each in trace.info.assessments or []
            if each.expectation is not None and each.valid is not False
        },
    )  # fmt: skip


def _turns(inputs: Any) -> list[LabelTurn]:
    messages = inputs.get("messages") if isinstance(inputs, dict) else inputs
    if isinstance(messages, list) and all(isinstance(each, dict) and "role" in each for each in messages):
        return [LabelTurn(role=str(each["role"]), text=_text(each.get("content"))) for each in messages]
    return [] if inputs is None else [LabelTurn(role="user", text=_text(inputs))]


def _answer(outputs: Any) -> str:
    if isinstance(outputs, dict) and isinstance(outputs.get("choices"), list) and outputs["choices"]:
        message = outputs["choices"][0].get("message") or {}
        calls = message.get("tool_calls")
        said = _text(message.get("content"))
        return "\n".join(each for each in (said, _text(calls) if calls else "") if each)
    return _text(outputs)


def _text(value: Any) -> str:
    """Return a value as text; a picture of a turn by its kind."""
    if value is None:
        return ""
    if isinstance(value, list) and value and all(isinstance(each, dict) and "type" in each for each in value):
        return "\n".join(str(each.get("text") or f"[{each['type']}]") for each in value)[:_SHOWN]
    return (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, default=str)
    )[:_SHOWN]
