"""A program with a port, for tests of addresses: it says what reached it, and streams as it is told.

``/echo`` returns the headers. ``/v1/chat/completions`` sends one part, and the rest once the file ``go`` is there.
``/broken`` ends in the middle of its answer. ``/page`` is a page with a cookie.
"""

from __future__ import annotations

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

GO = Path(__file__).with_name("go")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_given: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/broken":
            self._begin("text/plain")
            self._chunk(b"a part")
            self.connection.shutdown(2)
            self.close_connection = True
        elif path == "/page":
            self._whole(b"<script>parent.stolen = 1</script>", "text/html", **{"Set-Cookie": "_xsrf=theirs"})
        else:
            self._whole(b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if not self.path.startswith("/v1/"):
            told = {"path": self.path, "headers": dict(self.headers), "body": body}
            self._whole(json.dumps(told).encode(), **{"Access-Control-Allow-Origin": "*"})
            return
        self._begin("text/event-stream")
        for word in ("one", "two"):
            part = {
                "choices": [{"index": 0, "delta": {"content": word}}],
                "id": "c",
                "object": "chat.completion.chunk",
            }
            self._chunk(b"data: " + json.dumps(part).encode() + b"\n\n")
            while not GO.exists():
                time.sleep(0.01)
        self._chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _whole(self, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    sys.exit(ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever())
