"""One at a time for each run: a claim among the tasks of this Lab and the Labs that share its data, and a promise among
the processes that go on with one.

A process that was told that it may go on with a run is known by its session only once that session's start has come,
which is later: until then a file in ``folder`` holds its place, for other Labs of the user too.
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
from .spool import is_gone

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
#: Whose start has not come by then gave up, or is a process of another host that is gone.
PROMISED_S = 60.0


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


class _Promise(msgspec.Struct, frozen=True):
    process: TrackedProcess
    at: float


class Resumptions:
    """Who goes on with which run."""

    def __init__(self, folder: Path, runs: TrackedRuns, claims: RunClaims) -> None:
        self._folder = folder
        self._runs = runs
        self._claims = claims

    def alone(self, run_id: str) -> AbstractAsyncContextManager[None]:
        """Wait until nobody else decides who goes on with this run. Inside, wait for no claim on a key."""
        return self._claims.alone(f"resumption of {run_id}")

    async def other_than(self, process: TrackedProcess, run_id: str) -> TrackedProcess | None:
        """Another process that writes the run, or was told that it may."""
        return await asyncio.to_thread(self._other_than, process, run_id)

    async def promise(self, process: TrackedProcess, run_id: str) -> None:
        """The process was told that it may go on with the run."""
        text = msgspec.json.encode(_Promise(process, time.time()))
        await asyncio.to_thread(lambda: self._file(run_id).write_bytes(text))

    async def begun(self, run_id: str) -> None:
        """The start of its session is known, so the promise is kept."""
        await asyncio.to_thread(lambda: self._file(run_id).unlink(missing_ok=True))

    def _other_than(self, process: TrackedProcess, run_id: str) -> TrackedProcess | None:
        writers = [run.process for run in self._runs.sessions(run_id) if run.state == OPEN]
        try:
            promise = msgspec.json.decode(self._file(run_id).read_bytes(), type=_Promise)
        except (FileNotFoundError, msgspec.DecodeError):  # none, or cut off by a crash
            promise = None
        if promise is not None and 0 <= time.time() - promise.at < PROMISED_S:
            writers.append(promise.process)
        return next((each for each in writers if not _is_same(each, process) and _may_write(each)), None)

    def _file(self, run_id: str) -> Path:
        return private_dir(self._folder) / hashlib.sha256(run_id.encode()).hexdigest()[:32]


def named(process: TrackedProcess) -> str:
    """As people are told of it."""
    return f"{process.pid} on {process.place}" if process.place else str(process.pid)


def still_written(name: str, process: TrackedProcess) -> Conflict:
    """Why nobody else goes on with the run of this name."""
    return Conflict(
        f"The run {name!r} is still written by the process {named(process)}.",
        hint="End it there first (genops.end()), or try again when that process is gone.",
    )


def _is_same(one: TrackedProcess, other: TrackedProcess) -> bool:
    return (one.place, one.pid, one.kernel_id) == (other.place, other.pid, other.kernel_id)


def _may_write(process: TrackedProcess) -> bool:
    """Another host's pids are judged there."""
    return bool(process.place) or not is_gone(process)
