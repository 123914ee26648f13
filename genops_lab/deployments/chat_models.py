"""Wire types of the chat with a language model in the panel. Times in milliseconds since the request was sent."""

from __future__ import annotations

from typing import Literal

import msgspec

from .load_models import TryAnswer


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class NewChat(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the next message of a conversation. A setting that is null is left to the engine.

    ``stop`` are texts before which the answer ends.
    """

    messages: list[ChatMessage]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: list[str] = []


class ChatEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an answer. ``finish`` is the engine's reason: stop, length, ...

    ``prompt_tokens`` and ``completion_tokens`` are null if the engine does not count.
    """

    finish: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    revision: int = 0
    request_id: str = ""


class ChatPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer as it arrives. The last one has ``end``, or ``refused``: the answer of a failed request."""

    text: str = ""
    reasoning: str = ""
    ms: float = 0.0
    end: ChatEnd | None = None
    refused: TryAnswer | None = None
