"""Whether the process that tracks a run is still there."""

from __future__ import annotations

from .models import TrackedProcess

#: The kernel side reads its start time without psutil, to a clock tick of the boot time.
_TOLERANCE_S = 2.0


def is_gone(process: TrackedProcess) -> bool:
    """Whether the process ended, also where another one has its pid by now."""
    import psutil

    try:
        found = psutil.Process(process.pid)
        if found.status() == psutil.STATUS_ZOMBIE:
            return True
        return process.created is not None and abs(found.create_time() - process.created) > _TOLERANCE_S
    except psutil.AccessDenied:
        return False
    except psutil.NoSuchProcess:
        return True
