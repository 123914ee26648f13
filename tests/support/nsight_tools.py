"""NVIDIA's own Nsight Systems and Nsight Compute, as ``scripts/nsight.py`` unpacks them: real, on machines without GPU.

Without one they still start programs, record their NVTX ranges (nsys), and read and print reports (both).
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2] / ".cache" / "nsight"


@contextlib.contextmanager
def real_nsys() -> Iterator[Path]:
    """``nsys``, or the test is skipped; for one test at a time, of all processes.

    All its sessions share a lock of the machine (``/tmp/nvidia``), and some tests kill it in the middle of something.
    """
    found = _one("systems/target-*/nsys", "Nsight Systems")
    with (HOME / "nsys.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield found


def real_ncu() -> Path:
    """``ncu``, or the test is skipped. It writes into HOME/Documents: give it a home."""
    return _one("compute/target/*/ncu", "Nsight Compute")


def real_reports() -> list[Path]:
    """The reports of Nsight Compute that came with it; empty without it."""
    return sorted(HOME.glob("examples/*/*.ncu-rep"))


def _one(pattern: str, name: str) -> Path:
    found = next(HOME.glob(pattern), None)
    if found is None:
        pytest.skip(f"{name} is not there: python3 scripts/nsight.py unpacks it on Debian and Ubuntu")
    return found
