"""A program with a port that answers chats like a model: the deployment whose requests become traces in tests.

It answers "Answer to QUESTION". A question with "broken" gets HTTP 500, one with "forbidden" a refusal, and one with
"retrieved" the documents that the answer is from.
"""

from __future__ import annotations

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_given: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._send(200, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        question = body["messages"][-1]["content"]
        if "broken" in question:
            self._send(500, {"error": {"message": "The model has crashed."}})
            return
        text = (
            "I'm sorry, but I can't help with that." if "forbidden" in question else f"Answer to {question}"
        )
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }
        usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
        answer = {"model": "small-1", "object": "chat.completion", "choices": [choice], "usage": usage}
        if "retrieved" in question:
            answer["documents"] = [{"title": "Hours", "text": "The office opens at nine."}]
        self._send(200, answer)

    def _send(self, status: int, content: dict[str, Any]) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
