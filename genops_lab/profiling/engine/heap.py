"""Memory that was freed, given back to the system: C's allocator keeps it for what comes next."""

from __future__ import annotations

import ctypes
import sys

#: So much of what was freed last may stay in a thread's heap; glibc keeps up to 64 MB in each.
KEPT_BYTES = 16 << 20
#: The largest of what comes from a heap at all: that which glibc comes to by itself.
_LARGEST_BYTES = 32 << 20
#: Of ``mallopt``.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def give_back() -> None:
    """What is free in this process's heaps, where the C library can (glibc); it takes some milliseconds. From then on
    threads keep little of what they free, too: the end of their heaps is not reached from here."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        trim = getattr(library, "malloc_trim", None)
        if trim is not None:
            library.mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
            library.mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
            trim(0)
