"""Read processes from the system: identities that no other process can take over, memory, the host's start."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Set


def boot_id() -> str:
    """Return an id that changes with each start of the host; empty where unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            return stream.read().strip()
    except OSError:
        return _boot_time()


def _boot_time() -> str:
    try:
        found = subprocess.run(
            ["sysctl", "-n", "kern.boottime"], capture_output=True, timeout=5, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.decode("ascii", "replace").partition("}")[0].strip(" {")


def start_time(pid: int) -> str:
    """Return when a process started, in the system's own unit; with the pid it identifies one process. Empty:
    no such process, or an ended one that nobody reaps."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
        return "" if fields[0] in (b"Z", b"X") else fields[19].decode("ascii")
    except (OSError, IndexError):
        pass
    if os.path.isdir("/proc/self"):
        return ""
    try:
        command = ["ps", "-o", "lstart=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, timeout=5, check=False).stdout.decode().strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def signal_group(pid: int, number: int) -> bool:
    """Send a signal to the process group that ``pid`` leads; False when the group has ended."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # one member belongs to another user; macOS returns this for zombies
        return False
    return True


def end_orphans(pid: int, started: str, others: Callable[[], Set[int]] = set, grace_s: float = 2.0) -> bool:
    """Kill the process group of a unit whose keeper is gone, and ``others``. Returns whether there was
    something to kill.

    The group is killed if ``pid`` is still the process that ``started`` identifies, or members of its group
    are left.
    """
    now = start_time(pid)
    leads = not now or now == started
    if os.path.isdir("/proc/self"):
        leads = leads and bool(group_members(pid))

    def reach(number: int) -> bool:
        found = others()
        for each in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(each, number)
        return (leads and signal_group(pid, number)) or bool(found)

    if not reach(signal.SIGTERM):
        return False
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline:
        if not (leads and group_members(pid)) and not others():
            return True
        time.sleep(0.02)
    reach(signal.SIGKILL)
    return True


def with_variable(name: str, value: str) -> Set[int]:
    """Return this user's processes that were started with this variable; none where /proc is missing."""
    found = set()
    wanted = f"{name}={value}".encode()
    for pid, fields in _all_processes():
        try:
            with open(f"/proc/{pid}/environ", "rb") as stream:
                has = wanted in stream.read().split(b"\0")
        except OSError:  # it has ended meanwhile, or belongs to another user
            continue
        if has and fields[0] != b"Z" and pid != os.getpid():
            found.add(pid)
    return found


def group_members(group: int) -> Dict[int, int]:
    """Return the processes of a group and their resident memory in bytes; empty where /proc is missing."""
    page = os.sysconf("SC_PAGE_SIZE")
    found = {}
    for pid, fields in _all_processes():
        if fields[0] != b"Z" and int(fields[2]) == group:
            found[pid] = int(fields[21]) * page
    return found


class Usage(NamedTuple):
    """The use of a process; the CPU time includes that of ended children."""

    memory_bytes: int
    cpu_s: float


def trees(roots: Iterable[int], proc: str = "/proc") -> Dict[int, Dict[int, Usage]]:
    """Return for each root, all from one look: the processes of its group and all their descendants.

    Without /proc (macOS): the root and its descendants, where psutil is installed; otherwise empty.
    """
    psutil = psutil_without(proc)
    if psutil is not None:
        return {root: _tree_by(psutil, root) for root in roots}
    page, ticks = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
    everybody = {pid: fields for pid, fields in _all_processes() if fields[0] != b"Z"}
    children: Dict[int, List[int]] = {}
    groups: Dict[int, List[int]] = {}
    for pid, fields in everybody.items():
        children.setdefault(int(fields[1]), []).append(pid)
        groups.setdefault(int(fields[2]), []).append(pid)
    found = {}
    for root in roots:
        members: Set[int] = set()
        waiting = [pid for pid in (root, *groups.get(root, ())) if pid in everybody]
        while waiting:
            members.update(waiting)
            waiting = [pid for parent in waiting for pid in children.get(parent, ()) if pid not in members]
        found[root] = {
            pid: Usage(int(everybody[pid][21]) * page, sum(map(int, everybody[pid][11:15])) / ticks)
            for pid in members
        }
    return found


def psutil_without(proc: str) -> Any:
    """Return psutil where the system's files are missing (macOS) and it is installed, as with any ipykernel;
    otherwise None."""
    if os.path.isdir(proc):
        return None
    try:
        import psutil
    except ImportError:
        return None
    return psutil


def _tree_by(psutil: Any, root: int) -> Dict[int, Usage]:
    found: Dict[int, Usage] = {}
    with contextlib.suppress(psutil.Error):
        for process in (psutil.Process(root), *psutil.Process(root).children(recursive=True)):
            with contextlib.suppress(psutil.Error), process.oneshot():  # it ended, or belongs to another user
                cpu = process.cpu_times()
                found[process.pid] = Usage(process.memory_info().rss, cpu.user + cpu.system)
    return found


def _all_processes() -> "Iterator[tuple[int, list[bytes]]]":
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for name in names:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stream:
                    fields = stream.read().rpartition(b")")[2].split()
            except OSError:  # it has ended meanwhile
                continue
            if len(fields) > 21:
                yield int(name), fields


def oom_kills() -> Optional[int]:
    """Return how many processes of this control group the system has killed for memory so far; None: not
    visible."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as stream:
            lines = [line.rstrip("\n").split(":", 2) for line in stream]
    except OSError:
        return None
    for fields in lines:
        if len(fields) < 3:
            continue
        controllers, path = fields[1], fields[2]
        if controllers == "":
            file = f"/sys/fs/cgroup{path}/memory.events"
        elif "memory" in controllers.split(","):
            file = f"/sys/fs/cgroup/memory{path}/memory.oom_control"
        else:
            continue
        try:
            with open(file, encoding="ascii") as stream:
                for line in stream:
                    name, _, value = line.partition(" ")
                    if name == "oom_kill":
                        return int(value)
        except (OSError, ValueError):
            continue
    return None
