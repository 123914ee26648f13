"""Read this machine's metrics, or those of the share of it that a container may use. Everything here blocks."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from genops_lab.agent import processes
from genops_lab.agent.idle import Work, work_of
from genops_lab.agent.metrics import host_reading
from genops_lab.hosts.names import target_of

from .models import KernelUse, Machine, MachineReading


@dataclass(frozen=True)
class KernelEntry:
    """A kernel as its manager lists it; ``path`` is its notebook, or empty. ``target`` and ``preset`` are those
    that its kernelspec names."""

    kernel_id: str
    name: str
    path: str
    state: str
    pid: int | None
    target: str = ""
    preset: str = ""


@lru_cache(maxsize=1)
def cpu_model() -> str:
    """Return the processor's name, or the architecture where the platform does not report it."""
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


class MachineReader:
    """Reads this machine's metrics and each kernel's use with the agent's reader. Safe for several threads."""

    def __init__(self, read: Callable[[], dict[str, Any]] = host_reading) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._works: dict[int, Work] = {}

    def machine(self) -> Machine:
        """Return the machine's metrics now."""
        return _machine(self._read())

    def kernels(self, entries: Sequence[KernelEntry]) -> list[KernelUse]:
        """Return what each kernel's processes use now; CPU since the previous call."""
        return self._kernels(entries, self._read())

    def reading(self, entries: Sequence[KernelEntry]) -> MachineReading:
        """Return both, read at the same moment."""
        reading = self._read()
        return MachineReading(_machine(reading), self._kernels(entries, reading))

    def _kernels(self, entries: Sequence[KernelEntry], reading: dict[str, Any]) -> list[KernelUse]:
        with self._lock:
            trees = processes.trees({entry.pid for entry in entries if entry.pid})
            now = {pid: work_of(tree, reading["gpus"]) for pid, tree in trees.items() if tree}
            before, self._works = self._works, now
        has_gpus = reading["gpu_state"] == "ok"
        uses = []
        for entry in entries:
            work = now.get(entry.pid or 0)
            use = KernelUse(
                kernel_id=entry.kernel_id,
                kernel_name=entry.name,
                target=entry.target or target_of(entry.name) or "this machine",
                preset=entry.preset,
                path=entry.path,
                state=entry.state,
                pid=entry.pid,
            )
            if work is not None:
                use = msgspec.structs.replace(
                    use,
                    cpu_percent=round(work.cpu_percent_since(before.get(entry.pid or 0, work)), 1),
                    memory_bytes=work.memory_bytes,
                    gpu_memory_bytes=sum(gpu.memory_bytes for gpu in work.gpus) if has_gpus else None,
                )
            uses.append(use)
        return uses


def _machine(reading: dict[str, Any]) -> Machine:
    known = {name: 0 if value is None else value for name, value in reading.items()}
    system = {"platform": f"{platform.system()} {platform.release()}", "cpu_model": cpu_model()}
    return msgspec.convert({**known, **system, "name": reading["hostname"]}, Machine)
