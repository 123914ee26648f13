"""Lock files between the processes of one user."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .errors import Unavailable

if os.name == "posix":
    import fcntl

    def _try(stream: IO[bytes]) -> bool:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
else:
    import msvcrt

    def _try(stream: IO[bytes]) -> bool:
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True


class FileLock:
    """An advisory lock that ends with its process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream: IO[bytes] | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._stream is not None

    def try_acquire(self) -> bool:
        """Take the lock if it is free. Return whether this object holds it."""
        if self._stream is not None:
            return True
        stream = self.path.open("ab", buffering=0)
        if not _try(stream):
            stream.close()
            return False
        self._stream = stream
        return True

    def release(self) -> None:
        """Release the lock; do nothing if this object does not hold it."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


@contextlib.contextmanager
def locked(path: Path, timeout_s: float = 60.0, every_s: float = 0.05) -> Iterator[None]:
    """Hold the lock on ``path``, tried ``every_s``. Waits and blocks up to ``timeout_s``. Raises Unavailable."""
    lock = FileLock(path)
    deadline = time.monotonic() + timeout_s
    while not lock.try_acquire():
        if time.monotonic() > deadline:
            raise Unavailable(
                f"Another process has locked {path.name} for more than {timeout_s:.0f} s.",
                hint=f"Find the process with `fuser {path}`, and end it if it hangs.",
            )
        time.sleep(every_s)
    try:
        yield
    finally:
        lock.release()
