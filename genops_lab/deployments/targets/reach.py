"""Lead a port of this machine to the gateway of a host, over the connection that is there already."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.piping import pipe
from genops_lab.core.errors import GenOpsError
from genops_lab.core.paths import private_dir, write_private
from genops_lab.hosts.link.connection import HostConnection

if TYPE_CHECKING:
    from genops_lab.hosts.loop_connections import LoopConnections

BACKLOG = 128
CLOSE_S = 3.0
#: Most connections at once: a gateway takes as many.
MAX_CONNECTIONS = 512


class LocalPort:
    """A port on loopback, the same one as before if it is free. The host's gateway asks each request for its key."""

    def __init__(self, connections: LoopConnections, file: Path) -> None:
        self._connections = connections
        self._file = file
        self._port = 0
        self._accepting: concurrent.futures.Future[None] | None = None
        self._closed = threading.Event()

    def open(self, link: HostConnection) -> int:
        """Return the port; listen if it does not yet. Raises OSError."""
        if self._accepting is None or self._accepting.done():
            listener = self._bound()
            self._port = int(listener.getsockname()[1])
            self._closed.clear()
            self._accepting = self._connections.links.submit(_serve(listener, link, self._closed))
        return self._port

    def close(self) -> None:
        """Listen no more. Blocks until the port is free."""
        accepting, self._accepting = self._accepting, None
        if accepting is not None and accepting.cancel():
            self._closed.wait(CLOSE_S)

    def _bound(self) -> socket.socket:
        try:
            before = int(self._file.read_text())
        except (OSError, ValueError):
            before = 0
        if before:
            try:
                return _listening(before)
            except OSError:  # another program has the port now, such as a second Lab
                return _listening(0)
        found = _listening(0)
        with contextlib.suppress(OSError):  # a full disk: the next Lab gets another port
            private_dir(self._file.parent)
            write_private(self._file, str(found.getsockname()[1]))
        return found


def _listening(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(("127.0.0.1", port))
        found.listen(BACKLOG)
        found.setblocking(False)
    except OSError:
        found.close()
        raise
    return found


async def _serve(listener: socket.socket, link: HostConnection, closed: threading.Event) -> None:
    """Carry each connection to the host. One that cannot be carried is closed, as by a server that is not there."""
    loop, carrying = asyncio.get_running_loop(), set[asyncio.Task[None]]()
    try:
        while True:
            connection, _ = await loop.sock_accept(listener)
            if len(carrying) >= MAX_CONNECTIONS:
                connection.close()
                continue
            task = loop.create_task(_carry(connection, link))
            carrying.add(task)
            task.add_done_callback(carrying.discard)
    finally:
        listener.close()
        for task in carrying:
            task.cancel()
        closed.set()


async def _carry(connection: socket.socket, link: HostConnection) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        channel = link.open("gateway", {})
        try:
            await pipe(channel, connection)
        finally:
            channel.reset("left", "The caller has left.")
    except (ChannelReset, GenOpsError, OSError):
        connection.close()
