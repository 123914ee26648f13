"""A step of a conversation: what the model, the user or a tool said."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from genops_lab.genai.endpoints.limits import Usage


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message of a conversation, in the form of OpenAI's chats. ``name``: that of a tool, or of the model."""

    kind: Literal["model", "user", "tool"]
    message: dict[str, Any]
    name: str = ""
    at: float = 0.0
    latency_s: float = 0.0
    usage: Usage = Usage()


def summed(usages: list[Usage]) -> Usage:
    """Return the sum of tokens; it is known where each part is."""
    return Usage(
        input=sum(each.input for each in usages),
        output=sum(each.output for each in usages),
        cached_input=sum(each.cached_input for each in usages),
        reasoning=sum(each.reasoning for each in usages),
        known=all(each.known for each in usages),
    )
