"""Processes as tests ask for them. A zombie has ended: the first process of many containers never reaps them, so
``psutil.pid_exists`` stays true for one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import psutil


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
