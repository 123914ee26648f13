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

    def _leave(stream: IO[bytes]) -> None:
        fcntl.flock(stream, fcntl.LOCK_UN)
else:
    import msvcrt

    def _try(stream: IO[bytes]) -> bool:
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True

    def _leave(stream: IO[bytes]) -> None:
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined]


class FileLock:
    """An advisory lock that ends with its process.

    ``stays_open``: the file stays open between two holds of a lock that is taken often, until :meth:`close`.
    """

    def __init__(self, path: Path, *, stays_open: bool = False) -> None:
        self.path = path
        #: Whether this object holds the lock.
        self.held = False
        self._stays_open = stays_open
        self._stream: IO[bytes] | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free. Return whether this object holds it."""
        if self.held:
            return True
        if self._stream is None:
            self._stream = self.path.open("ab", buffering=0)
        self.held = _try(self._stream)
        if not (self.held or self._stays_open):
            self.close()
        return self.held

    def release(self) -> None:
        """Release the lock; do nothing if this object does not hold it."""
        if not self._stays_open:
            self.close()
        elif self.held and self._stream is not None:
            _leave(self._stream)
            self.held = False

    def close(self) -> None:
        """Release the lock, and close its file."""
        if self._stream is not None:
            self._stream.close()
        self._stream, self.held = None, False


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
