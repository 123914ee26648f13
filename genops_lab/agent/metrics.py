"""Read the host's metrics, or those of the share of it that a container or a job has. Everything here blocks."""

from __future__ import annotations

import itertools
import os
import platform
import shutil
import threading
import time
from typing import Any, Callable, Dict, Optional, Tuple

from .cgroups import Share, read_share
from .gpus import GpuReader
from .processes import psutil_without
from .timeouts import Guarded, Unanswered

#: Seconds in which two callers get the same reading: percentages over shorter times mean nothing.
FRESH_S = 0.5
#: Seconds. A home may be on a file server that is away.
DISK_TIMEOUT_S = 2.0
#: Seconds. A call that may hang costs a thread, and a disk fills slowly.
DISK_FRESH_S = 5.0
_FIRST_LOOK_S = 0.1


class HostReader:
    """Readings in the form of the Lab's HostReading; unknown values are None. Safe for several threads."""

    def __init__(
        self,
        share: Callable[[], Share] = read_share,
        gpus: Optional[GpuReader] = None,
        proc: str = "/proc",
    ) -> None:
        self._share = share
        self._gpus = gpus or GpuReader()
        self._proc = proc
        self._psutil = psutil_without(proc)
        self._disk = Guarded(lambda: shutil.disk_usage(os.path.expanduser("~")), DISK_FRESH_S)
        self._lock = threading.Lock()
        self._last: Optional[Tuple[float, Dict[str, Any]]] = None
        self._last_cpu: Optional[Tuple[float, float]] = None

    def read(self) -> Dict[str, Any]:
        """Return the host's metrics now. Takes some milliseconds, longer at the first time and where a driver
        hangs."""
        with self._lock:
            now = time.monotonic()
            if self._last is not None and now - self._last[0] < FRESH_S:
                return self._last[1]
            reading = self._read()
            self._last = (time.monotonic(), reading)
            return reading

    def _read(self) -> Dict[str, Any]:
        share, gpus = self._share(), self._gpus.read()
        cores = float(_cores())
        if share.cpu_count is not None:
            cores = min(cores, share.cpu_count)
        total, used = self._memory(share)
        try:
            disk = self._disk(DISK_TIMEOUT_S)
        except (OSError, Unanswered):
            disk = None
        return {
            "hostname": platform.node(),
            "cpu_count": round(cores, 2),
            "cpu_percent": self._cpu_percent(share, cores),
            "load": _load(),
            "memory_total_bytes": total,
            "memory_used_bytes": used,
            "disk_total_bytes": None if disk is None else disk.total,
            "disk_free_bytes": None if disk is None else disk.free,
            "gpu_state": gpus.state,
            "gpu_message": gpus.message,
            "gpus": list(gpus.gpus),
            "sampled_at": time.time(),
        }

    def _memory(self, share: Share) -> Tuple[Optional[int], Optional[int]]:
        """Return total and used bytes."""
        fields = self._meminfo()
        total, available = fields.get("MemTotal"), fields.get("MemAvailable")
        if not fields and self._psutil is not None:
            total, available = self._psutil.virtual_memory()[:2]
        if total is None:
            total = _pages()
        used = None if total is None or available is None else total - available
        if share.memory_limit is not None and (total is None or share.memory_limit < total):
            total = share.memory_limit
            if share.memory_used is not None:
                used = share.memory_used
            elif used is not None:
                used = min(used, total)
        return total, used

    def _meminfo(self) -> Dict[str, int]:
        found = {}
        try:
            with open(os.path.join(self._proc, "meminfo"), encoding="ascii") as file:
                for line in itertools.islice(file, 3):  # MemTotal, MemFree, MemAvailable
                    name, _, value = line.partition(":")
                    found[name] = int(value.split()[0]) * 1024
        except (OSError, ValueError, IndexError):
            return {}
        return found

    def _cpu_percent(self, share: Share, cores: float) -> Optional[float]:
        """Return the use of the available cores since the last reading; the first reading measures for 0.1 s."""
        if self._last_cpu is None:
            self._last_cpu = self._cpu_seconds(share)
            time.sleep(_FIRST_LOOK_S)
            share = self._share()
        before, now = self._last_cpu, self._cpu_seconds(share)
        if before is None or now is None:
            return None
        self._last_cpu = now
        percent = 100.0 * (now[1] - before[1]) / max((now[0] - before[0]) * cores, 1e-9)
        return round(min(max(percent, 0.0), 100.0), 1)

    def _cpu_seconds(self, share: Share) -> Optional[Tuple[float, float]]:
        """Return the time, and the CPU time used so far by this share of the host (or by all of it)."""
        now = time.monotonic()
        if share.cpu_seconds is not None:
            return now, share.cpu_seconds
        # For all processors of the host: scaled to the available ones.
        scale = _cores() / (os.cpu_count() or 1)
        if self._psutil is not None:
            times = self._psutil.cpu_times()
            return now, (times.user + times.nice + times.system) * scale
        try:
            with open(os.path.join(self._proc, "stat"), encoding="ascii") as file:
                fields = [int(value) for value in file.readline().split()[1:9]]
        except (OSError, ValueError):
            return None
        idle = sum(fields[3:5])  # idle and waiting for a disk
        return now, (sum(fields) - idle) / os.sysconf("SC_CLK_TCK") * scale


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _load() -> Optional[Tuple[float, float, float]]:
    try:
        return os.getloadavg()
    except OSError:
        return None


def _pages() -> Optional[int]:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


_reader = HostReader()


def host_reading() -> Dict[str, Any]:
    """Return this host's metrics now, by the process's one reader."""
    return _reader.read()
