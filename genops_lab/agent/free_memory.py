"""Read how much memory a new process can have on this host."""

from __future__ import annotations

from pathlib import Path


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
