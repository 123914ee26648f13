"""Peers of the gateway that send bytes as they like: a scoring process, and a caller that never ends."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Iterable, Iterator

import psutil

#: What a connection may cost the gateway at most.
MOST_GROWTH = 16 * 2**20
PORTION = 64 * 1024

Reply = Callable[[bytes], Iterable[bytes]]


def request_of(connection: socket.socket) -> bytes:
    """Read one request with a content-length; empty at the end of the connection."""
    found = b""
    while b"\r\n\r\n" not in found:
        data = connection.recv(PORTION)
        if not data:
            return b""
        found += data
    head, _, body = found.partition(b"\r\n\r\n")
    lines = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
    left = int(lines.get(b"content-length", b"0")) - len(body)
    while left > 0 and (data := connection.recv(PORTION)):
        found, left = found + data, left - len(data)
    return found


class RawScorer:
    """Listens as a scoring process does, and answers each request with the parts that ``reply`` gives."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.name, self.key = "raw", "of-raw"
        #: The bytes that it has sent.
        self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(20)
            try:
                while asked := request_of(connection):
                    for part in self.reply(asked):
                        connection.sendall(part)
                        self.sent += len(part)
            except OSError:  # the gateway has closed
                return

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def rss(pid: int) -> int:
    """The memory of a process, in bytes."""
    return int(psutil.Process(pid).memory_info().rss)


def poured(port: int, head: bytes, parts: Iterable[bytes], most: int) -> tuple[int, bytes]:
    """Send ``head`` and up to ``most`` bytes of parts. Return what was sent, and all that came back."""
    sent = 0
    found = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        try:
            connection.sendall(head)
            for part in parts:
                connection.sendall(part)
                sent += len(part)
                if sent >= most:
                    connection.shutdown(socket.SHUT_WR)
                    break
        except ConnectionError:
            pass  # the gateway has closed; its answer may still be read
        try:
            while data := connection.recv(PORTION):
                found += data
        except ConnectionError:
            pass
    return sent, found


def forever(part: bytes) -> Iterator[bytes]:
    """The same bytes for ever."""
    portion = part * max(1, PORTION // len(part))
    return itertools.repeat(portion)
