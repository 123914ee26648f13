"""Take secrets and personal data out of what an evaluation keeps in MLflow. The setting is that of kernels' traces."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from genops_lab.redaction.documents import DocumentRedactor
from genops_lab.redaction.presidio import recognizer

from .traces import AnswerTrace

Redact = Callable[[Any], Any]


def redact_of(mode: str) -> Redact | None:
    """Return what redacts a document by the setting: off, secrets or personal. None while it is off."""
    if mode == "off":
        return None
    people = mode == "personal"
    redactor = DocumentRedactor(people=people, recognize=recognizer() if people else None)
    return lambda document: redactor.redact(document).document


def redacted(trace: AnswerTrace, redact: Redact) -> AnswerTrace:
    """Return the trace without what the setting takes out, under the same id. A value has one placeholder in it."""
    call, answer = trace.call, trace.call.answer
    found = redact(
        {
            "example": trace.wanted.example,
            "messages": trace.wanted.messages,
            "settings": trace.wanted.settings,
            "text": answer.text if answer else "",
            "tool_calls": answer.tool_calls if answer else [],
            "message": call.message,
            "reasons": [mark.reason for mark in trace.marks],
            "expected": trace.expected,
            "steps": [step.message for step in call.steps],
        }
    )
    if answer is not None:
        answer = replace(answer, text=found["text"], tool_calls=found["tool_calls"])
    steps = [replace(step, message=message) for step, message in zip(call.steps, found["steps"], strict=True)]
    wanted = replace(
        trace.wanted, example=found["example"], messages=found["messages"], settings=found["settings"]
    )
    marks = [mark._replace(reason=reason) for mark, reason in zip(trace.marks, found["reasons"], strict=True)]
    return dataclasses.replace(
        trace, wanted=wanted, call=replace(call, answer=answer, message=found["message"], steps=steps), marks=marks,
        expected=found["expected"],
    )  # fmt: skip
