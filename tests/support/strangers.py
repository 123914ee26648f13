"""What somebody else on this machine may do to a port of ours: hold connections and say half a header."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator

import psutil

#: The usual soft limit of open files. What listens must do with it.
USUAL_FILES = 1024
HALF_A_HEADER = b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "


def with_usual_files(pid: int) -> None:
    """Give a running process the soft limit of open files that most machines set."""
    _soft, hard = psutil.Process(pid).rlimit(resource.RLIMIT_NOFILE)
    psutil.Process(pid).rlimit(resource.RLIMIT_NOFILE, (USUAL_FILES, hard))


@contextlib.contextmanager
def half_open(port: int, count: int) -> Iterator[list[socket.socket]]:
    """``count`` connections with half a header each, held until the end."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 500:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + 500, hard), hard))
    with contextlib.ExitStack() as held:
        connections = []
        for _ in range(count):
            connection = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            with contextlib.suppress(ConnectionError):  # refused so soon
                connection.sendall(HALF_A_HEADER)
            connections.append(connection)
        yield connections


def is_cut(connection: socket.socket, timeout_s: float) -> bool:
    """Whether the other end closes a connection in time."""
    connection.settimeout(timeout_s)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True
