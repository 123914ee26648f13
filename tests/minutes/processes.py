"""The processes of a test run: which are there, whose they are, what they used, which were left behind.

A process belongs to the run when a worker is among its ancestors or when it carries the run's mark, an environment
variable that children inherit. On Linux the process that leads the workers also takes in orphans (it is a
"subreaper"), so none escapes by a cleared environment and two forks.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

#: ``<run>:<worker>:<file>``. No prefix that tests take out of the environments of what they start.
MARK = "TEST_RUN_MARK"

#: Where :func:`shared_process` writes, for all workers of a run.
SHARED = "TEST_RUN_SHARED"

#: Seconds for what is ending by itself, on a busy machine too.
GRACE_S = float(os.environ.get("TEST_RUN_GRACE_S", "10"))

#: Started for a process's whole life, and ended with it: by Python itself, and by carriers for connections.
OF_A_PROCESS = (
    "multiprocessing.resource_tracker",
    "multiprocessing.forkserver",
    "genops_lab.hosts.providers.ssh.paramiko_child",
    "genops_lab.hosts.providers.kubernetes.api_child",
)

_SET_CHILD_SUBREAPER = 36

_looking = threading.Lock()

#: A process's pid and its start, which together are never used twice.
Key = tuple[int, float]


@dataclass(frozen=True)
class Seen:
    """A process at one moment. ``cpu_s``: its own seconds and those of the children that it waited for."""

    key: Key
    parent: int
    cpu_s: float
    zombie: bool

    @property
    def pid(self) -> int:
        return self.key[0]


def look() -> dict[Key, Seen]:
    """Return all processes of this machine."""
    with _looking:
        seen = _of_linux() if sys.platform.startswith("linux") else _of_others()
        return {each.key: each for each in seen}


def _of_linux() -> Iterator[Seen]:
    """Read one file a process: a third of the CPU that psutil needs, and a run looks a thousand times."""
    ticks = os.sysconf("SC_CLK_TCK")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:  # else it has ended
            content = file.read()
            fields = content[content.rindex(b")") + 2 :].split()
            cpu_s = sum(map(int, fields[11:15])) / ticks
            yield Seen((int(pid), int(fields[19]) / ticks), int(fields[1]), cpu_s, fields[0] == b"Z")


def _of_others() -> Iterator[Seen]:
    for process in psutil.process_iter(["ppid", "cpu_times", "create_time", "status"]):
        content = process.info
        times = content["cpu_times"]
        if times is None or content["create_time"] is None:
            continue
        cpu_s = times.user + times.system + times.children_user + times.children_system
        zombie = content["status"] == psutil.STATUS_ZOMBIE
        yield Seen((process.pid, content["create_time"]), content["ppid"] or 0, cpu_s, zombie)


def mark_of(pid: int) -> str:
    """Return the mark that a process carries, or "" where it carries none or must not be read."""
    return _variable(pid, MARK)


def _variable(pid: int, name: str) -> str:
    try:
        return psutil.Process(pid).environ().get(name, "")
    except (psutil.Error, OSError):
        return ""


def shared_process(name: str, pid: int) -> None:
    """Say that a process, with its children, serves several files: it gets a row of its own, named ``name``."""
    folder = os.environ.get(SHARED)
    if folder:
        (Path(folder) / str(pid)).write_text(name, encoding="utf-8")


def forked_process(pid: int, mark: str | None = None) -> None:
    """Say that a process, which another one forked, was started by what runs now, or by what has ``mark``: it is
    counted there."""
    mark = os.environ.get(MARK, "") if mark is None else mark
    worker, _, what = mark.partition(":")[2].partition(":")
    if worker:
        fixture = what.removeprefix("shared:")
        shared_process(worker if fixture == what else f"what {fixture} forks ({worker})", pid)


def shared_processes() -> dict[int, str]:
    """Return the pids that :func:`shared_process` was told, with their names."""
    folder = os.environ.get(SHARED)
    if not folder:
        return {}
    files = [file for file in Path(folder).iterdir() if file.name.isdigit()]
    return {int(file.name): file.read_text(encoding="utf-8") for file in files}


# -- what is left behind ------------------------------------------------------------------------------


@dataclass(frozen=True)
class LeftBehind:
    """A process that outlived its file. ``test``: what ran when it was started, "" where that is unknown."""

    pid: int
    command: str
    test: str

    def __str__(self) -> str:
        return f"{self.test or '(test unknown)'}: process {self.pid}, {self.command}"


def end_what_is_left(
    mark: str, *, below: int, spared: Iterable[int] = (), orphans_alone: bool = False
) -> list[LeftBehind]:
    """End the processes whose mark begins with ``mark`` or that are descendants of ``below``, and return them.

    Those that end by themselves within ``GRACE_S`` are no finding. ``spared``: pids that stay, with their
    descendants. ``orphans_alone``: descendants of ``below`` stay too.
    """
    deadline = time.monotonic() + GRACE_S
    left = list(_left(mark, below, set(spared), orphans_alone))
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = [process for process in left if _runs(process)]
    found = []
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            words = " ".join(process.cmdline()) or process.name()
            command = words if len(words) <= 400 else f"{words[:200]} ... {words[-200:]}"
            test = _variable(process.pid, "PYTEST_CURRENT_TEST") or mark_of(process.pid).rpartition(":")[2]
            found.append(LeftBehind(process.pid, command, test))
            process.kill()
    return found


def _runs(process: psutil.Process) -> bool:
    """Whether a process still does anything: one that nobody waited for does not."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _left(mark: str, below: int, spared: set[int], orphans_alone: bool) -> Iterator[psutil.Process]:
    now = look()
    children: dict[int, list[int]] = {}
    for seen in now.values():
        children.setdefault(seen.parent, []).append(seen.pid)

    def family(pid: int) -> Iterator[int]:
        for child in children.get(pid, ()):
            if child not in spared:
                yield child
                yield from family(child)

    spared |= {pid for kept in list(spared) for pid in family(kept)}
    ours = set(family(below))
    for seen in now.values():
        if seen.zombie or seen.pid in spared or seen.pid in (os.getpid(), below):
            continue
        if orphans_alone and seen.pid in ours:
            continue
        if seen.pid in ours or (mark and mark_of(seen.pid).startswith(mark)):
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(seen.pid)
                command = " ".join(process.cmdline())
                if not any(own in command for own in OF_A_PROCESS):
                    yield process


