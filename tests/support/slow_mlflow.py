"""An HTTP proxy in front of a real MLflow server that hangs, slows or interferes with single requests.

    with slow_mlflow(url) as slow:
        ...use slow.url as the address of MLflow...
        slow.hang("registered-models")   # requests with this in their path get no answer
        slow.waiting                     # the paths that wait now
        slow.go_on()                     # they are answered, and new ones do not wait
        slow.delay_s = 2.0               # each answer comes so much later
        slow.before = lambda number, path: ...   # called before a request is forwarded

For faults of the line (cut, throttled, resets) use :mod:`.faults`.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

#: Headers of one connection, which are not forwarded.
_HOPS = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
_API = ("/api/2.0/mlflow/", "/api/3.0/mlflow/", "/api/2.0/", "/ajax-api/2.0/mlflow/")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has given up is no error."""


class SlowMlflow:
    """The proxy. ``requests`` has each one so far, such as ``POST registered-models/alias``, in their order."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target).netloc
        self.requests: list[str] = []
        self.waiting: list[str] = []
        self.delay_s = 0.0
        self.before: Callable[[int, str], None] | None = None
        self._hung = ""
        self._free = threading.Event()
        self._free.set()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def hang(self, part: str = "") -> None:
        """Answer no request with ``part`` in its name, from now on."""
        self._hung = part
        self._free.clear()

    def go_on(self) -> None:
        """Answer all requests again, also those that wait."""
        self._free.set()

    def close(self) -> None:
        """Stop listening, and let go of those who wait."""
        self.go_on()
        self._server.shutdown()
        self._server.server_close()

    def _take(self, name: str) -> None:
        """Note a request, and hold it as long as was asked."""
        with self._lock:
            self.requests.append(name)
            number = len(self.requests)
        if self.before is not None:
            self.before(number, name)
        if self._hung in name and not self._free.is_set():
            with self._lock:
                self.waiting.append(name)
            self._free.wait()
            with self._lock:
                self.waiting.remove(name)
        time.sleep(self.delay_s)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                """Quiet."""

            def forward(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy._take(f"{self.command} {_short(self.path)}")
                far = http.client.HTTPConnection(proxy._target, timeout=60)
                try:
                    kept = {key: value for key, value in self.headers.items() if key.lower() not in _HOPS}
                    far.request(self.command, self.path, body, kept)
                    answer = far.getresponse()
                    content = answer.read()
                finally:
                    far.close()
                self.send_response(answer.status)
                for key, value in answer.getheaders():
                    if key.lower() not in _HOPS:
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

        return Handler


def _short(path: str) -> str:
    path = path.partition("?")[0]
    return next((path.removeprefix(each) for each in _API if path.startswith(each)), path)


@contextlib.contextmanager
def slow_mlflow(target: str) -> Iterator[SlowMlflow]:
    """A proxy in front of the MLflow server at the address ``target``."""
    found = SlowMlflow(target)
    try:
        yield found
    finally:
        found.close()
