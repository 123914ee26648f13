"""Find scoring processes again, and tell one that ended from another with its number."""

from __future__ import annotations

import http.client
import subprocess

# Most difference between two readings of a process's start time; no pid is reused that soon.
_SAME_START_S = 2.0


def process_with(spec: str) -> tuple[int, float] | None:
    """Return the pid and start time of the scoring process with this ``spec.json``, or None."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        command: list[str] = process.info["cmdline"] or []
        if len(command) > 2 and command[-1] == spec and command[-2].endswith(".py"):
            began = created(process.pid)
            if began is not None:
                return process.pid, began
    return None


def exit_code(child: subprocess.Popen[bytes] | None) -> int | None:
    """Return the exit code of a child that has ended; wait up to 1 s, as another thread may reap it."""
    if child is None:
        return None
    try:
        return child.wait(1)
    except subprocess.TimeoutExpired:
        return None


def created(pid: int | None) -> float | None:
    """Return the start time of a process, or None if it has ended or is a zombie."""
    import psutil

    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return float(process.create_time())
    except psutil.Error:
        return None


def same(found: float | None, recorded: float | None) -> bool:
    """Return whether two readings are of one process's start."""
    return found is not None and recorded is not None and abs(found - recorded) < _SAME_START_S


def answers(port: int, key: str) -> bool:
    """Return whether a scoring process answers with its key."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/ping", headers={"Authorization": f"Bearer {key}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
