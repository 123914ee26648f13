"""A stub of OpenAI's chat completions and embeddings with planted faults, for all tests that ask models.

    with OpenAIStub(delay_s=0.05) as stub:
        Endpoint(name="stub", url=stub.url, model="stub-1", key=stub.key)
        stub.set(error_share=0.03, model="stub-2")     # what it does from now on
        stub.reset()                                   # no faults, nothing counted
        stub.status()["answered"], stub.requests()     # what was asked

It runs as a process of its own (a busy test does not delay answers) and ends with the test's stdin pipe. Which call
gets which fault depends on its number alone, so a run can be repeated. Answers are in :func:`answer_to`. The settings
are in :class:`Faults`. By itself: ``python -m tests.support.openai_stub 8000``.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass
class Faults:
    """What the stub does. A share is that of calls; each call is decided by its number."""

    delay_s: float = 0.0
    #: The bearer that is accepted; empty: any.
    key: str = "stub-key"
    #: The key is refused after so many calls; None: never.
    key_revoked_after: int | None = None
    model: str = "stub-1"
    fingerprint: str = "fp_1"
    #: The name and fingerprint of the model after so many calls, and its other answers.
    changes_after: int | None = None
    changed_model: str = "stub-2"
    changed_fingerprint: str = "fp_2"
    error_share: float = 0.0
    #: Requests whose last message contains one of these always fail with HTTP 500.
    always_fails: tuple[str, ...] = ()
    hang_share: float = 0.0
    hang_s: float = 3600.0
    #: Answers that break off in the middle, and those whose body is whole but cut JSON.
    cut_share: float = 0.0
    bad_json_share: float = 0.0
    #: Answers of a million characters.
    huge_share: float = 0.0
    #: Calls a second, above which HTTP 429 is answered; None: no limit.
    calls_per_s: float | None = None
    #: Until this time (``time.time()``) each call gets HTTP 429, or no connection.
    storm_until: float = 0.0
    away_until: float = 0.0
    #: Retry-After of HTTP 429: ``seconds``, ``date`` or ``none``.
    retry_after: str = "seconds"
    retry_after_s: float = 1.0
    #: A setting, such as ``temperature``, that is refused with HTTP 400.
    refuses: tuple[str, ...] = ()
    #: Tokens that are written even where ``max_tokens`` is less; None: ``max_tokens`` is kept.
    ignores_max_tokens: int | None = None
    #: Of the input, and of the output before the answer.
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    #: False: answers have no usage.
    usage: bool = True
    #: Answers to messages that contain a text, before all others: ``{"2+2": "4"}``.
    answers: dict[str, str] | None = None
    #: Headers of answers, such as those with limits.
    headers: dict[str, str] | None = None
    #: Another model than ``model`` is refused with HTTP 404.
    only_model: bool = False
    #: How many numbers an embedding has; a text of ``zero_embeddings`` has only zeros.
    embedding_size: int = 16
    zero_embeddings: tuple[str, ...] = ()
    #: Embeddings with a number that is none.
    bad_embeddings: bool = False
    #: Each answer has a number of its own, as at a high temperature.
    varied: bool = False


def answer_to(message: str, model: str = "stub-1") -> str:
    """Return the answer of the stub to the last message: always the same for a model.

    >>> answer_to("Say A") == answer_to("Say A"), answer_to("Say A") == answer_to("Say A", "stub-2")
    (True, False)
    """
    digest = hashlib.sha256(f"{model}\0{message}".encode()).hexdigest()
    return f"The answer is {digest[:8]}."


class OpenAIStub:
    """The test's handle. ``url`` ends before ``/chat/completions``."""

    def __init__(self, **faults: Any) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--control"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._lock = threading.Lock()
        assert self._process.stdout is not None
        self.port: int = json.loads(self._process.stdout.readline())["port"]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self.key = Faults().key
        self.pid = self._process.pid
        self._first = faults
        self.reset()

    def __enter__(self) -> OpenAIStub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def set(self, **faults: Any) -> None:
        """Change what it does; what is not named stays."""
        self._tell("set", faults=faults)

    def reset(self, **faults: Any) -> None:
        """Do what was asked at the beginning, with these changes, and count from 0."""
        self._tell("reset", faults={**self._first, **faults})

    def status(self) -> dict[str, Any]:
        """Return what was counted: ``calls``, ``answered``, ``at_once`` (the most), and a number for each fault."""
        return self._tell("status")

    def requests(self) -> list[dict[str, Any]]:
        """Return the bodies of all calls, in their order, each with its ``headers`` but no key."""
        found: list[dict[str, Any]] = self._tell("requests")["requests"]
        return found

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def _tell(self, command: str, **given: Any) -> dict[str, Any]:
        with self._lock:
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.stdin.write(json.dumps({"command": command, **given}).encode() + b"\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
            assert "error" not in answer, answer["error"]
            return answer


class Stub:
    """The server, in its own process."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.clear()

    def clear(self) -> None:
        self.counts: dict[str, int] = {}
        self.kept: list[dict[str, Any]] = []
        self._now = self._second = self._in_second = 0

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of a connection, one after the other."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        line = await reader.readline()
        if not line:
            return False
        method, path, _version = line.decode().split()
        headers = {}
        while (header := (await reader.readline()).decode().strip()) != "":
            name, _, value = header.partition(":")
            headers[name.strip().lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if time.time() < self.faults.away_until:
            self.count("away")
            return False
        if method == "GET" and path.endswith("/models"):
            if self._refuses_key(headers):
                return self._error(writer, 401, "Incorrect API key provided.")
            return self._send(
                writer, {"object": "list", "data": [{"id": self.faults.model, "object": "model"}]}
            )
        if method != "POST" or not path.endswith(("/chat/completions", "/embeddings")):
            return self._error(writer, 404, f"There is no {path}.")
        self._now += 1
        self.counts["at_once"] = max(self.counts.get("at_once", 0), self._now)
        try:
            return await self._chat(reader, writer, headers, body, embeds=path.endswith("/embeddings"))
        finally:
            self._now -= 1

    def _refuses_key(self, headers: dict[str, str]) -> bool:
        after = self.faults.key_revoked_after
        revoked = after is not None and self.counts.get("calls", 0) > after
        return revoked or bool(
            self.faults.key and headers.get("authorization") != f"Bearer {self.faults.key}"
        )

    async def _chat(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: dict[str, str], raw: bytes,
        embeds: bool,
    ) -> bool:  # fmt: skip
        faults = self.faults
        self.count("calls")
        number = self.counts["calls"]
        try:
            body = json.loads(raw)
            last = str(body["input"]) if embeds else _text(body["messages"][-1])
        except (ValueError, KeyError, IndexError, TypeError):
            return self._error(writer, 400, "The body is no chat completion.")
        told = {name: value for name, value in headers.items() if name != "authorization"}
        self.kept.append({**body, "headers": told})
        if self._refuses_key(headers):
            self.count("key")
            return self._error(writer, 401, "Incorrect API key provided.")
        if time.time() < faults.storm_until or self._too_fast():
            self.count("rate")
            return self._error(writer, 429, "Rate limit reached.", self._retry_after())
        if faults.only_model and body.get("model") != faults.model:
            return self._error(writer, 404, f"The model {body.get('model')} does not exist.")
        for name in faults.refuses:
            if name in body:
                self.count("refused")
                return self._error(
                    writer, 400, f"Unsupported parameter: {name!r} is not supported with this model."
                )
        if faults.delay_s:
            await asyncio.sleep(faults.delay_s)
        fault = _fault(number, faults)
        if fault == "hang":
            self.count("hang")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(), faults.hang_s)  # until the client leaves
                return False
        if fault == "error" or any(text in last for text in faults.always_fails):
            self.count("error")
            return self._error(writer, 500, "The server had an error.")
        if embeds:
            self.count("answered")
            return self._write(writer, 200, json.dumps(self._embedding(last)).encode(), faults.headers)
        changed = faults.changes_after is not None and number > faults.changes_after
        model = faults.changed_model if changed else faults.model
        text = next((said for part, said in (faults.answers or {}).items() if part in last), None)
        text = answer_to(last, model) if text is None else text
        text = f"{text} ({number})" if faults.varied else text
        text = text + " x" * 500_000 if fault == "huge" else text
        answer = self._answer(
            body, text, model, faults.changed_fingerprint if changed else faults.fingerprint
        )
        self.count("answered" if fault in ("", "hang", "huge") else fault)
        if fault == "huge":
            self.count("huge")
        if body.get("stream"):
            return await self._stream(writer, body, answer, cut=fault == "cut")
        data = json.dumps(answer).encode()
        if fault == "bad_json":
            return self._write(writer, 200, data[: len(data) // 2])
        if fault == "cut":
            self._write(writer, 200, data[: len(data) // 2], length=len(data))
            await writer.drain()
            return False
        self._write(writer, 200, data, faults.headers)
        await writer.drain()
        return True

    def _embedding(self, text: str) -> dict[str, Any]:
        """Return the embedding of a text: each word has a direction, so texts with words in common are alike."""
        faults = self.faults
        vector: list[Any] = [0.0] * faults.embedding_size
        for word in text.lower().split() if text not in faults.zero_embeddings else []:
            digest = hashlib.sha256(f"{faults.model} {word}".encode()).digest()
            for at in range(faults.embedding_size):
                vector[at] += digest[at % 32] / 128 - 1
        if faults.bad_embeddings:
            vector[0] = None
        count = len(text.split())
        data = [{"object": "embedding", "index": 0, "embedding": vector}]
        usage = {"usage": {"prompt_tokens": count, "total_tokens": count}} if faults.usage else {}
        return {"object": "list", "data": data, "model": faults.model, **usage}

    def _too_fast(self) -> bool:
        if self.faults.calls_per_s is None:
            return False
        if (second := int(time.monotonic())) != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        return self._in_second > self.faults.calls_per_s

    def _retry_after(self) -> dict[str, str]:
        seconds = self.faults.retry_after_s
        if self.faults.retry_after == "date":
            return {"Retry-After": email.utils.formatdate(time.time() + seconds, usegmt=True)}
        return {"Retry-After": f"{seconds:g}"} if self.faults.retry_after == "seconds" else {}

    def _answer(self, body: dict[str, Any], text: str, model: str, fingerprint: str) -> dict[str, Any]:
        """Return a chat completion. A token is a word."""
        faults = self.faults
        most = body.get("max_completion_tokens") or body.get("max_tokens")
        words = text.split(" ")
        finish = "stop"
        if faults.ignores_max_tokens is not None:
            words = (words * faults.ignores_max_tokens)[: faults.ignores_max_tokens]
        elif most and len(words) + faults.reasoning_tokens > most:
            words, finish = words[: max(0, most - faults.reasoning_tokens)], "length"
        message: dict[str, Any] = {"role": "assistant", "content": " ".join(words)}
        if body.get("tools"):
            function = body["tools"][0]["function"]
            call = {
                "name": function["name"],
                "arguments": json.dumps({"question": _text(body["messages"][-1])}),
            }
            message = {
                "role": "assistant", "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
            }  # fmt: skip
            finish = "tool_calls"
        reasoning = min(faults.reasoning_tokens, most) if most else faults.reasoning_tokens
        given = sum(len(_text(each).split()) for each in body["messages"])
        written = len([word for word in words if word]) + reasoning
        usage = {
            "prompt_tokens": given, "completion_tokens": written, "total_tokens": given + written,
            "prompt_tokens_details": {"cached_tokens": min(faults.cached_tokens, given)},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }  # fmt: skip
        choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
        return {
            "id": f"chatcmpl-{self.counts['calls']}", "object": "chat.completion", "created": int(time.time()),
            "model": model, "system_fingerprint": fingerprint, "choices": [choice],
            **({"usage": usage} if faults.usage else {}),
        }  # fmt: skip

    async def _stream(
        self, writer: asyncio.StreamWriter, body: dict[str, Any], answer: dict[str, Any], cut: bool
    ) -> bool:
        head = {name: answer[name] for name in ("id", "created", "model", "system_fingerprint")}
        head["object"] = "chat.completion.chunk"
        message, finish = answer["choices"][0]["message"], answer["choices"][0]["finish_reason"]
        words = [
            f"{' ' if at else ''}{word}" for at, word in enumerate((message["content"] or "").split(" "))
        ]
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": word} for word in words if word]
        deltas += [{"tool_calls": [{"index": 0, **each}]} for each in message.get("tool_calls", [])]
        parts = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        parts.append({"index": 0, "delta": {}, "finish_reason": finish})
        chunks: list[dict[str, Any]] = [{**head, "choices": [part]} for part in parts]
        if (body.get("stream_options") or {}).get("include_usage") and "usage" in answer:
            chunks = [{**each, "usage": None} for each in chunks]
            chunks.append({**head, "choices": [], "usage": answer["usage"]})
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for chunk in chunks[: len(chunks) // 2] if cut else chunks:
            _chunk(writer, b"data: " + json.dumps(chunk).encode() + b"\n\n")
            await writer.drain()
        if cut:
            return False
        _chunk(writer, b"data: [DONE]\n\n")
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def _error(
        self, writer: asyncio.StreamWriter, status: int, message: str, headers: dict[str, str] | None = None
    ) -> bool:
        body = {"error": {"message": message, "type": "stub_error", "code": None}}
        return self._write(writer, status, json.dumps(body).encode(), headers)

    def _send(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> bool:
        return self._write(writer, 200, json.dumps(body).encode())

    def _write(
        self, writer: asyncio.StreamWriter, status: int, body: bytes, headers: dict[str, str] | None = None,
        length: int | None = None,
    ) -> bool:  # fmt: skip
        size = len(body) if length is None else length
        lines = [f"HTTP/1.1 {status} X", "Content-Type: application/json", f"Content-Length: {size}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        return True

    def do(self, command: str, given: dict[str, Any]) -> dict[str, Any]:
        """Do what the test's process asks."""
        if command == "reset":
            self.faults = Faults()
            self.clear()
        if command in ("set", "reset"):
            known = {each.name for each in fields(Faults)}
            if unknown := given["faults"].keys() - known:
                return {"error": f"no such faults: {unknown}"}
            for name, value in given["faults"].items():
                setattr(self.faults, name, tuple(value) if isinstance(value, list) else value)
            return asdict(self.faults)
        return (
            {"requests": self.kept} if command == "requests" else {"calls": 0, "answered": 0, **self.counts}
        )


def _fault(number: int, faults: Faults) -> str:
    """Return the fault of a call: each share is spread evenly over the numbers."""
    at = int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:4], "big") / 2**32
    for name in ("error", "hang", "cut", "bad_json", "huge"):
        share = getattr(faults, f"{name}_share")
        if at < share:
            return name
        at -= share
    return ""


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content)
    return str(content)


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))


async def _run(port: int, control: bool) -> None:
    stub = Stub()
    server = await asyncio.start_server(stub.serve, "127.0.0.1", port, backlog=1000)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    if not control:
        await server.serve_forever()
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        given = json.loads(line)
        print(json.dumps(stub.do(given["command"], given)), flush=True)
    os._exit(0)  # answers that hang are not waited for


if __name__ == "__main__":
    asyncio.run(_run(0 if sys.argv[1] == "--control" else int(sys.argv[1]), sys.argv[1] == "--control"))
