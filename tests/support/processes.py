"""Whether a process runs: pids outlive processes where nobody waits for them, as in containers without an init."""

from __future__ import annotations

import psutil


def runs(pid: int) -> bool:
    """Return whether a process can still do anything; a zombie cannot."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
