"""Accept connections so that it can be stopped between two of them, without losing one."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from typing import Any


class Listening:
    """The listening socket of a process that sleeps when nobody is connected.

    asyncio's server may have taken a connection that its protocol does not know yet. Here each is known at once.
    """

    def __init__(self, listener: socket.socket, config: Any, server: Any) -> None:
        self._listener = listener
        self._config, self._server = config, server
        self._loop = asyncio.get_running_loop()
        self._arriving: set[asyncio.Task[Any]] = set()
        self._used_at = math.inf
        listener.setblocking(False)
        listener.listen(config.backlog)

    def begin(self) -> None:
        """Accept connections from now on."""
        self._used_at = time.monotonic()
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def ends_after(self, seconds: float) -> bool:
        """Return whether nobody was connected for so long, and if so stop to accept: later ones wait in the backlog."""
        if self._arriving or self._server.server_state.connections:
            self._used_at = time.monotonic()
        if time.monotonic() - self._used_at < seconds:
            return False
        self._loop.remove_reader(self._listener.fileno())
        return True

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        self._used_at = time.monotonic()
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def _protocol(self) -> Any:
        return self._config.http_protocol_class(
            config=self._config, server_state=self._server.server_state, app_state=self._server.lifespan.state
        )
