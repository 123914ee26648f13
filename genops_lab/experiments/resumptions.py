"""Let one process at a time write a run: claims between tasks and Labs, and promises to processes.

A process that may continue a run is known by its session, whose start comes later. Until then a file in
``folder`` holds its place, for other Labs of the user too.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Conflict
from genops_lab.core.paths import private_dir

from .models import OPEN, TrackedProcess
from .spool import file_of, is_gone

if TYPE_CHECKING:
    from .ledger import TrackedRuns

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
#: Seconds after which a process without a start has given up, or has ended on another host.
PROMISED_S = 60.0


class RunClaims:
    """Claims on runs by their keys.

    A kernel that waited too long for one Lab asks another, while the first may still write: both would make
    the run. A claim between processes is a lock on one byte of ``path``, which ends with its process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream: IO[bytes] | None = None
        self._locks: dict[str, asyncio.Lock] = {}
        self._held: dict[int, int] = {}

    @asynccontextmanager
    async def claim(self, run_key: str) -> AsyncIterator[None]:
        """Wait until no other task or process works on this run. The folder of ``path`` must exist."""
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
        if self._stream is None:  # kept open: closing one would release all locks of this process
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


class _Promise(msgspec.Struct, frozen=True):
    process: TrackedProcess
    at: float


class Resumptions:
    """Records which process continues which run."""

    def __init__(self, folder: Path, spool: Path, runs: TrackedRuns, claims: RunClaims) -> None:
        self._folder = folder
        self._spool = spool
        self._runs = runs
        self._claims = claims

    def claim(self, run_id: str) -> AbstractAsyncContextManager[None]:
        """Wait until no other task decides which process continues this run. Inside, do not wait for a claim
        on a key.
        """
        return self._claims.claim(f"resumption of {run_id}")

    async def other_than(self, process: TrackedProcess, run_id: str) -> TrackedProcess | None:
        """Return another process that writes the run, or may do so."""
        return await asyncio.to_thread(self._other_than, process, run_id)

    async def promise(self, process: TrackedProcess, run_id: str) -> None:
        """Record that the process may continue the run."""
        text = msgspec.json.encode(_Promise(process, time.time()))
        await asyncio.to_thread(lambda: self._file(run_id).write_bytes(text))

    async def begun(self, run_id: str) -> None:
        """End the promise: the start of the session is known."""
        await asyncio.to_thread(lambda: self._file(run_id).unlink(missing_ok=True))

    def _other_than(self, process: TrackedProcess, run_id: str) -> TrackedProcess | None:
        writers: list[tuple[TrackedProcess, Path | None]] = [
            (run.process, file_of(self._spool, run.run_key))
            for run in self._runs.sessions(run_id)
            if run.state == OPEN
        ]
        try:
            promise = msgspec.json.decode(self._file(run_id).read_bytes(), type=_Promise)
        except (FileNotFoundError, msgspec.DecodeError):  # none, or cut off by a crash
            promise = None
        if promise is not None and 0 <= time.time() - promise.at < PROMISED_S:
            writers.append((promise.process, None))
        return next(
            (each for each, file in writers if not _is_same(each, process) and _may_write(each, file)), None
        )

    def _file(self, run_id: str) -> Path:
        return private_dir(self._folder) / hashlib.sha256(run_id.encode()).hexdigest()[:32]


def named(process: TrackedProcess) -> str:
    """Return the process as text for users."""
    return f"{process.pid} on {process.place}" if process.place else str(process.pid)


def still_written(name: str, process: TrackedProcess) -> Conflict:
    """Return the error for a run that another process writes."""
    return Conflict(
        f"The process {named(process)} still writes the run {name!r}.",
        hint="End the run in that process first (genops.end()), or try again when the process has ended.",
    )


def _is_same(one: TrackedProcess, other: TrackedProcess) -> bool:
    return (one.place, one.pid, one.kernel_id) == (other.place, other.pid, other.kernel_id)


def _may_write(process: TrackedProcess, file: Path | None) -> bool:
    """Return True for another host, which judges its own pids."""
    return bool(process.place) or not is_gone(process, file)
