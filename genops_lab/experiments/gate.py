"""The supervised MLflow server's process: MLflow's own app behind a key (decision 10).

Started by :mod:`genops_lab.experiments.server` with a listening socket and the end of a pipe, by which it
notices that the Lab is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hmac
import os
import socket
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from genops_lab.core.loopback import BACKLOG, Connections, keep_bounded

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_DENIED = (
    b'{"error_code": "UNAUTHENTICATED", "message": "This MLflow belongs to a GenOps Lab and needs its key: '
    b'set MLFLOW_TRACKING_TOKEN."}'
)


class Gate:
    """An ASGI app that lets requests with ``Authorization: Bearer <key>`` through to another."""

    def __init__(self, app: App, key: str, connections: Connections) -> None:
        self._app = app
        self._connections = connections
        self._expected = f"Bearer {key}".encode()
        self._open = 0
        self._last_used = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the last request that was let through, 0 while one is under way."""
        return 0.0 if self._open else time.monotonic() - self._last_used

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        given = [value for name, value in scope.get("headers", []) if name.lower() == b"authorization"]
        if len(given) != 1 or not hmac.compare_digest(given[0], self._expected):
            await self._deny(scope, send)
            return
        self._connections.admit(scope["client"])
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
        headers = [(b"content-type", b"application/json"), (b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": _DENIED})


async def _serve(listener: socket.socket, key: str, idle_s: float) -> None:
    import uvicorn
    from mlflow.server.fastapi_app import app

    connections = Connections()
    gate = Gate(app, key, connections)
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
    """Serve on the given socket until the Lab is gone or nobody asked for ``--idle`` seconds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--fd", type=int, required=True, help="the listening socket")
    parser.add_argument("--key-file", type=Path, required=True)
    parser.add_argument("--idle", type=float, required=True, help="seconds")
    parser.add_argument("--log-file", type=Path, required=True, help="where the output goes")
    options = parser.parse_args()
    keep_bounded(options.log_file)
    listener = socket.socket(fileno=options.fd)
    key = options.key_file.read_text(encoding="ascii").strip()
    asyncio.run(_serve(listener, key, options.idle))


if __name__ == "__main__":
    main()
