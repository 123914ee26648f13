"""Ask a model over HTTP, by the protocol of OpenAI's chat completions."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from .limits import Limits, Price, Usage

#: Why a call has no answer.
Failure = Literal["refused", "key", "rate", "server", "timeout", "connection", "cut", "malformed"]
#: Failures that may pass: the call is made again.
PASSING = frozenset({"rate", "server", "timeout", "connection", "cut", "malformed"})
_MOST_BYTES = 8_000_000
_WORDS = 300
#: The shortest text of a token, in bytes: a call has no more input tokens than bytes by this.
_BYTES_OF_TOKEN = 1


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers. ``url`` ends before ``/chat/completions``; ``key`` is the value of its secret."""

    name: str
    url: str
    model: str
    key: str = ""
    headers: dict[str, str] = {}
    timeout_s: float = 120.0
    limits: Limits = Limits()
    price: Price | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of a model. ``model`` and ``fingerprint`` are those that the endpoint returned."""

    text: str
    usage: Usage = Usage()
    finish_reason: str = ""
    model: str = ""
    fingerprint: str = ""
    tool_calls: list[dict[str, Any]] = []


class CallFailed(Exception):
    """A call without an answer. ``after_s``: how long the endpoint asks to wait."""

    def __init__(self, kind: Failure, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.kind, self.message, self.after_s = kind, message, after_s


class Connection:
    """One HTTP client for all calls to an endpoint. Use as an asynchronous context manager."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._url = endpoint.url.rstrip("/") + "/chat/completions"

    async def __aenter__(self) -> Connection:
        self._httpx = importlib.import_module("httpx")
        at_once = self.endpoint.limits.at_once
        self._client = self._httpx.AsyncClient(
            timeout=self._httpx.Timeout(self.endpoint.timeout_s, connect=min(10.0, self.endpoint.timeout_s)),
            limits=self._httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once),
        )
        self._headers = {"content-type": "application/json", **self.endpoint.headers}
        if self.endpoint.key:
            self._headers["authorization"] = f"Bearer {self.endpoint.key}"
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._client.aclose()

    async def ask(self, messages: list[dict[str, Any]], settings: Mapping[str, Any]) -> Answer:
        """Return the answer to messages. Raises CallFailed."""
        httpx = self._httpx
        body = json.dumps({"model": self.endpoint.model, "messages": messages, **settings}).encode()
        try:
            response = await self._client.post(self._url, content=body, headers=self._headers)
        except httpx.TimeoutException as error:
            raise CallFailed("timeout", f"no answer within {self.endpoint.timeout_s:g} s") from error
        except httpx.RemoteProtocolError as error:
            raise CallFailed("cut", f"the answer broke off: {error}") from error
        except httpx.HTTPError as error:
            raise CallFailed("connection", f"{type(error).__name__}: {error}") from error
        return answer_of(response.status_code, response.headers, response.content)


def most_tokens(messages: list[dict[str, Any]], settings: Mapping[str, Any]) -> Usage:
    """Return the most tokens that a call can use: a byte of the messages has one input token at most."""
    most = int(settings.get("max_tokens") or settings.get("max_completion_tokens") or 0)
    return Usage(input=len(json.dumps(messages).encode()) // _BYTES_OF_TOKEN, output=most)


def answer_of(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    """Return the answer in a response. Raises CallFailed."""
    if status != 200:
        raise CallFailed(_kind(status), f"HTTP {status}: {_said(content)}", _after(headers))
    if len(content) > _MOST_BYTES:
        raise CallFailed("malformed", f"the answer has {len(content):,} bytes")
    try:
        found = json.loads(content)
        choice = found["choices"][0]
        message = choice["message"]
        text, calls = message.get("content") or "", message.get("tool_calls") or []
        if not isinstance(text, str) or not isinstance(calls, list):
            raise TypeError("content")
        return Answer(
            text=text, usage=usage_of(found.get("usage") or {}), tool_calls=calls,
            finish_reason=str(choice.get("finish_reason") or ""), model=str(found.get("model") or ""),
            fingerprint=str(found.get("system_fingerprint") or ""),
        )  # fmt: skip
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise CallFailed("malformed", f"the answer is no chat completion: {_said(content)}") from error


def usage_of(given: Mapping[str, Any]) -> Usage:
    """Return the tokens that an endpoint counted."""

    def number(value: Any) -> int:
        return int(value) if isinstance(value, int | float) else 0

    inner = given.get("prompt_tokens_details") or {}
    outer = given.get("completion_tokens_details") or {}
    return Usage(
        input=number(given.get("prompt_tokens")), output=number(given.get("completion_tokens")),
        cached_input=number(inner.get("cached_tokens")), reasoning=number(outer.get("reasoning_tokens")),
    )  # fmt: skip


def _kind(status: int) -> Failure:
    if status in (401, 403):
        return "key"
    if status == 429:
        return "rate"
    return "server" if status >= 500 or status in (408, 409) else "refused"


def _after(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None


def _said(content: bytes) -> str:
    """Return the message of an error, or the beginning of what was sent."""
    try:
        error = json.loads(content).get("error")
        text = error.get("message") if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        text = None
    words = str(text) if text else content[:_WORDS].decode(errors="replace")
    return " ".join(words.split())[:_WORDS]
