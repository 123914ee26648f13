"""An endpoint of chat completions whose answers a test decides, and evaluations that ask it in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.evaluations.models import AnswerEvaluation, NewAnswerEvaluation
from genops_lab.genai.evaluations.process import AnswersProcess

#: Gets the number of the call, from 0, the last message and the headers: a status, a body (a text becomes an answer),
#: and seconds to wait; infinity waits until ``Answering.opened`` is set. A body of None never comes.
Reply = Callable[[int, str, dict[str, str]], tuple[int, Any, float]]


def answer(text: str, *, tokens: int = 3, model: str = "stub-1", **more: Any) -> bytes:
    """Return the body of an answer."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}
    usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
    return json.dumps({"model": model, "choices": [choice], "usage": usage}).encode()


class Answering:
    """The endpoint. ``said`` has the last messages of all calls, in the order of their coming."""

    #: The Retry-After of HTTP 429.
    retry_after = "0.05"

    def __init__(self, reply: Reply) -> None:
        self.reply, self.said = reply, list[str]()
        self.bodies: list[dict[str, Any]] = []
        self.opened = threading.Event()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), contextlib.closing(writer):
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                self.bodies.append(body)
                self.said.append(body["messages"][-1]["content"])
                status, content, wait_s = self.reply(len(self.said) - 1, self.said[-1], headers)
                while wait_s == math.inf and not self.opened.is_set():
                    await asyncio.sleep(0.02)
                await asyncio.sleep(0 if wait_s == math.inf else wait_s)
                if content is None:
                    await asyncio.sleep(60)
                content = answer(content) if isinstance(content, str) else content
                more = "content-type: application/json\r\n"
                more += f"retry-after: {self.retry_after}\r\n" if status == 429 else ""
                head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(content)}\r\n{more}\r\n"
                writer.write(head.encode() + content)
                await writer.drain()

    @contextlib.contextmanager
    def serving(self) -> Iterator[str]:
        """Serve in a thread; yields the URL."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()

        async def start() -> asyncio.Server:
            return await asyncio.start_server(self._serve, "127.0.0.1", 0)

        server = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        finally:
            asyncio.run_coroutine_threadsafe(_end(server), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(10)


async def _end(server: asyncio.Server) -> None:
    """End the server with its connections."""
    server.close()
    serving = [each for each in asyncio.all_tasks() if each is not asyncio.current_task()]
    for each in serving:
        each.cancel()
    await asyncio.gather(*serving, return_exceptions=True)


class Evaluating:
    """An evaluation in this process over a folder of its own."""

    def __init__(self, folder: Path, url: str, rows: list[dict[str, Any]], **more: Any) -> None:
        self.process, self.folder = AnswersProcess(str(folder / "answers")), folder
        name = more.pop("name", "test")
        self.data = folder / "rows.jsonl"
        self.data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        models = {"a": {"url": url, "model": "stub", **more.pop("model", {})}}
        self.text = json.dumps(
            {
                "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": name},
                "data": self.data.name, "prompt": "{{q}}", "models": models,
                "scorers": [{"scorer": "exact"}], **more,
            }
        )  # fmt: skip
        self.id = self.process.begin(NewAnswerEvaluation(text=self.text, folder=str(folder))).id

    @property
    def endpoints(self) -> list[Endpoint]:
        """Return the endpoints as the service makes them."""
        return [
            Endpoint(
                name=name, url=each.url, model=each.model, key=each.key, timeout_s=each.timeout_s,
                limits=each.limits, price=each.price,
            )
            for name, each in self.process.models(self.id)[0].items()
        ]  # fmt: skip

    def ask(self) -> AnswerEvaluation:
        """Ask for the missing answers."""
        return self.process.ask(self.id, self.endpoints)


def questions(count: int) -> list[dict[str, Any]]:
    """Return rows whose right answer is the question's number."""
    return [{"q": f"Question {at}", "expected": f"{at}"} for at in range(count)]
