"""Talk to a language model for a person at the screen: the answer as it arrives. The key stays in the server."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from genops_lab.core.errors import InvalidRequest, Unavailable
from genops_lab.core.http_clients import httpx_client
from genops_lab.core.services import Service

from .asking import AskingService, retry_after_s
from .chat_models import ChatEnd, ChatPart, NewChat
from .load_models import TryAnswer

PATH = "/v1/chat/completions"
#: The longest silence in an answer: a CPU reads a long prompt for minutes.
SILENCE_S = 600.0
#: No more than this of a refusal is read.
MAX_REFUSAL = 64 * 1024


class ChattingService(Service):
    """Ask language models for the next message of a conversation."""

    def __init__(self, asking: AskingService) -> None:
        self._asking = asking

    async def chat_deployment(self, name: str, body: NewChat) -> AsyncIterator[ChatPart]:
        """Stream the next message of a conversation with a language model. Leaving ends the generation."""
        import httpx

        found = await self._asking.running(name)
        if not body.messages:
            raise InvalidRequest("The conversation has no message.", hint="Write a message first.")
        headers = await self._asking.headers(name, "application/json")
        timeout = httpx.Timeout(30.0, read=SILENCE_S)
        began = time.perf_counter()

        def ms() -> float:
            return round((time.perf_counter() - began) * 1000, 3)

        try:
            # No proxy of the environment: the gateway is on this machine.
            async with (
                httpx_client(timeout=timeout) as client,
                client.stream("POST", found.url + PATH, json=request(name, body), headers=headers) as answer,
            ):
                if answer.status_code != 200:
                    yield ChatPart(refused=await _refusal(answer, ms()), ms=ms())
                    return
                end = ChatEnd(
                    revision=int(answer.headers.get("X-Genops-Revision", "0")),
                    request_id=answer.headers.get("X-Request-Id", ""),
                )
                done = False
                async for line in answer.aiter_lines():
                    if line.strip() == "data: [DONE]":
                        done = True
                    elif line.startswith(("data:", "error:")):
                        part, end = read_event(name, line, end)
                        if part.text or part.reasoning:
                            yield msgspec.structs.replace(part, ms=ms())
                if not done:
                    raise _broken(name, "the stream has no end")
                yield ChatPart(end=end, ms=ms())
        except httpx.HTTPError as error:
            raise _broken(name, str(error) or type(error).__name__) from error


def request(name: str, body: NewChat) -> dict[str, Any]:
    """Return the body for ``/v1/chat/completions``, without what is left to the engine."""
    given = {key: value for key, value in msgspec.to_builtins(body).items() if value not in (None, [])}
    return {"model": name, **given, "stream": True, "stream_options": {"include_usage": True}}


def read_event(name: str, line: str, end: ChatEnd) -> tuple[ChatPart, ChatEnd]:
    """Return the text of a line of the stream, and what is known of the answer's end.

    Raises Unavailable for the engine's own error.
    """
    content: dict[str, Any] = json.loads(line.partition(":")[2])
    if (error := content.get("error")) is not None or line.startswith("error:"):
        told = error or content
        raise _broken(name, str(told.get("message", told)) if isinstance(told, dict) else str(told))
    if usage := content.get("usage"):
        end = msgspec.structs.replace(
            end,
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=usage.get("completion_tokens"),
        )
    text = reasoning = ""
    for choice in content.get("choices") or []:
        delta = choice.get("delta") or {}
        text += delta.get("content") or ""
        reasoning += delta.get("reasoning_content") or delta.get("reasoning") or ""
        if choice.get("finish_reason"):
            end = msgspec.structs.replace(end, finish=choice["finish_reason"])
    return ChatPart(text=text, reasoning=reasoning), end


async def _refusal(answer: Any, ms: float) -> TryAnswer:
    content = b""
    async for part in answer.aiter_bytes():
        content += part
        if len(content) > MAX_REFUSAL:
            break
    return TryAnswer(
        status=answer.status_code,
        body=content[:MAX_REFUSAL].decode("utf-8", "replace"),
        content_type=answer.headers.get("Content-Type", ""),
        ms=ms,
        revision=int(answer.headers.get("X-Genops-Revision", "0")),
        request_id=answer.headers.get("X-Request-Id", ""),
        retry_after_s=retry_after_s(answer.headers.get("Retry-After")),
    )


def _broken(name: str, why: str) -> Unavailable:
    return Unavailable(
        f"The answer of {name!r} broke off: {why.rstrip('.')}.",
        hint=f"Read its log: genops deployments logs {name}",
    )
