"""Read what this host has for a new process: memory, room on the disk, GPUs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Dict

from .gpus import GpuReader


def free_bytes(root: Path = Path("/sys/fs/cgroup"), meminfo: Path = Path("/proc/meminfo")) -> int:
    """Return the free memory: that of the machine, or what is left below a container's limit; 0 where unknown."""
    try:
        lines = meminfo.read_text().splitlines()
        free = 1024 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return 0
    try:
        limit = int((root / "memory.max").read_text())
        used = int((root / "memory.current").read_text())
        stat = (root / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # no such group, or "max"
        return free
    cache = sum(int(line.split()[1]) for line in stat if line.startswith("inactive_file "))
    return min(free, max(limit - used + cache, 0))


def resources(folder: str) -> Dict[str, Any]:
    """Return the free memory, the room on the disk of ``folder`` (0: unknown), and the GPUs with their free memory."""
    try:
        disk = shutil.disk_usage(folder if os.path.isdir(folder) else os.path.dirname(folder)).free
    except OSError:
        disk = 0
    gpus = [
        {
            "name": str(each["name"]),
            "free_bytes": max((each["memory_total_bytes"] or 0) - (each["memory_used_bytes"] or 0), 0),
        }
        for each in GpuReader().read().gpus
    ]
    return {"free_bytes": free_bytes(), "disk_bytes": disk, "gpus": gpus}
