"""Read what a rater sees of a trace: the turns, the answer and expected values; no model, no marks."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

from genops_lab.genai.evaluations.attachments import text_of_part, with_content
from genops_lab.genai.traces.content import shown_pictures

from .models import LabelContent, LabelTurn

#: Characters of a text that is shown.
_SHOWN = 50_000


def content_of(trace: Any, attachments: Path | None = None) -> LabelContent:
    """Return the content of an MLflow trace: that of its first span without a parent.

    ``attachments``: the folder with pictures of an evaluation that are too large for a trace.
    """
    top = next((each for each in trace.data.spans if each.parent_id is None), None)
    inputs, outputs = (top.inputs, top.outputs) if top is not None else (None, None)
    return LabelContent(
        trace_id=trace.info.trace_id, turns=_turns(inputs, attachments), answer=_answer(outputs),
        expected={
            each.name: _text(each.expectation.value)
            for each in trace.info.assessments or []
            if each.expectation is not None and each.valid is not False
        },
    )  # fmt: skip


def _turns(inputs: Any, attachments: Path | None) -> list[LabelTurn]:
    messages = inputs.get("messages") if isinstance(inputs, dict) else inputs
    if isinstance(messages, list) and all(isinstance(each, dict) and "role" in each for each in messages):
        return [_turn(each, attachments) for each in messages]
    return [] if inputs is None else [LabelTurn(role="user", text=_text(inputs))]


def _turn(message: dict[str, Any], attachments: Path | None) -> LabelTurn:
    role, content = str(message["role"]), message.get("content")
    if not isinstance(content, list) or not _has_parts(content):
        return LabelTurn(role=role, text=_text(content))
    if attachments is not None:
        with contextlib.suppress(OSError):  # the evaluation was deleted: its trace has the small pictures
            (message,) = with_content([message], attachments)
    pictures = shown_pictures(message["content"])
    texts = [text for each in content if (text := text_of_part(each)) != "[picture]"]
    return LabelTurn(role=role, text="\n".join(texts)[:_SHOWN], pictures=pictures)


def _answer(outputs: Any) -> str:
    if isinstance(outputs, dict) and isinstance(outputs.get("choices"), list) and outputs["choices"]:
        message = outputs["choices"][0].get("message") or {}
        calls = message.get("tool_calls")
        said = _text(message.get("content"))
        return "\n".join(each for each in (said, _text(calls) if calls else "") if each)
    return _text(outputs)


def _text(value: Any) -> str:
    """Return a value as text; a picture by its name."""
    if value is None:
        return ""
    if _has_parts(value):
        return "\n".join(text_of_part(each) for each in value)[:_SHOWN]
    return (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1, default=str)
    )[:_SHOWN]


def _has_parts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(
        isinstance(each, dict) and "type" in each for each in value
    )  # fmt: skip
