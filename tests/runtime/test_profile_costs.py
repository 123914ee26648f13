"""What markers and calls are taken to cost, on a machine that does other things in the moment when it is measured."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from genops_lab.runtime.profiling import recorder
from tests.support.needs import need_torch

need_torch()
#: Far below what any interpreter needs for a call of Python that is heard of.
NOTHING_S = 5e-8
#: And far above it.
MUCH_S = 1e-4


@pytest.fixture(autouse=True)
def no_coverage_tool() -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(before)


@pytest.mark.parametrize("disturbed", range(1, 12))
def test_a_round_that_was_disturbed_does_not_count(disturbed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something else runs for a second in it. With costs of nothing a loop of Python is heard of for ever, in 28 times
    its time."""
    asked, real = 0, time.perf_counter

    def clock() -> float:
        nonlocal asked
        asked += 1
        return real() + (1.0 if asked >= 2 * disturbed else 0.0)

    monkeypatch.setattr(recorder.time, "perf_counter", clock)
    costs = recorder._measured()
    assert NOTHING_S < costs.marker_s < MUCH_S
    if not hasattr(sys, "monitoring"):
        assert NOTHING_S < costs.call_s < MUCH_S


def test_a_clock_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder.time, "perf_counter", lambda: 1.0)
    costs = recorder._measured()
    assert costs.marker_s > NOTHING_S
    assert hasattr(sys, "monitoring") or costs.call_s > NOTHING_S


def test_nothing_listens_afterwards() -> None:
    recorder._measured()
    assert sys.gettrace() is None
