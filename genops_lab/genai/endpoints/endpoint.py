"""Ask a model over HTTP, by the protocol of OpenAI's chat completions or embeddings."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import importlib
import json
import os
import re
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import msgspec

from genops_lab.core.errors import Conflict
from genops_lab.core.http_clients import aiohttp_session

from .embeddings import as_text
from .failures import MAY_COST, PASSING, CallFailed, Failure
from .limits import Limits, Price, Usage
from .models import EndpointTask
from .providers import LiteLLMChild
from .shared_limits import SharedLimits

__all__ = ["MAY_COST", "PASSING", "Answer", "CallFailed", "Connection", "Endpoint", "Failure", "Stream"]

_MOST_BYTES = 8_000_000
_WORDS = 300
#: A shorter key may be a word of an answer.
_LEAST_KEY = 8
#: 502 Bad Gateway, 503 Service Unavailable, and what some providers answer when they are overloaded.
_AWAY = frozenset({502, 503, 529})
#: More tokens of one call than this are no count.
_MOST_TOLD = 1e12
_MOST_TOKENS = ("max_tokens", "max_completion_tokens")
#: The shortest text of a token, in bytes: a call has no more input tokens than bytes by this.
_BYTES_OF_TOKEN = 1


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers. ``url`` ends before ``/chat/completions``; ``key`` is the value of its secret.

    ``task`` "embeddings": the text of an answer is the embedding of the last message; see :mod:`.embeddings`.

    ``litellm``: LiteLLM asks, and ``model`` is its name, such as ``anthropic/NAME``. A ``url`` is then optional.

    ``limits_folder``: all that ask with this folder share the limits; see :mod:`.shared_limits`.
    """

    name: str
    task: EndpointTask = "chat"
    litellm: bool = False
    url: str
    model: str
    key: str = ""
    headers: dict[str, str] = {}
    timeout_s: float = 120.0
    limits: Limits = Limits()
    limits_folder: str = ""
    price: Price | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of a model. ``model`` and ``fingerprint`` are those that the endpoint returned."""

    text: str
    usage: Usage = Usage()
    finish_reason: str = ""
    model: str = ""
    fingerprint: str = ""
    tool_calls: list[dict[str, Any]] = []


class Connection:
    """One HTTP client for all calls to an endpoint. Use as an asynchronous context manager."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._base = endpoint.url.rstrip("/")
        self._url = self._base + ("/embeddings" if endpoint.task == "embeddings" else "/chat/completions")
        #: The headers of the last response; empty before the first, and with LiteLLM.
        self.headers: Mapping[str, str] = {}

    async def __aenter__(self) -> Connection:
        self._child = await LiteLLMChild().__aenter__() if self.endpoint.litellm else None
        # Imported late: 0.1 s. A call by httpx costs 1 ms more of CPU, and two packets.
        self._aiohttp = aiohttp = importlib.import_module("aiohttp")
        context = certificates() if self._url.startswith("https:") else True
        self._client = aiohttp_session(
            connector=aiohttp.TCPConnector(limit=self.endpoint.limits.at_once, ssl=context),
            trust_env=bool(urllib.request.getproxies()),  # a thread for each call: only where it is needed
        )
        self._headers = {"content-type": "application/json", **self.endpoint.headers}
        if self.endpoint.key:
            self._headers["authorization"] = f"Bearer {self.endpoint.key}"
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._client.close()
        if self._child is not None:
            await self._child.__aexit__()

    async def ask(self, messages: list[dict[str, Any]], settings: Mapping[str, Any]) -> Answer:
        """Return the answer to messages. Raises CallFailed."""
        read = embedding_of if self.endpoint.task == "embeddings" else answer_of
        return read(*await self.ask_raw(messages, settings))

    async def ask_raw(
        self, messages: list[dict[str, Any]], settings: Mapping[str, Any]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return the status, the headers and the body of the answer as they are. Raises CallFailed without one."""
        if self._child is not None:
            endpoint, asked = self.endpoint, {"messages": messages, **settings}
            status, headers, content = await self._child.ask(
                endpoint.model, endpoint.key, endpoint.url, asked, endpoint.timeout_s
            )
            return status, headers, self._without_key(content)
        embeds = self.endpoint.task == "embeddings"
        asked = {"input": messages[-1]["content"]} if embeds else {"messages": messages}
        async with self._response({**asked, **settings}, total=self.endpoint.timeout_s) as response:
            content = await _body(response)
        return response.status, response.headers, self._without_key(content)

    @contextlib.asynccontextmanager
    async def turn(
        self, messages: list[dict[str, Any]], settings: Mapping[str, Any], wait_s: float | None = None
    ) -> AsyncIterator[None]:
        """Wait for the turn of one call by the shared limits of the endpoint, and hold one of its calls at once.

        The call counts with the most tokens that it can use. Raises Conflict after ``wait_s``.
        """
        limits = SharedLimits(self.endpoint.limits, self.endpoint.limits_folder)
        async with contextlib.AsyncExitStack() as stack:
            try:
                await asyncio.wait_for(stack.enter_async_context(limits.one_of_at_once()), wait_s)
                await asyncio.wait_for(limits.turn(most_tokens(messages, settings).total), wait_s)
            except asyncio.TimeoutError as error:
                raise Conflict(
                    f"Other calls used the limits of {self.endpoint.name} for {wait_s:g} s.",
                    hint="Try again when the evaluation or the trial that asks the endpoint has ended.",
                    code="limits_in_use",
                ) from error
            yield

    def _without_key(self, content: bytes) -> bytes:
        """Return an answer with the key taken out: some endpoints repeat it in errors, which are kept."""
        key = self.endpoint.key.encode()
        return content.replace(key, b"[key]") if len(key) >= _LEAST_KEY else content

    async def models(self) -> list[str]:
        """Return the models that the endpoint lists; none where it lists none, or not to this key."""
        if self._child is not None:
            return []
        aiohttp = self._aiohttp
        timeout = aiohttp.ClientTimeout(total=min(10.0, self.endpoint.timeout_s))
        try:
            async with self._client.get(
                f"{self._base}/models", headers=self._headers, allow_redirects=False, timeout=timeout
            ) as response:
                content = await _body(response)
            found = msgspec.json.decode(content, type=_Models) if response.status == 200 else _Models()
        except (aiohttp.ClientError, asyncio.TimeoutError, msgspec.MsgspecError, CallFailed):
            return []
        return [each.id for each in found.data]

    async def ask_streamed(
        self, messages: list[dict[str, Any]], settings: Mapping[str, Any], tell: Callable[[str], None]
    ) -> Answer:
        """Return the answer to messages, and tell each part of its text as it arrives. Raises CallFailed.

        The endpoint is asked for the tokens of the stream; those of one that does not tell them are not known.
        LiteLLM's answers come whole.
        """
        if self._child is not None:
            answer = await self.ask(messages, settings)
            tell(answer.text)
            return answer
        asked = {
            "messages": messages, **settings, "stream": True, "stream_options": {"include_usage": True}
        }  # fmt: skip
        stream = Stream()
        async with self._response(asked, sock_read=self.endpoint.timeout_s) as response:
            if response.status != 200:
                answer_of(response.status, response.headers, self._without_key(await _body(response)))
            begun = b""
            async for part in response.content.iter_any():
                *lines, begun = (begun + part).split(b"\n")
                if len(begun) > _MOST_BYTES:
                    raise CallFailed("malformed", f"the answer has over {_MOST_BYTES:,} bytes")
                for line in lines:
                    if text := stream.add(self._without_key(line).decode(errors="replace").rstrip("\r")):
                        tell(text)
            stream.add(begun.decode(errors="replace"))
        return stream.answer()

    @contextlib.asynccontextmanager
    async def _response(self, asked: Mapping[str, Any], **timeout: float) -> AsyncIterator[Any]:
        """Yield the response. Raises CallFailed. A redirect is not followed: it could take the key elsewhere."""
        aiohttp = self._aiohttp
        body = json.dumps({"model": self.endpoint.model, **asked}).encode()
        connect = min(10.0, self.endpoint.timeout_s)
        try:
            async with self._client.post(
                self._url, data=body, headers=self._headers, allow_redirects=False,
                timeout=aiohttp.ClientTimeout(**{"total": None, "sock_connect": connect, **timeout}),
            ) as response:  # fmt: skip
                self.headers = response.headers
                yield response
        except asyncio.TimeoutError as error:
            raise CallFailed("timeout", f"no answer within {self.endpoint.timeout_s:g} s") from error
        except (
            aiohttp.ServerDisconnectedError,
            aiohttp.ClientPayloadError,
            aiohttp.ClientResponseError,
        ) as error:
            raise CallFailed("cut", f"the answer broke off: {error}") from error
        except aiohttp.ClientConnectorError as error:
            secure = isinstance(error, aiohttp.ClientSSLError)
            why = os.strerror(error.errno) if (error.errno or 0) > 0 and not secure else str(error.os_error)
            message = f"no connection to {error.host}:{error.port}: {why}"
            raise CallFailed("connection", message) from error
        except aiohttp.ClientError as error:
            raise CallFailed("connection", f"{type(error).__name__}: {error}") from error


async def _body(response: Any) -> bytes:
    """Return the body of a response. Raises CallFailed for one that is too long, before it is all in memory."""
    found = bytearray()
    async for part in response.content.iter_any():
        found += part
        if len(found) > _MOST_BYTES:
            raise CallFailed("malformed", f"the answer has over {_MOST_BYTES:,} bytes")
    return bytes(found)


def certificates() -> ssl.SSLContext:
    """Return what HTTPS trusts: the files that the environment names, else those of the system and of certifi."""
    context = ssl.create_default_context()
    if not {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys():
        with contextlib.suppress(ImportError):  # requests brings it
            context.load_verify_locations(importlib.import_module("certifi").where())
    return context


class _Listed(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    """The answer of ``/models``."""

    data: list[_Listed] = []


class Stream:
    """The parts of a streamed answer.

    >>> stream = Stream()
    >>> stream.add('data: {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}')
    'Hi'
    >>> stream.add("data: [DONE]"), stream.answer().text, stream.answer().usage.known
    ('', 'Hi', False)
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._usage: Mapping[str, Any] | None = None
        self._told = {"finish_reason": "", "model": "", "fingerprint": ""}
        self._bytes = 0
        self._done = False

    def add(self, line: str) -> str:
        """Take a line of the stream, and return its text. Raises CallFailed."""
        self._bytes += len(line)
        if self._bytes > _MOST_BYTES:
            raise CallFailed("malformed", f"the answer has over {_MOST_BYTES:,} bytes")
        if not line.startswith("data:"):
            return ""
        content = line.removeprefix("data:").strip()
        if content == "[DONE]":
            self._done = True
            return ""
        try:
            return self._part(_json(content.encode()))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CallFailed("malformed", f"the stream is no chat completion: {content[:_WORDS]}") from error

    def _part(self, found: dict[str, Any]) -> str:
        if error := found.get("error"):
            raise CallFailed("server", _said(json.dumps({"error": error}).encode()))
        self._usage = found.get("usage") or self._usage
        self._told["model"] = str(found.get("model") or self._told["model"])
        self._told["fingerprint"] = str(found.get("system_fingerprint") or self._told["fingerprint"])
        text = ""
        for choice in found.get("choices") or []:
            delta = choice.get("delta") or {}
            text += delta.get("content") or ""
            for call in delta.get("tool_calls") or []:
                _join_call(self._calls.setdefault(int(call.get("index", 0)), {}), call)
            self._told["finish_reason"] = str(choice.get("finish_reason") or self._told["finish_reason"])
        self._texts.append(text)
        return text

    def answer(self) -> Answer:
        """Return the whole answer. Raises CallFailed if the stream has no end."""
        if not (self._done or self._told["finish_reason"]):
            raise CallFailed("cut", "the stream broke off")
        calls = [call for _index, call in sorted(self._calls.items())]
        return Answer(text="".join(self._texts), usage=usage_of(self._usage), tool_calls=calls, **self._told)


def _join_call(call: dict[str, Any], part: Mapping[str, Any]) -> None:
    """Add a part of a tool call: its id and name come once, its arguments in pieces."""
    call.update({key: part[key] for key in ("id", "type") if part.get(key)})
    function, more = call.setdefault("function", {"name": "", "arguments": ""}), part.get("function") or {}
    function["name"] += more.get("name") or ""
    function["arguments"] += more.get("arguments") or ""


def most_tokens(messages: list[dict[str, Any]], settings: Mapping[str, Any]) -> Usage:
    """Return the most tokens that a call can use: a byte of the messages has one input token at most.

    ``max_completion_tokens`` is that of reasoning models, and includes their reasoning.

    >>> most_tokens([], {"max_completion_tokens": 500, "n": 2}).output
    1000
    """
    each = max(int(settings.get(name) or 0) for name in _MOST_TOKENS)
    given = json.dumps([messages, settings.get("tools") or [], settings.get("response_format") or {}])
    return Usage(input=len(given.encode()) // _BYTES_OF_TOKEN, output=each * int(settings.get("n") or 1))


def is_bounded(settings: Mapping[str, Any]) -> bool:
    """Return whether settings bound the tokens of an answer, so that a budget can be kept.

    >>> is_bounded({"max_tokens": 100}), is_bounded({"max_tokens": None}), is_bounded({"max_tokens": "100"})
    (True, False, False)
    """
    given = [settings[name] for name in _MOST_TOKENS if settings.get(name) is not None]
    return bool(given) and all(type(each) is int and each > 0 for each in given)


def answer_of(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    """Return the answer in a response. Raises CallFailed."""
    if status != 200:
        raise CallFailed(_kind(status), f"HTTP {status}: {_said(content)}", _after(headers))
    if len(content) > _MOST_BYTES:  # LiteLLM's
        raise CallFailed("malformed", f"the answer has over {_MOST_BYTES:,} bytes")
    try:
        found = _json(content)
        choice = found["choices"][0]
        message = choice["message"]
        text, calls = message.get("content") or "", message.get("tool_calls") or []
        if not isinstance(text, str) or not all(isinstance(each, dict) for each in calls):
            raise TypeError("content")
        return Answer(
            text=text, usage=usage_of(found.get("usage")), tool_calls=calls,
            finish_reason=str(choice.get("finish_reason") or ""), model=str(found.get("model") or ""),
            fingerprint=str(found.get("system_fingerprint") or ""),
        )  # fmt: skip
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise CallFailed("malformed", f"the answer is no chat completion: {_said(content)}") from error


def embedding_of(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    """Return the embedding in a response as an answer. Raises CallFailed."""
    if status != 200:
        raise CallFailed(_kind(status), f"HTTP {status}: {_said(content)}", _after(headers))
    try:
        found = _json(content)
        (each,) = found["data"]
        usage = found.get("usage")
        if isinstance(usage, dict):  # many servers leave out the output, which is none
            usage = {"completion_tokens": 0, **usage}
        return Answer(
            text=as_text(each["embedding"]), usage=usage_of(usage), finish_reason="stop",
            model=str(found.get("model") or ""), fingerprint=str(found.get("system_fingerprint") or ""),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise CallFailed("malformed", f"the answer is no embedding: {_said(content)}") from error


def _json(content: bytes) -> Any:
    """Return the JSON that an endpoint sent. Raises ValueError.

    A half of a character, such as of an emoji that was cut, becomes a question mark: no file can keep it.
    """
    try:
        found = json.loads(content)
        if b"\\ud" in content.lower():
            found = json.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))
    except RecursionError as error:
        raise ValueError("the JSON has too many levels") from error
    return found


def usage_of(given: Any) -> Usage:
    """Return the tokens that an endpoint counted; those that it did not count are not known."""

    def is_number(value: Any) -> bool:
        return isinstance(value, int | float) and 0 <= value <= _MOST_TOLD

    def number(value: Any) -> int:
        return int(value) if is_number(value) else 0

    if not isinstance(given, Mapping) or not all(
        is_number(given.get(name)) for name in ("prompt_tokens", "completion_tokens")
    ):
        return Usage(known=False)
    details = given.get("prompt_tokens_details"), given.get("completion_tokens_details")
    inner, outer = (each if isinstance(each, Mapping) else {} for each in details)
    told, written = number(given["prompt_tokens"]), number(given["completion_tokens"])
    return Usage(
        input=told, cached_input=min(told, number(inner.get("cached_tokens"))),
        output=written, reasoning=min(written, number(outer.get("reasoning_tokens"))),
    )  # fmt: skip


def _kind(status: int) -> Failure:
    if status in (401, 403):
        return "key"
    if status == 429:
        return "rate"
    if status in _AWAY:
        return "away"
    return "server" if status >= 500 or status in (408, 409) else "refused"


def _after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of ``Retry-After`` (RFC 9110: a number, or a date); None without one.

    >>> _after({"retry-after": "1.5"}), _after({"retry-after": "Fri, 01 Jan 1999 00:00:00 GMT"}), _after({})
    (1.5, 0.0, None)
    """
    told = headers.get("retry-after", "")
    if re.fullmatch(r"\d+(\.\d+)?", told):
        return float(told)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(told).timestamp() - time.time())
    except ValueError:
        return None


def _said(content: bytes) -> str:
    """Return the message of an error, or the beginning of what was sent."""
    try:
        error = _json(content).get("error")
        text = error.get("message") if isinstance(error, dict) else error
    except (ValueError, AttributeError):
        text = None
    words = str(text) if text else content[:_WORDS].decode(errors="replace")
    return " ".join(words.split())[:_WORDS]
