"""Lead a port of this machine to the gateway of a host, over the connection that is there already."""

from __future__ import annotations

import concurrent.futures
import contextlib
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.paths import private_dir, write_private
from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.forwarding import forward

if TYPE_CHECKING:
    from genops_lab.hosts.async_connections import LoopConnections

BACKLOG = 128
CLOSE_S = 3.0


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
            self._accepting = self._connections.links.submit(
                forward(listener, link, "gateway", {}, self._closed.set)
            )
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
