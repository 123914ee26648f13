"""Bound the connections and the log of servers on a loopback port.

This file imports only the standard library and uvicorn. The guard of MLflow's server uses it too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Any

#: Most connections that have not sent the key. A client sends it at once, so only a flood reaches this number.
MAX_STRANGERS = 128
#: Most connections in all, well below the usual limit of 1,024 open files.
MAX_CONNECTIONS = 512
#: Backlog for uvicorn: asyncio accepts so many connections before it handles the first of them.
BACKLOG = 128
KEY_DEADLINE_S = 5.0
MAX_LOG_BYTES = 4 * 1024 * 1024
_LOG_INTERVAL_S = 1.0

Address = tuple[str, int]


class Connections:
    """Close connections that do not send the key within 5 s, and the oldest of them if there are too many."""

    def __init__(self) -> None:
        self._strangers: dict[Address, asyncio.Transport] = {}
        self._known: dict[Address, asyncio.Transport] = {}

    def protocol(self) -> Any:
        """Return the ``http`` class for uvicorn, which counts each connection here."""
        from uvicorn.protocols.http.auto import AutoHTTPProtocol

        connections = self

        class Counted(AutoHTTPProtocol):  # type: ignore[misc,valid-type]
            def connection_made(self, transport: asyncio.Transport) -> None:
                super().connection_made(_Joining(transport))
                self.counted = transport
                connections.opened(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                connections.closed(self.counted)
                super().connection_lost(exc)

        return Counted

    def opened(self, transport: asyncio.Transport) -> None:
        """Count a new connection; close the oldest one without a key if there are too many."""
        self._strangers[_peer(transport)] = transport
        loop = asyncio.get_running_loop()
        # call_soon: after a pause of the process, data that has arrived meanwhile is handled first.
        loop.call_later(KEY_DEADLINE_S, loop.call_soon, self._cut, transport)
        if len(self._strangers) > MAX_STRANGERS or len(self._strangers) + len(self._known) > MAX_CONNECTIONS:
            self._cut(next(iter(self._strangers.values())))

    def admit(self, client: Any) -> None:
        """Mark the connection from this address (of an ASGI scope) as one that has sent the key."""
        transport = self._strangers.pop(tuple(client or ()), None)
        if transport is not None:
            self._known[_peer(transport)] = transport

    def closed(self, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        for kept in (self._strangers, self._known):
            if kept.get(_peer(transport)) is transport:
                del kept[_peer(transport)]

    def _cut(self, transport: asyncio.Transport) -> None:
        if self._strangers.get(_peer(transport)) is transport:
            del self._strangers[_peer(transport)]
            transport.abort()


class _Joining:
    """A transport that sends head and body of an answer at once: else the gateway would read twice."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._held: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._held:
            asyncio.get_running_loop().call_soon(self._send)
        self._held.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        held, self._held = self._held, []
        if held:
            self._transport.write(b"".join(held))


def _peer(transport: asyncio.Transport) -> Address:
    # The address as in uvicorn's scope. A connection that the peer closed at once has none.
    found = transport.get_extra_info("peername") or ("", id(transport))
    return str(found[0]), int(found[1])


def earlier(log: Path) -> Path:
    """Return the path of the log's older lines."""
    return log.with_name(log.name + ".1")


def keep_bounded(log: Path) -> None:
    """Start a thread that moves this process's log (opened for appending) to :func:`earlier` beyond 4 MiB."""
    threading.Thread(target=_watch, args=(log,), name="log-bound", daemon=True).start()


def _watch(log: Path) -> None:
    while True:
        with contextlib.suppress(OSError):  # no log, or a full disk: try again later
            _move_lines(log)
        time.sleep(_LOG_INTERVAL_S)


def _move_lines(log: Path) -> None:
    size = log.stat().st_size
    if size <= MAX_LOG_BYTES:
        return
    # Copy and truncate, like logrotate's "copytruncate": subprocesses of a model have the file open, too.
    try:
        with log.open("rb") as lines:
            lines.seek(size - MAX_LOG_BYTES)
            kept = lines.read(MAX_LOG_BYTES)
        earlier(log).touch(0o600)
        earlier(log).write_bytes(kept)
    finally:
        os.truncate(log, 0)
