"""What a step costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genops_lab.profiling import analyze
from genops_lab.profiling.engine.efficiency.pricing import WITHOUT_STEPS, priced
from genops_lab.profiling.models import ProfileSummary, StepPrice


def trace(path: Path, *lengths: int) -> Path:
    """Steps of these lengths in microseconds on a CPU, each with an operator."""
    events: list[dict[str, Any]] = []
    at = 0
    for number, length in enumerate(lengths):
        common = {"ph": "X", "pid": 1, "tid": 1, "ts": at}
        events += [
            {**common, "cat": "user_annotation", "name": f"ProfilerStep#{number}", "dur": length},
            {**common, "cat": "cpu_op", "name": "aten::mm", "dur": length / 2},
        ]
        at += length
    if not lengths:
        events = [{"ph": "X", "pid": 1, "tid": 1, "ts": 0, "cat": "cpu_op", "name": "aten::mm", "dur": 5}]
    path.write_text(json.dumps({"traceEvents": events}))
    return path


def price(found: ProfileSummary) -> StepPrice:
    assert found.price is not None
    return found.price


def test_steps_of_a_cpu_have_a_price_without_their_warm_up(tmp_path: Path) -> None:
    found = analyze(trace(tmp_path / "t.json", 9000, 1000, 1000, 2000, 2000), usd_per_hour=3.6)
    assert [step.warmup for step in found.steps] == [True, False, False, False, False]
    assert price(found).usd_a_step == pytest.approx(1.5e-6)
    assert found.roofline is None and price(found).target == ""


def test_another_price_replaces_the_kept_one(tmp_path: Path) -> None:
    kept = priced(analyze(trace(tmp_path / "t.json", 1000, 1000)), 3.6, "gpu1")
    assert (price(kept).target, price(kept).usd_a_step) == ("gpu1", pytest.approx(1e-6))
    asked = priced(kept, 7.2)
    assert (price(asked).target, price(asked).usd_a_step) == ("", pytest.approx(2e-6))
    assert priced(kept, None) == kept


def test_without_steps_the_rate_is_told_alone(tmp_path: Path) -> None:
    found = analyze(trace(tmp_path / "t.json"), usd_per_hour=3.6)
    assert (price(found).usd_per_hour, price(found).usd_a_step) == (3.6, None)


def test_that_there_are_no_steps_is_said_once(tmp_path: Path) -> None:
    device = {
        "ph": "X",
        "cat": "kernel",
        "name": "gemm",
        "pid": 0,
        "tid": 7,
        "ts": 5,
        "dur": 2,
        "args": {"device": 0},
    }
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"traceEvents": [device]}))
    again = priced(analyze(path, usd_per_hour=3.6), 5.0)
    assert again.roofline is not None and again.roofline.missing.count(WITHOUT_STEPS) == 1
