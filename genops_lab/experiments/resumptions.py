"""A run is gone on with by one process at a time.

A process that was told that it may go on with a run is known by its session only once that session's start has come,
which is later: until then a file in ``folder`` holds its place, for other Labs of the user too.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Conflict
from genops_lab.core.paths import private_dir

from .models import OPEN, TrackedProcess
from .processes import is_gone
from .run_locks import RunClaims

if TYPE_CHECKING:
    from .ledger import TrackedRuns

#: Whose start has not come by then gave up, or is a process of another host that is gone.
PROMISED_S = 60.0


class _Promise(msgspec.Struct, frozen=True):
    process: TrackedProcess
    at: float


class Resumptions:
    """Who goes on with which run."""

    def __init__(self, folder: Path, runs: TrackedRuns, claims: RunClaims) -> None:
        self._folder = folder
        self._runs = runs
        self._claims = claims

    @asynccontextmanager
    async def alone(self, run_id: str) -> AsyncIterator[None]:
        """Wait until nobody else decides who goes on with this run. Inside, wait for no claim on a key."""
        async with self._claims.alone(f"resumption of {run_id}"):
            yield

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
