"""This machine's figures, or those of the share of it that a container may use. Everything here blocks."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil

from genops_lab.agent.cgroups import Share, read_share
from genops_lab.hosts.names import target_of

from .gpus import GpuReader, GpuReading
from .models import KernelUse, Machine, MachineReading

#: Two askers within this time get the same reading: percentages over shorter times say nothing.
FRESH_S = 0.5


@dataclass(frozen=True)
class KernelEntry:
    """A kernel as its manager knows it; ``path`` is its notebook, empty without one."""

    kernel_id: str
    name: str
    path: str
    state: str
    pid: int | None


@lru_cache(maxsize=1)
def cpu_model() -> str:
    """The processor's name; the architecture where the platform does not tell."""
    if sys.platform == "darwin":
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            answer = subprocess.run(
                ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, timeout=2
            )
            if answer.stdout.strip():
                return answer.stdout.strip()
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "Model", "cpu model") and value.strip():
                return value.strip()
    return platform.processor() or platform.machine()


def _affinity() -> int:
    try:
        return len(psutil.Process().cpu_affinity())
    except (AttributeError, psutil.Error):  # macOS has none
        return psutil.cpu_count() or 1


class MachineReader:
    """Readings of the machine and of kernels. Safe for several threads."""

    def __init__(self, share: Callable[[], Share] = read_share, gpus: GpuReader | None = None) -> None:
        self._lock = threading.Lock()
        self._read_share = share
        self._gpus = gpus or GpuReader()
        self._last_cpu: tuple[float, float] | None = None
        self._last: tuple[float, Machine, GpuReading] | None = None
        self._processes: dict[int, psutil.Process] = {}

    def machine(self) -> Machine:
        """The machine now."""
        with self._lock:
            return self._machine()[0]

    def kernels(self, entries: Sequence[KernelEntry]) -> list[KernelUse]:
        """What each kernel's process tree uses now."""
        with self._lock:
            return self._kernels(entries, self._machine()[1])

    def reading(self, entries: Sequence[KernelEntry]) -> MachineReading:
        """Both, of one moment."""
        with self._lock:
            machine, gpus = self._machine()
            return MachineReading(machine, self._kernels(entries, gpus))

    def _machine(self) -> tuple[Machine, GpuReading]:
        now = time.monotonic()
        if self._last is not None and now - self._last[0] < FRESH_S:
            return self._last[1], self._last[2]
        share, gpus = self._read_share(), self._gpus.read()
        cores = float(_affinity())
        if share.cpu_count is not None:
            cores = min(cores, share.cpu_count)
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(Path.home()))
        total, used = memory.total, memory.total - memory.available
        if share.memory_limit is not None and share.memory_limit < total:
            total = share.memory_limit
            used = share.memory_used if share.memory_used is not None else min(used, total)
        machine = Machine(
            name=platform.node(),
            platform=f"{platform.system()} {platform.release()}",
            cpu_count=round(cores, 2),
            cpu_model=cpu_model(),
            cpu_percent=self._cpu_percent(share, cores),
            memory_total_bytes=total,
            memory_used_bytes=used,
            disk_total_bytes=disk.total,
            disk_free_bytes=disk.free,
            gpus=gpus.gpus,
            gpu_state=gpus.state,
            gpu_message=gpus.message,
            sampled_at=time.time(),
        )
        self._last = (time.monotonic(), machine, gpus)
        return machine, gpus

    def _cpu_percent(self, share: Share, cores: float) -> float:
        """Of the cores that may be used, in percent, since the last reading (the first one looks for 0.1 s)."""
        if share.cpu_seconds is None:
            first = self._last_cpu is None
            self._last_cpu = (0.0, 0.0)
            return float(psutil.cpu_percent(interval=0.1 if first else None))
        if self._last_cpu is None:
            self._last_cpu = (time.monotonic(), share.cpu_seconds)
            time.sleep(0.1)
            share = self._read_share()
        before, seconds_before = self._last_cpu
        now, seconds = time.monotonic(), share.cpu_seconds or seconds_before
        self._last_cpu = (now, seconds)
        percent = 100.0 * (seconds - seconds_before) / max((now - before) * cores, 1e-9)
        return round(min(max(percent, 0.0), 100.0), 1)

    def _kernels(self, entries: Sequence[KernelEntry], gpus: GpuReading) -> list[KernelUse]:
        seen: dict[int, psutil.Process] = {}
        uses = [self._use(entry, gpus, seen) for entry in entries]
        self._processes = seen
        return uses

    def _use(self, entry: KernelEntry, gpus: GpuReading, seen: dict[int, psutil.Process]) -> KernelUse:
        tree = self._tree(entry.pid, seen) if entry.pid is not None else []
        cpu, memory, alive = 0.0, 0, False
        for process in tree:
            try:
                with process.oneshot():
                    cpu += process.cpu_percent(interval=None)
                    memory += process.memory_info().rss
                alive = True
            except psutil.Error:  # it ended, or is not ours
                continue
        return KernelUse(
            kernel_id=entry.kernel_id,
            kernel_name=entry.name,
            target=target_of(entry.name) or "this machine",
            path=entry.path,
            state=entry.state,
            pid=entry.pid,
            cpu_percent=round(cpu, 1) if alive else None,
            memory_bytes=memory if alive else None,
            gpu_memory_bytes=(
                sum(gpus.memory_by_pid.get(process.pid, 0) for process in tree)
                if gpus.state == "ok" and alive
                else None
            ),
        )

    def _tree(self, pid: int, seen: dict[int, psutil.Process]) -> list[psutil.Process]:
        """The process and what it started; the same objects each time, for they remember their CPU time."""
        try:
            root = psutil.Process(pid)
            found = [root, *root.children(recursive=True)]
        except psutil.Error:
            return []
        kept = []
        for process in found:
            known = self._processes.get(process.pid)
            kept.append(known if known is not None and known == process else process)
            seen[process.pid] = kept[-1]
        return kept
