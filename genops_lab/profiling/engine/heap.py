"""Return freed memory to the system, which C's allocator would keep for later allocations."""

from __future__ import annotations

import ctypes
import sys

#: Freed memory that a thread's heap may keep; glibc keeps up to 64 MB per heap.
KEPT_BYTES = 16 << 20
#: The largest allocation from a heap: the largest threshold that glibc sets itself.
_LARGEST_BYTES = 32 << 20
#: Options of ``mallopt``.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def give_back() -> None:
    """Return the free memory of this process's heaps to the system, where the C library can (glibc). It takes
    some milliseconds. After the first call threads keep little of the memory that they free, because this
    function cannot trim the end of their heaps."""
    if sys.platform == "linux":
        library = ctypes.CDLL(None)
        trim = getattr(library, "malloc_trim", None)
        if trim is not None:
            library.mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
            library.mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
            trim(0)
