"""The private socket of a running server, and how its user's other programs find it.

The server listens on a unix socket in a 0700 folder and leaves a description beside Jupyter's own runtime
files. Kernels get the socket's path in ``GENOPS_SOCKET``; the ``genops`` program looks for the descriptions.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from tornado.web import Application

from .api import MAX_BODY_BYTES, Services, socket_handlers
from .operations import Operation
from .paths import private_dir, runtime_dir, write_private

SOCKET_VARIABLE = "GENOPS_SOCKET"

log = logging.getLogger("genops_lab")


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A running server, as its user's programs see it."""

    pid: int
    socket: str
    url: str
    version: str
    started_at: float


def _descriptions() -> Path:
    from jupyter_core.paths import jupyter_runtime_dir

    return private_dir(Path(jupyter_runtime_dir()))


class Doorway:
    """Serves the operations on the private socket while the server runs."""

    def __init__(self, operations: Sequence[Operation], services: Services) -> None:
        self.path = runtime_dir() / f"lab-{os.getpid()}-{os.urandom(3).hex()}.sock"
        self._server = HTTPServer(
            Application(socket_handlers(operations, services), log_function=lambda _handler: None),
            max_body_size=MAX_BODY_BYTES,
        )
        self._description = _descriptions() / f"genops-{os.getpid()}.json"

    def open(self, url: str, version: str) -> None:
        """Listen, and leave the description."""
        self._server.add_sockets([bind_unix_socket(str(self.path), mode=0o600)])
        description = Description(
            pid=os.getpid(), socket=str(self.path), url=url, version=version, started_at=time.time()
        )
        write_private(self._description, msgspec.json.encode(description).decode())

    def close(self) -> None:
        """Stop listening and take the description away."""
        self._server.stop()
        for path in (self.path, self._description):
            path.unlink(missing_ok=True)


def answers(path: str) -> bool:
    """Whether a server listens behind this socket."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


def find() -> Description | None:
    """The server to talk to: the one named by GENOPS_SOCKET, else the one of this user started last."""
    given = os.environ.get(SOCKET_VARIABLE)
    if given and answers(given):
        return Description(pid=0, socket=given, url="", version="", started_at=0)
    found: list[Description] = []
    for path in _descriptions().glob("genops-*.json"):
        try:
            description = msgspec.json.decode(path.read_bytes(), type=Description)
        except (OSError, msgspec.DecodeError):
            continue
        if answers(description.socket):
            found.append(description)
        else:
            path.unlink(missing_ok=True)  # left behind by a server that was killed
    return max(found, key=lambda description: description.started_at, default=None)
