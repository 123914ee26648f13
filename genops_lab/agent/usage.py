"""What a kernel's processes do and hold: CPU, memory, GPUs. Reading blocks."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple

from . import processes
from .gpus import GpuReader


class GpuUse(NamedTuple):
    """A GPU of the kernel's: how busy all its users keep it, and what the kernel's processes hold there."""

    number: int
    percent: Optional[float]
    memory_bytes: int


class Work(NamedTuple):
    """One look; ``at`` is monotonic."""

    at: float
    cpu_s: float
    memory_bytes: int
    gpus: Tuple[GpuUse, ...]

    def cpu_percent_since(self, before: "Work", without_s: float = 0.0) -> float:
        """Of one core; ``without_s`` of the CPU time are left out."""
        return 100.0 * max(0.0, self.cpu_s - before.cpu_s - without_s) / max(self.at - before.at, 1e-3)


def read_work(pid: int, visible: Optional[str], gpus: GpuReader) -> Work:
    """What the processes below ``pid``, and the GPUs that are theirs, do now. ``visible``: CUDA_VISIBLE_DEVICES."""
    return work_of(processes.trees([pid])[pid], gpus.read().gpus, visible)


def work_of(
    tree: Mapping[int, processes.Usage], gpus: Iterable[Dict[str, Any]], visible: Optional[str] = None
) -> Work:
    """What these processes do and hold, with the GPUs as a reading has them."""
    uses = []
    for gpu in gpus:
        held = _held(gpu, tree)
        if held is not None or _is_visible(gpu, visible):
            uses.append(GpuUse(gpu["index"], gpu["utilization_percent"], held or 0))
    cpu_s = sum(each.cpu_s for each in tree.values())
    memory = sum(each.memory_bytes for each in tree.values())
    return Work(time.monotonic(), cpu_s, memory, tuple(uses))


def _held(gpu: Dict[str, Any], pids: Mapping[int, Any]) -> Optional[int]:
    """Bytes that these processes hold on a GPU; None: they are not there."""
    held = [each["memory_bytes"] or 0 for each in gpu["processes"] if each["pid"] in pids]
    return sum(held) if held else None


def _is_visible(gpu: Dict[str, Any], visible: Optional[str]) -> bool:
    """Whether CUDA_VISIBLE_DEVICES names the GPU, or a slice of it. Without the variable it tells nothing."""
    names = [name.strip() for name in (visible or "").split(",") if name.strip()]
    own = [str(gpu["index"]), gpu["uuid"], *(each["uuid"] for each in gpu["mig"])]
    return any(name in own or (len(name) > 7 and gpu["uuid"].startswith(name)) for name in names)


def held_words(work: Work) -> str:
    """``; freed 21.4 GiB of GPU memory on GPU 0 and 3.1 GiB of memory``; empty where nothing is known."""
    parts: List[str] = [
        f"{size(gpu.memory_bytes)} of GPU memory on GPU {gpu.number}" for gpu in work.gpus if gpu.memory_bytes
    ]
    if work.memory_bytes:
        parts.append(f"{size(work.memory_bytes)} of memory")
    if not parts:
        return ""
    return "; freed " + (", ".join(parts[:-1]) + " and " + parts[-1] if len(parts) > 1 else parts[0])


def size(count: int) -> str:
    """Bytes, for people."""
    return f"{count / 1024**3:.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:.0f} MiB"
