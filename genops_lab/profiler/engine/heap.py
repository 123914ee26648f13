"""Memory that was freed, given back to the system: C's allocator keeps it for what comes next."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """What is free in this process's heap, where the C library can (glibc); it takes some milliseconds."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
