"""Serve the private socket of a server: a unix socket in a 0700 folder. ``core.running_labs`` finds it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import msgspec
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application

from ..core.api import MAX_BODY_BYTES, ServiceGate, socket_handlers
from ..core.operations import Operation
from ..core.paths import runtime_dir, write_private
from ..core.running_labs import Description, descriptions


class SocketServer:
    """The private socket with the operations, while the server runs."""

    def __init__(self, operations: Sequence[Operation], services: ServiceGate) -> None:
        self.path = runtime_dir() / f"lab-{os.getpid()}-{os.urandom(3).hex()}.sock"
        self._server = HTTPServer(
            Application(socket_handlers(operations, services), log_function=lambda _handler: None),
            max_body_size=MAX_BODY_BYTES,
        )
        self._description = descriptions() / f"genops-{os.getpid()}.json"

    def open(self, url: str, version: str) -> None:
        """Listen, and write the server's description."""
        self._server.add_sockets([bind_unix_socket(str(self.path), mode=0o600)])
        description = Description(
            pid=os.getpid(), socket=str(self.path), url=url, version=version, started_at=time.time()
        )
        write_private(self._description, msgspec.json.encode(description).decode())

    def close(self) -> None:
        """Stop listening, and delete the socket and the description."""
        self._server.stop()
        for path in (self.path, self._description):
            path.unlink(missing_ok=True)
