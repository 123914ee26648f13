"""Watch how much memory the process uses."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

LOOK_S = 0.5


def used_bytes() -> int:
    """Return the resident memory of this process in bytes; 0 where the system does not tell it."""
    try:
        with open("/proc/self/statm", encoding="ascii") as stream:  # noqa: PTH123 - read twice a second
            return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def shown(size: float) -> str:
    """Return a size for people, such as ``1.5 GB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def watch(limit: int, exceeded: Callable[[int], None]) -> None:
    """Call ``exceeded`` in a thread, once, when the process uses more than ``limit`` bytes."""

    def look() -> None:
        while (used := used_bytes()) <= limit:
            time.sleep(LOOK_S)
        exceeded(used)

    threading.Thread(target=look, name="memory", daemon=True).start()
