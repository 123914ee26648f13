"""Write logs of limited size: a kernel's output outside of cells, and a keeper's own lines."""

from __future__ import annotations

import os
import stat
import sys
import time

LOG_BYTES = 1024 * 1024


class BoundedLog:
    """A file with mode 0600. At ``limit`` bytes it starts again, and the old one is kept next to it."""

    def __init__(self, path: str, limit: int = LOG_BYTES) -> None:
        self._path = path
        self._limit = limit
        self._descriptor = -1
        self._size = 0
        self._open(os.O_APPEND)

    def _open(self, how: int) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | how
        self._descriptor = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def write(self, data: bytes) -> None:
        """Append. Data that a full disk does not take is lost: a log stops nothing."""
        try:
            if self._size + len(data) > self._limit:
                os.close(self._descriptor)
                os.replace(self._path, self._path + ".1")
                self._open(os.O_TRUNC)
            self._size += os.write(self._descriptor, data)
        except OSError:
            return

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def tail(path: str, size: int) -> str:
    """Return the last ``size`` bytes of a log, with its older half."""
    data = b""
    for name in (path, path + ".1"):
        missing = size - len(data)
        if missing <= 0:
            break
        try:
            with open(name, "rb") as stream:
                stream.seek(0, os.SEEK_END)
                stream.seek(max(0, stream.tell() - missing))
                data = stream.read(missing) + data
        except FileNotFoundError:
            continue
    return data.decode("utf-8", "replace")


def log(text: str) -> None:
    """Write a line to the keeper's log, which is its standard error. It starts again when it is full."""
    found = os.fstat(2)
    if stat.S_ISREG(found.st_mode) and found.st_size > LOG_BYTES:
        os.ftruncate(2, 0)
    print(time.strftime("%Y-%m-%d %H:%M:%S"), text, file=sys.stderr, flush=True)