# -- orphans ------------------------------------------------------------------------------------------


def take_in_orphans(own: Callable[[], Iterable[int]], ended: dict[int, float]) -> bool:
    """Have orphaned descendants become this process's children, and wait for them when they end.

    As PID 1 does, which in many containers does not. ``own``: the children that somebody else waits for. The CPU
    seconds of each orphan that ended are put into ``ended``. Returns whether this machine can (Linux).
    """
    if not sys.platform.startswith("linux") or not any(_children_files()):
        return False
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        return False

    def wait_for_orphans(*_: object) -> None:
        known = set(own())
        for pid in children():
            if pid in known:
                continue
            with contextlib.suppress(ChildProcessError):
                gone, _status, usage = os.wait4(pid, os.WNOHANG)
                if gone:
                    ended[pid] = usage.ru_utime + usage.ru_stime

    signal.signal(signal.SIGCHLD, wait_for_orphans)
    return True


def families(pids: Iterable[int]) -> Iterator[int]:
    """Return these pids and those of their descendants."""
    for pid in pids:
        yield pid
        yield from families(list(children(str(pid))))


def children(of: str = "self") -> Iterator[int]:
    """Return the pids of a process's children; none where the system does not tell (it is no Linux)."""
    files: list[Path] = []
    with contextlib.suppress(OSError):  # a process that has ended meanwhile
        files = list(_children_files(of))
    for file in files:
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            yield from map(int, file.read_text().split())


def _children_files(of: str = "self") -> Iterator[Path]:
    return Path(f"/proc/{of}/task").glob("*/children")
