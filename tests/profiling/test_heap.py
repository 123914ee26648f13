"""Freed memory goes back to the system when it is told to."""

from __future__ import annotations

import platform
import subprocess
import sys

import psutil
import pytest

from genops_lab.profiling.engine import heap


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="only glibc keeps and gives back what was freed"
)
def test_what_is_free_below_something_kept_is_given_back() -> None:
    process, size = psutil.Process(), 2048
    blocks = [bytearray(size) for _ in range(40_000)]
    kept = blocks[-1]
    del blocks
    before = process.memory_info().rss
    heap.give_back()
    assert before - process.memory_info().rss > 20_000 * size
    assert len(kept) == size


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    heap.give_back()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has heaps of threads")
def test_a_thread_keeps_little_of_what_it_frees() -> None:
    """In a process of its own: here its heap may be one that other tests' threads have left something in."""
    program = """
import threading, psutil
from genops_lab.profiling.engine import heap
process, size = psutil.Process(), 1 << 20
heap.give_back()
before = process.memory_info().rss
thread = threading.Thread(target=lambda: [bytearray(size) for _ in range(50)].clear())
thread.start()
thread.join()
print(process.memory_info().rss - before - 4 * size)
"""
    output = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert int(output) < heap.KEPT_BYTES
