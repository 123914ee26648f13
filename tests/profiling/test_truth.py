"""Real traces against exact interval arithmetic that was computed apart from this engine."""

from __future__ import annotations

import json

import pytest

from tests.support.real_traces import TRACES, analyzed

WITH_TRUTH = [
    "h100_owlv2.json.gz",
    "h800_deepseek_train.json",
    "mi250_toy.json.gz",
    "resnet50_num_workers_0.json.gz",
    "resnet50_num_workers_4.json.gz",
    "triton_example.json.gz",
    "v100_2rank_nccl.json.gz",
]
# The truth of the H800 trace counts its DeepEP kernels as compute; they are communication.
NOT_COMPARED = {"h800_deepseek_train.json": {"compute_us", "comm_us", "exposed_comm_us"}}
FIELDS = ("span_us", "busy_us", "idle_us", "compute_us", "comm_us", "exposed_comm_us", "memory_us", "kernels")

pytestmark = pytest.mark.skipif(
    not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here"
)


@pytest.mark.parametrize("name", WITH_TRUTH)
def test_a_real_trace_agrees_with_its_truth(name: str) -> None:
    truth = json.loads((TRACES / "truth" / f"{name.partition('.')[0]}.json").read_text())
    summary = analyzed("kineto", name)
    assert summary.damaged == ""
    [device] = summary.devices
    assert [device.device] == truth["devices"]
    for field in FIELDS:
        if field not in NOT_COMPARED.get(name, ()):
            assert getattr(device, field) == pytest.approx(truth[field], rel=1e-6, abs=0.05), field
    top = [(each.name, each.count, each.total_us) for each in device.top_kernels]
    expected = [(each["name"], each["count"], each["total_us"]) for each in truth["top10_kernels"]]
    assert [each[:2] for each in top] == [each[:2] for each in expected]
    assert [each[2] for each in top] == pytest.approx([each[2] for each in expected], rel=1e-6)


@pytest.mark.parametrize(
    ("name", "events"), [("v100_2rank_nccl.json.gz", 216_092), ("mtia_rank_0.json.gz", 455_739)]
)
def test_every_event_is_read(name: str, events: int) -> None:
    assert analyzed("kineto", name).events == events


def test_eight_ranks_at_once() -> None:
    summary = analyzed("kineto", "dlrm_8ranks")
    assert summary.ranks == list(range(8))
    assert [each.rank for each in summary.devices] == list(range(8))


def test_device_time_goes_to_operators() -> None:
    summary = analyzed("kineto", "v100_2rank_nccl.json.gz")
    launched = sum(each.device_us for each in summary.operators)
    assert launched == pytest.approx(summary.devices[0].busy_us, rel=0.01)
