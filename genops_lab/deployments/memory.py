"""Say before a start whether two revisions fit into memory, in numbers."""

from __future__ import annotations

from pathlib import Path

from genops_lab.core.formatting import size_of
from genops_lab.serving.engines.memory import GpuNeed

from .models import UpdatePlan

#: Memory of a scoring process without its model, as one with scikit-learn has it.
PROCESS_BYTES = 300 * 2**20


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


def update_plan(
    *,
    name: str,
    number: int,
    serving: int,
    files_bytes: int,
    loading_s: float,
    free: int,
    needs: int = 0,
    gpus: GpuNeed | None = None,
) -> UpdatePlan:
    """Return what an update needs. It fits if the files, as large as in memory, and a process leave nothing short.

    ``needs`` are the bytes that a file of the deployment says, or 0. ``gpus`` is what an engine needs of them instead.
    """
    said = "as its file says" if needs else f"{size_of(files_bytes)} of files"
    needs = needs or files_bytes + PROCESS_BYTES
    fits = needs <= free
    until = f" (about {loading_s:.0f} s the last time)" if loading_s >= 1 else ""
    message = (
        f"Revision {number} starts beside revision {serving}, which answers until the new one does."
        if fits
        else f"Revision {number} needs about {size_of(needs)} of memory ({said}); "
        f"{size_of(free)} are free, so it does not fit beside revision {serving}."
    )
    if gpus is not None:
        fits, needs, free = gpus.fits, gpus.total, gpus.usable
        if not fits:
            message = f"Revision {number} does not fit beside revision {serving}. {gpus.text()}"
    return UpdatePlan(
        name=name,
        number=number,
        serving=serving,
        fits=fits,
        needs_bytes=needs,
        free_bytes=free,
        message=message,
        downtime=f"Nobody is answered from the stop of revision {serving} until revision {number} has loaded{until}.",
    )
