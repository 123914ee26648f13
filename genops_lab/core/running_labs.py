"""Find the private socket of a running server.

A server writes a description next to Jupyter's own runtime files, and passes the socket's path to its kernels in
``GENOPS_SOCKET``. Each ``genops`` command starts with this module, so it imports no packages of the server.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import msgspec

from .paths import private_dir

SOCKET_VARIABLE = "GENOPS_SOCKET"


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """The description of a running server for its user's programs."""

    pid: int
    socket: str
    url: str
    version: str
    started_at: float


def descriptions() -> Path:
    """Return the folder of the descriptions."""
    from jupyter_core.paths import jupyter_runtime_dir

    return private_dir(Path(jupyter_runtime_dir()))


def answers(path: str) -> bool:
    """Return whether a server listens on this socket."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


def find() -> Description | None:
    """Return the server of GENOPS_SOCKET, else the last started one of this user; None if no server answers."""
    given = os.environ.get(SOCKET_VARIABLE)
    if given and answers(given):
        return Description(pid=0, socket=given, url="", version="", started_at=0)
    found: list[Description] = []
    for path in descriptions().glob("genops-*.json"):
        try:
            description = msgspec.json.decode(path.read_bytes(), type=Description)
        except (OSError, msgspec.DecodeError):
            continue
        if answers(description.socket):
            found.append(description)
        else:
            path.unlink(missing_ok=True)  # its server was killed
    return max(found, key=lambda description: description.started_at, default=None)
