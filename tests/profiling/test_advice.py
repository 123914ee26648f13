"""Advice on real traces: each problem is found first, and the healthy counterpart is not accused of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from genops_lab.profiling import analyze
from genops_lab.profiling.models import Advice, ProfileSummary
from tests.support.real_traces import TRACES, analyzed

with_traces = pytest.mark.skipif(
    not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here"
)


def codes(summary: ProfileSummary) -> list[str]:
    return [each.code for each in summary.advice]


def one(summary: ProfileSummary, code: str) -> Advice:
    [found] = [each for each in summary.advice if each.code == code]
    return found


@with_traces
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("conv_04_depthwise", "depthwise_conv"),
        ("elem_01_add_poor_bw", "low_bandwidth"),
        ("gemm_01_compute_few_tiles", "few_tiles"),
        ("gemm_03_compute_misaligned", "misaligned_shapes"),
        ("moe_01_many_experts_few_tokens", "small_gemms"),
        ("sdpa_01_long_seq_low_eff", "attention_low_efficiency"),
    ],
)
def test_a_trace_with_one_problem_has_that_advice_and_no_other(name: str, code: str) -> None:
    assert codes(analyzed("advice", f"{name}.json.gz")) == [code]


@with_traces
def test_a_loader_without_workers_is_the_first_problem_and_with_workers_none() -> None:
    slow = analyzed("kineto", "resnet50_num_workers_0.json.gz")
    assert codes(slow)[0] == "dataloader_bound"
    advice = slow.advice[0]
    # all six waits, and no more than the device was idle
    assert "6 waits for the next batch take 415.8 ms" in advice.evidence
    assert advice.saving_us == slow.devices[0].idle_us
    assert (advice.severity, len(advice.moments)) == ("high", 5)

    healthy = codes(analyzed("kineto", "resnet50_num_workers_4.json.gz"))
    assert "dataloader_bound" not in healthy
    assert {"fp32_math", "launch_bound", "h2d_unpinned"} == set(healthy)


@with_traces
def test_communication_is_exposed_on_one_trace_and_hidden_on_another() -> None:
    exposed = analyzed("kineto", "v100_2rank_nccl.json.gz")
    assert one(exposed, "exposed_comm").saving_us == exposed.devices[0].exposed_comm_us
    assert analyzed("kineto", "h800_deepseek_train.json").advice == []


@with_traces
def test_advice_names_lines_where_the_trace_has_stacks() -> None:
    few_tiles = analyzed("advice", "gemm_01_compute_few_tiles.json.gz").advice[0]
    assert [place.file for place in few_tiles.places] == ["generate_all_traces.py"]
    assert analyzed("kineto", "v100_2rank_nccl.json.gz").advice[0].places == []


@with_traces
def test_attention_in_separate_operators_is_found_by_its_shapes() -> None:
    summary = analyzed("kineto", "h100_owlv2.json.gz")
    assert codes(summary) == ["dataloader_bound", "attention_unfused"]
    assert "[16, 5185, 5185]" in one(summary, "attention_unfused").evidence


@with_traces
def test_ranks_are_told_together() -> None:
    summary = analyzed("kineto", "dlrm_8ranks")
    assert len(codes(summary)) == len(set(codes(summary)))
    assert "applies to ranks 0, 2, 3, 4, 5, 6, 7" in one(summary, "exposed_comm").evidence
    assert one(summary, "straggler").rank == 7


@with_traces
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("mtia_rank_0.json.gz", marks=pytest.mark.exhaustive),
        "cpu_only.json.gz",
        "triton_example.json.gz",
    ],
)
def test_where_speed_is_not_known_no_operator_is_called_slow(name: str) -> None:
    assert set(codes(analyzed("kineto", name))) <= {"gpu_idle"}


@with_traces
@pytest.mark.parametrize(
    "name", ["resnet50_num_workers_4.json.gz", "v100_2rank_nccl.json.gz", "mi250_toy.json.gz"]
)
def test_advice_is_in_order_and_saves_no_more_than_was_traced(name: str) -> None:
    summary = analyzed("kineto", name)
    savings = [each.saving_us for each in summary.advice]
    assert savings == sorted(savings, reverse=True)
    assert 0 < max(savings) <= summary.devices[0].span_us
    for each in summary.advice:
        share = each.saving_us / summary.devices[0].span_us
        assert each.severity == ("high" if share >= 0.1 else "medium" if share >= 0.03 else "low")
        assert each.evidence and each.suggestion and each.moments


class _Samples:
    """A data set of small samples, each of which takes a while to make."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __len__(self) -> int:
        return 32

    def __getitem__(self, index: int) -> Any:
        import torch

        if self.seconds:
            time.sleep(self.seconds)
        return torch.full((256,), float(index))


#: Daily the healthy one is a real trace, above.
@pytest.mark.parametrize(
    ("seconds", "bound"), [(0.005, True), pytest.param(0.0, False, marks=pytest.mark.exhaustive)]
)
def test_a_real_capture_with_a_slow_and_a_fast_loader(tmp_path: Path, seconds: float, bound: bool) -> None:
    torch = pytest.importorskip("torch")
    from torch.profiler import ProfilerActivity, profile

    model = torch.nn.Sequential(torch.nn.Linear(256, 4096), torch.nn.ReLU(), torch.nn.Linear(4096, 256))
    loader = torch.utils.data.DataLoader(_Samples(seconds), batch_size=8)
    with profile(activities=[ProfilerActivity.CPU]) as recorded:
        for batch in loader:
            # Much work a batch: a busy machine may keep the loader waiting for a while, too.
            for _ in range(4 if seconds else 40):
                # On the host a value is read without waiting for any device.
                model(batch).square().mean().item()
    path = tmp_path / "trace.json"
    recorded.export_chrome_trace(str(path))
    found = codes(analyze(path))
    assert ("dataloader_bound" in found) == bound
    assert "sync_item" not in found
