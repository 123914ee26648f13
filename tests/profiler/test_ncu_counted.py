"""What is counted in a report of Nsight Compute: how many kernels, their FLOPs, what they reach of their peaks."""

from __future__ import annotations

from pathlib import Path

import pytest

from genops_lab.profiler import analyze
from genops_lab.profiler.engine.measuring import tally

from ..support.ncu_reports import kernel
from .test_ncu import written


def test_kernels_beyond_those_told_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, *(kernel(name, us=us) for name, us in (("a", 10), ("b", 30), ("c", 20))))
    whole = analyze(path).measured
    assert whole is not None and whole.more_kernels == 0
    monkeypatch.setattr(tally, "TOLD", 2)
    found = analyze(path).measured
    assert found is not None
    assert [each.name for each in found.kernels] == ["b", "c"]
    assert (found.more_kernels, found.launches, found.total_us) == (1, 3, 60)
