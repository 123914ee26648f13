"""Read how much memory a new process can have on this machine."""

from __future__ import annotations

from pathlib import Path


def free_bytes(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the memory that a new process can have: that of the machine, or what is left below a container's limit."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit = int((root / "memory.max").read_text())
        used = int((root / "memory.current").read_text())
        lines = (root / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):  # no such group, or "max"
        return free
    cache = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    return min(free, max(limit - used + cache, 0))
