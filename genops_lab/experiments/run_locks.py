"""One at a time for each run: among the tasks of this Lab, and among the Labs that share its data."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

if os.name == "posix":
    import fcntl

    def _try(stream: IO[bytes], place: int) -> bool:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError:
            return False
        return True

    def _give_back(stream: IO[bytes], place: int) -> None:
        fcntl.lockf(stream, fcntl.LOCK_UN, 1, place)
else:

    def _try(stream: IO[bytes], place: int) -> bool:
        return True

    def _give_back(stream: IO[bytes], place: int) -> None:
        return


_LOOK_EVERY_S = 0.05


class RunClaims:
    """Claims on runs by their keys.

    A kernel that waited too long for one Lab asks another, while the first may still write: both would make the run. A
    claim between processes is a lock on one byte of ``path``, which ends with its process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[bytes] | None = None
        self._locks: dict[str, asyncio.Lock] = {}
        self._held: dict[int, int] = {}

    @asynccontextmanager
    async def alone(self, run_key: str) -> AsyncIterator[None]:
        """Wait until nobody else works at this run. The folder of ``path`` must be there."""
        lock = self._locks.setdefault(run_key, asyncio.Lock())
        try:
            async with lock:
                place = int.from_bytes(hashlib.sha256(run_key.encode()).digest()[:4], "big")
                await self._claim(place)
                try:
                    yield
                finally:
                    self._drop(place)
        finally:
            if not lock.locked() and not lock._waiters:
                self._locks.pop(run_key, None)

    async def _claim(self, place: int) -> None:
        if self._stream is None:  # kept open: to close one would give back all locks of this process
            self._stream = self._path.open("ab")
        while place not in self._held and not _try(self._stream, place):
            await asyncio.sleep(_LOOK_EVERY_S)
        self._held[place] = self._held.get(place, 0) + 1

    def _drop(self, place: int) -> None:
        self._held[place] -= 1
        if not self._held[place]:
            del self._held[place]
            assert self._stream is not None
            _give_back(self._stream, place)
