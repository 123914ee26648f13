"""Read what the gateway says of a revision's replicas, and end them. All functions block."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path

import msgspec

from genops_lab.core.locks import FileLock
from genops_lab.core.paths import write_private
from genops_lab.deployments.scaling import Replicas

from .folders import ProcessState, encoded, read

FILE = "replicas.json"
STOP_S = 10.0


class ReplicasFile(msgspec.Struct, frozen=True, kw_only=True):
    """``replicas.json`` of a revision (``serving/gateway/replicas.py``). ``gone`` counts what ended ones answered."""

    asked: int = 1
    ready: int = 1
    min: int = 1
    max: int = 1
    why: str = ""
    gone: dict[str, int] = {}
    stopped: bool = False


def shown(folder: Path) -> Replicas | None:
    """Return the replicas of a revision; None for one that is a single process."""
    found = read(folder / FILE, ReplicasFile)
    if found is None or found.stopped or (found.max == 1 and found.ready == 1):
        return None
    return Replicas(ready=found.ready, asked=found.asked, min=found.min, max=found.max, why=found.why)


def counts(folder: Path) -> tuple[int, int]:
    """Return the requests and the errors of a revision's replicas, also of those that have ended."""
    found = read(folder / FILE, ReplicasFile) or ReplicasFile()
    reports = [read(each / "state.json", ProcessState) for each in _folders(folder)]
    requests = sum(each.requests for each in reports if each is not None)
    errors = sum(each.errors for each in reports if each is not None)
    return requests + found.gone.get("requests", 0), errors + found.gone.get("errors", 0)


def end(folder: Path) -> None:
    """End the replicas of a revision, after the requests in flight or 10 s."""
    if not (folder / FILE).exists():
        return
    with contextlib.suppress(OSError):  # a stop must work on a full disk
        write_private(folder / FILE, encoded({"wanted": [], "stopped": True}))
    deadline, how = time.monotonic() + STOP_S, signal.SIGTERM
    running = [each for each in _folders(folder) if _runs(each)]
    _signal(running, how)
    while running := [each for each in running if _runs(each)]:
        if time.monotonic() > deadline:
            _signal(running, signal.SIGKILL)
            deadline += STOP_S
        time.sleep(0.05)


def forget(folder: Path) -> None:
    """Remove what a stop left, before the revision starts again."""
    end(folder)
    (folder / FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / "replicas", ignore_errors=True)


def _folders(folder: Path) -> list[Path]:
    try:
        return [each for each in (folder / "replicas").iterdir() if each.name.isdigit()]
    except OSError:
        return []


def _runs(replica: Path) -> bool:
    """Return whether the process of a replica holds its lock."""
    if not (replica / "lock").exists():
        return False
    lock = FileLock(replica / "lock")
    free = lock.try_acquire()
    lock.release()
    return not free


def _signal(replicas: list[Path], number: int) -> None:
    for each in replicas:
        with contextlib.suppress(OSError, ValueError):
            pid = int((each / "pid").read_text())
            if number == signal.SIGKILL:  # a replica leads a session of its own
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
