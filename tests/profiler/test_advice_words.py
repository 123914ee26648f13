"""What advice says of its evidence: counts as people say them, and from where the device's speed is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genops_lab.profiler import analyze
from genops_lab.profiler.models import Advice

from .events import ADD, H100, Event, busy, call, kernel, operator, written


def only(path: Path) -> Advice:
    [found] = analyze(path).advice
    return found


@pytest.mark.parametrize(
    ("count", "said"), [(1, "1 call takes "), (2, "2 calls take "), (1200, "1,200 calls take ")]
)
def test_one_call_takes_and_two_take(tmp_path: Path, count: int, said: str) -> None:
    slow = [("aten::add", [[8192, 8192], [8192, 8192]], "c10::BFloat16", ADD, 900.0)] * count
    assert only(written(tmp_path, busy(slow), **H100)).evidence.startswith(said)


@pytest.mark.parametrize(
    ("top", "name", "said"),
    [
        (H100, ADD, "of what the H100 SXM allows"),
        ({"schemaVersion": 1}, "sm90_add", "of what a GPU like the H100 SXM (the trace names none"),
        ({"schemaVersion": 1}, "add", "of what a small data-centre GPU (what this one can do is not known)"),
    ],
)
def test_from_where_the_speed_is_known(tmp_path: Path, top: dict[str, Any], name: str, said: str) -> None:
    slow = [("aten::add", [[8192, 8192], [8192, 8192]], "c10::BFloat16", name, 2000.0)] * 9
    assert said in only(written(tmp_path, busy(slow), **top)).evidence


def test_gaps_around_copies_are_counted_as_gaps(tmp_path: Path) -> None:
    """The host copies, launches two kernels late, copies: two gaps a copy."""
    events: list[Event] = []
    for number in range(4):
        at = 1000.0 * number
        events += [operator("aten::copy_", at, 500), call("cudaMemcpyAsync", at + 10, 480, 3 * number + 1)]
        events += [kernel("Memcpy HtoD (Pinned -> Device)", at + 200, 20, 3 * number + 1, cat="gpu_memcpy")]
        for nth in (0, 1):
            own = 3 * number + 2 + nth
            events += [call("cudaLaunchKernel", at + 510 + 20 * nth, 5, own)]
            events += [kernel("gemm", at + 520 + 20 * nth, 19.9 if nth == 0 else 450, own)]
    found = next(
        each for each in analyze(written(tmp_path, events, **H100)).advice if each.code == "h2d_blocking"
    )
    assert found.evidence.startswith("4 copies from the host; in 7 gaps around them the device was idle")
