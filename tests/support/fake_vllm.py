"""A stand-in for vLLM, which needs a GPU: its command line, HTTP paths, key and metric names, without a model.

It cannot show how fast vLLM is, nor what it refuses. Run as ``vllm serve MODEL --host H --port P ...``. With
``FAKE_VLLM_QUEUE`` it works on ``--max-num-seqs`` requests at once and tells its real queue, unless that file exists.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

WORDS = ["Hello", " from", " the", " stand-in"]
#: As a GPU would need.
WORD_S = 0.05
METRICS = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="m"}} {running}
vllm:num_requests_waiting{{engine="0",model_name="m"}} {waiting}
vllm:kv_cache_usage_perc{{engine="0",model_name="m"}} {kv_use}
"""


class Queue:
    """Requests that are worked on, ``most`` at once, and those that wait."""

    def __init__(self, most: int) -> None:
        self.most, self.all = most, 0
        self._count, self._free = threading.Lock(), threading.Semaphore(most)

    def __enter__(self) -> None:
        with self._count:
            self.all += 1
        self._free.acquire()

    def __exit__(self, *_given: object) -> None:
        self._free.release()
        with self._count:
            self.all -= 1

    def metrics(self) -> dict[str, float]:
        running = min(self.all, self.most)
        return {"running": running, "waiting": self.all - running, "kv_use": 0.5 * running / self.most}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    key = os.environ.get("VLLM_API_KEY", "")
    silent = os.environ.get("FAKE_VLLM_QUEUE", "")
    arguments: tuple[str, ...] = ()
    queue = Queue(1000)

    def log_message(self, *_given: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(200, b"", "text/plain")
        elif self.path == "/metrics" and self.silent and Path(self.silent).exists():
            self._answer(503, b"")
        elif self.path == "/metrics":
            told = self.queue.metrics() if self.silent else {"running": 1.0, "waiting": 3.0, "kv_use": 0.25}
            self._answer(200, METRICS.format(**told).encode(), "text/plain")
        elif self.headers.get("Authorization") != f"Bearer {self.key}":
            self._answer(401, b'{"error": "Unauthorized"}')
        else:
            self._answer(
                200, json.dumps({"object": "list", "data": [], "arguments": self.arguments}).encode()
            )

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers.get("Authorization") != f"Bearer {self.key}":
            self._answer(401, b'{"error": "Unauthorized"}')
            return
        if self.path == "/v1/rerank":
            order = range(len(body["documents"]) - 1, -1, -1)
            self._answer(200, json.dumps({"results": [{"index": at} for at in order]}).encode())
            return
        with self.queue:
            self._generate(body)

    def _generate(self, body: dict[str, Any]) -> None:
        usage = {"prompt_tokens": 7, "completion_tokens": len(WORDS), "total_tokens": 7 + len(WORDS)}
        if not body.get("stream"):
            time.sleep(len(WORDS) * WORD_S)
            message: dict[str, Any] = {"role": "assistant", "content": "".join(WORDS)}
            if body.get("tools"):
                call = {"name": body["tools"][0]["function"]["name"], "arguments": "{}"}
                message = {
                    "role": "assistant", "content": None, "reasoning_content": "A tool knows it.",
                    "tool_calls": [{"id": "1", "type": "function", "function": call}],
                }  # fmt: skip
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            self._answer(
                200, json.dumps(_answer(choices=[choice], usage=usage, object="chat.completion")).encode()
            )
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        begin = {"role": "assistant", "content": ""}
        self._chunk(_answer(choices=[{"index": 0, "delta": begin, "finish_reason": None}]))
        for word in WORDS:
            self._chunk(_answer(choices=[{"index": 0, "delta": {"content": word}, "finish_reason": None}]))
            time.sleep(WORD_S)
        if body.get("stream_options", {}).get("include_usage"):
            self._chunk(_answer(choices=[], usage=usage))
        self._write(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, content: dict[str, Any]) -> None:
        self._write(b"data: " + json.dumps(content).encode() + b"\n\n")

    def _write(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _answer(**fields: Any) -> dict[str, Any]:
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", **fields}


def main(arguments: list[str]) -> None:
    """Serve until a signal."""
    Handler.arguments = tuple(arguments)
    if "--max-num-seqs" in arguments:
        Handler.queue = Queue(int(arguments[arguments.index("--max-num-seqs") + 1]))
    host, port = arguments[arguments.index("--host") + 1], int(arguments[arguments.index("--port") + 1])
    ThreadingHTTPServer((host, port), Handler).serve_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
