"""NVIDIA's own Nsight Systems and Nsight Compute, as ``scripts/nsight.py`` unpacks them: real, on machines without GPU.

Without one they still start programs, record their NVTX ranges (nsys), and read and print reports (both).
"""

from __future__ import annotations

from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parents[2] / ".cache" / "nsight"


def real_nsys() -> Path:
    """``nsys``, or the test is skipped."""
    return _one("systems/target-*/nsys", "Nsight Systems")


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
