"""Run the supervised MLflow server's process: MLflow's own app behind a key (decision 10).

:mod:`genops_lab.experiments.server` starts it with a listening socket and the end of a pipe, whose closing
means that the Lab has ended.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hmac
import os
import re
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from genops_lab.serving.scorer.loopback import BACKLOG, Connections, keep_bounded

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_DENIED = (
    b'{"error_code": "UNAUTHENTICATED", "message": "This MLflow belongs to a GenOps Lab and needs its key: '
    b'set MLFLOW_TRACKING_TOKEN."}'
)


#: Where a browser shows the key (``http://genops:KEY@HOST/genops-open``). It is redirected to an address
#: without the key, in which MLflow's pages may fetch.
OPEN = "/genops-open"
BROWSER = "genops"
#: POST requests of MLflow's pages that change nothing.
_QUESTION = re.compile(
    r"/graphql|/(ajax-)?api/\d\.0/mlflow/(([\w-]+/)*search[\w-]*|traces/(metrics|batchGetInfos))", re.ASCII
)
_READ_ONLY = (
    b'{"error_code": "PERMISSION_DENIED", "message": "These pages are read-only: use the GenOps panel."}'
)


def browser_key(key: str) -> str:
    """Return the key for browsers, made from that of kernels: it allows reading only."""
    return hmac.new(key.encode(), b"browser", "sha256").hexdigest()


class ServerGuard:
    """An ASGI app that passes requests with a key on to another app.

    ``Authorization: Bearer <key>`` allows everything. HTTP Basic with :func:`browser_key` allows a browser to
    read, because any page's link may have that address.
    """

    def __init__(self, app: App, key: str, connections: Connections) -> None:
        self._app = app
        self._connections = connections
        self._expected = f"Bearer {key}".encode()
        self._browser = b"Basic " + base64.b64encode(f"{BROWSER}:{browser_key(key)}".encode())
        self._open = 0
        self._last_used = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the last allowed request, 0 while one is running."""
        return 0.0 if self._open else time.monotonic() - self._last_used

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in reversed(scope.get("headers", []))}
        given = headers.get(b"authorization", b"")
        is_browser = hmac.compare_digest(given, self._browser)
        if not is_browser and not hmac.compare_digest(given, self._expected):
            await self._deny(scope, send)
            return
        self._connections.admit(scope["client"])
        if is_browser:
            if not _may_read(scope, headers):
                await _answer(send, 403, _READ_ONLY)
                return
            if scope["path"] == OPEN:
                await _answer(send, 302, b"", (b"location", b"http://" + headers[b"host"] + b"/"))
                return
            send = _harmless(scope, send)
        self._open += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open -= 1
            self._last_used = time.monotonic()

    @staticmethod
    async def _deny(scope: Scope, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        # A browser asks for the key, or takes it from its address; MLflow's client reads the text.
        await _answer(send, 401, _DENIED, (b"www-authenticate", b'Basic realm="The MLflow of a GenOps Lab"'))


def _may_read(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a browser's request changes nothing and comes from MLflow's own pages, or opens one.

    A browser sends the key with every request, also with those of other sites' pages, which ``Sec-Fetch-*``
    reveals.
    """
    host = headers.get(b"host", b"").rpartition(b":")[0]
    opens = headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
    is_own = headers.get(b"sec-fetch-site", b"") in (b"same-origin", b"none")
    if scope["type"] != "http" or host not in (b"127.0.0.1", b"localhost"):
        return False
    if scope["method"] in ("GET", "HEAD"):
        return opens or is_own
    return scope["method"] == "POST" and is_own and _QUESTION.fullmatch(scope["path"]) is not None


def _harmless(scope: Scope, send: Send) -> Send:
    """Return a send that stops scripts in runs' files, which are not pages of MLflow."""
    if "artifact" not in scope["path"]:
        return send

    async def sandboxed(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", []), (b"content-security-policy", b"sandbox")]
            message = {**message, "headers": headers}
        await send(message)

    return sandboxed


async def _answer(send: Send, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    given = [(b"content-type", b"application/json"), *headers]
    await send({"type": "http.response.start", "status": status, "headers": given})
    await send({"type": "http.response.body", "body": body})


async def _serve(listener: socket.socket, key: str, idle_s: float) -> None:
    import uvicorn
    from mlflow.server.fastapi_app import app

    connections = Connections()
    gate = ServerGuard(app, key, connections)
    server = uvicorn.Server(
        uvicorn.Config(
            gate,
            http=connections.protocol(),
            ws="none",
            backlog=BACKLOG,
            log_level="warning",
            access_log=False,
            proxy_headers=False,  # a client's address is the one of its connection
            timeout_graceful_shutdown=5,
        )
    )
    lab_is_gone = asyncio.Event()
    loop = asyncio.get_running_loop()

    def lab_said_something() -> None:
        if not os.read(sys.stdin.fileno(), 1024):
            lab_is_gone.set()
            loop.remove_reader(sys.stdin.fileno())

    loop.add_reader(sys.stdin.fileno(), lab_said_something)

    async def end_when_due() -> None:
        while not lab_is_gone.is_set() and gate.idle_s < idle_s:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(lab_is_gone.wait(), min(5.0, idle_s))
        server.should_exit = True

    watching = loop.create_task(end_when_due())
    await server.serve(sockets=[listener])
    watching.cancel()


def main() -> None:
    """Serve on the given socket until the Lab ends or no request came for ``--idle`` seconds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the listening socket")
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--idle", type=float, required=True, help="seconds")
    parser.add_argument("--log-file", type=Path, required=True, help="the file for the output")
    options = parser.parse_args()
    keep_bounded(options.log_file)
    listener = socket.socket(fileno=options.fd)
    key = options.key_file.read_text(encoding="ascii").strip()
    asyncio.run(_serve(listener, key, options.idle))


if __name__ == "__main__":
    main()
