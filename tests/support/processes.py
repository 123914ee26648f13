"""Processes as tests ask for them. A zombie has ended: the first process of many containers never reaps them, so
``psutil.pid_exists`` stays true for one."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

_ENDS_WITHIN_S = 10.0


def runs(pid: int) -> bool:
    """Return whether a process is there and has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def commands_with(text: str, processes: Iterable[psutil.Process] | None = None) -> list[list[str]]:
    """Return the commands that run with ``text`` in one of their words: of these processes, or of all."""
    found = []
    for process in processes if processes is not None else psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            words = process.cmdline()
            if any(text in word for word in words):
                found.append(words)
    return found


def end_those_of(*folders: Path) -> None:
    """Kill the processes with one of these folders in their command or as their HOME, also those that they start
    meanwhile. All are suspended first: none sees the end of another."""
    texts = [str(folder) for folder in folders]
    deadline = time.monotonic() + _ENDS_WITHIN_S
    while found := [process for process in psutil.process_iter() if _is_of(process, texts)]:
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                for each in (*process.children(recursive=True), process):
                    each.kill()
        assert time.monotonic() < deadline, f"still there: {found}"
        time.sleep(0.02)


def _is_of(process: psutil.Process, texts: list[str]) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        words = [*process.cmdline(), process.environ().get("HOME", "")]
        return process.pid != os.getpid() and any(text in word for text in texts for word in words)
    return False


def killed_in(work: Callable[[], Any]) -> None:
    """Run it in a process that ends itself by SIGKILL somewhere in it."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


def kill() -> None:
    """End this process as SIGKILL does: it writes nothing more."""
    os.kill(os.getpid(), signal.SIGKILL)
