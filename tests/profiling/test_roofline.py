"""Roofline and MFU: worked out by hand, on real traces, and peaks against another collection."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from genops_lab.profiling import analyze
from genops_lab.profiling.engine.efficiency.accelerators import accelerators, find
from genops_lab.profiling.models import Roofline
from tests.support.real_traces import TRACES, analyzed

SHARED = Path(__file__).parents[3] / "shared"
real_traces = pytest.mark.skipif(
    not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here"
)
H100 = [{"id": 0, "name": "NVIDIA H100 80GB HBM3"}]


def step(number: int, ts: float, dur: float) -> dict[str, Any]:
    return _slice("user_annotation", f"ProfilerStep#{number}", ts, dur)


def _slice(cat: str, name: str, ts: float, dur: float, tid: int = 1, **args: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": cat, "name": name, "ts": ts, "dur": dur, "pid": 1, "tid": tid, "args": args}


def ran(
    number: int,
    ts: float,
    dur: float,
    *,
    name: str = "aten::mm",
    dtype: str = "c10::BFloat16",
    kernel: str = "gemm",
) -> list[dict[str, Any]]:
    """A product of 4096 by 4096 by 4096 and its kernel."""
    shapes: dict[str, Any] = {
        "Input Dims": [[4096, 4096], [4096, 4096]],
        "Input type": [dtype, dtype],
        "Concrete Inputs": ["", ""],
    }
    started = _slice("kernel", kernel, ts + 5, dur, tid=7, correlation=number, device=0, stream=7)
    return [
        _slice("cpu_op", name, ts, 4, **shapes),
        _slice("cuda_runtime", "cudaLaunchKernel", ts + 1, 1, correlation=number),
        {**started, "pid": 0},
    ]


def roofline(path: Path, events: list[dict[str, Any]], usd: float | None = None, **top: Any) -> Roofline:
    path.write_text(json.dumps({"traceEvents": events, "deviceProperties": H100, **top}))
    found = analyze(path, usd_per_hour=usd).roofline
    assert found is not None
    return found


FLOPS = 2 * 4096**3


def test_mfu_is_of_the_steps(tmp_path: Path) -> None:
    events = [step(1, 0, 1000), step(2, 1000, 1000), *ran(1, 10, 200), *ran(2, 1010, 300), *ran(3, 2500, 200)]
    found = roofline(tmp_path / "t.json", events, usd=3.6)
    # Two products in 2 ms of steps, at 989.4 TFLOP/s; the third ran after them.
    assert found.flops == 2 * FLOPS
    assert found.mfu == pytest.approx(2 * FLOPS / (2e-3 * 989.4e12))
    assert found.usd_a_step == pytest.approx(1e-6)
    assert (found.covered, found.missing) == (1, "")
    [row] = found.operators
    assert (row.count, row.device_us, row.flops, row.dtype) == (3, 700, 3 * FLOPS, "bf16")
    assert row.bytes == 3 * (3 * 4096 * 4096 * 2)
    assert row.tflops == pytest.approx(3 * FLOPS / 700e-6 / 1e12)
    assert row.bound == "compute"
    assert row.share == pytest.approx(row.tflops / 989.4)
    assert [(each.model, each.dtype, each.gb_per_s) for each in found.peaks] == [("H100 SXM", "bf16", 3350)]


def test_without_steps_the_time_of_the_device_counts(tmp_path: Path) -> None:
    found = roofline(tmp_path / "t.json", [*ran(1, 0, 200), *ran(2, 795, 200)], usd=3.6)
    assert found.mfu == pytest.approx(2 * FLOPS / (995e-6 * 989.4e12))
    assert found.usd_a_step is None
    assert "no steps" in found.missing


def test_the_kernel_tells_tf32(tmp_path: Path) -> None:
    plain = roofline(tmp_path / "a.json", ran(1, 0, 3000, dtype="float", kernel="ampere_sgemm_128x64_nn"))
    tensor = roofline(
        tmp_path / "b.json", ran(1, 0, 3000, dtype="float", kernel="sm80_xmma_gemm_f32f32_tf32f32_f32")
    )
    assert [each.dtype for each in plain.operators] == ["fp32"]
    assert [each.dtype for each in tensor.operators] == ["tf32"]
    assert plain.mfu is not None
    assert tensor.mfu is not None
    assert plain.mfu / tensor.mfu == pytest.approx(494.7 / 67)


def test_nested_products_count_once(tmp_path: Path) -> None:
    outer, inner = ran(1, 0, 200, name="aten::matmul"), ran(2, 0.5, 200)
    inner[0]["dur"] = 0.4
    inner[1] |= {"ts": 0.6, "dur": 0.1}
    found = roofline(tmp_path / "t.json", [*outer, *inner])
    assert found.flops == FLOPS
    assert found.covered == 0.5
    assert found.mfu is None
    assert "aten::matmul" in found.missing


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    unknown = roofline(path, ran(1, 0, 200), deviceProperties=[{"name": "Mystery 9000"}])
    assert (unknown.mfu, unknown.peaks) == (None, [])
    assert "Mystery 9000" in unknown.missing
    assert roofline(path, ran(1, 0, 200), deviceProperties=[]).missing.startswith(
        "The trace does not name its device"
    )
    double = roofline(path, ran(1, 0, 200, dtype="double"))
    assert double.mfu is None
    assert "fp64 on H100 SXM" in double.missing
    other = roofline(path, [*ran(1, 0, 200), *ran(2, 300, 100, name="my::fused_attention")])
    assert other.mfu is None
    assert "my::fused_attention" in other.missing


def test_several_ranks_share_the_time(tmp_path: Path) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    one = roofline(paths[0], [step(1, 0, 1000), *ran(1, 10, 200)])
    roofline(paths[1], [step(1, 0, 1000), *ran(1, 10, 200)])
    both = analyze(paths).roofline
    assert both is not None
    assert both.mfu == one.mfu
    assert both.flops == 2 * one.flops


@real_traces
def test_an_h100_trace() -> None:
    summary = analyzed("kineto", "h100_owlv2.json.gz")
    found = summary.roofline
    assert found is not None
    assert found.covered > 0.99
    assert found.mfu is not None
    assert 0.01 < found.mfu < 0.1
    assert all(0 <= each.share <= 1 for each in found.operators)
    # 24 layers' products of 5185 tokens by 1024 by 1024 in bfloat16.
    addmm = next(each for each in found.operators if "[5185, 1024], [1024, 1024]" in each.shapes)
    assert addmm.flops == addmm.count * 2 * 5185 * 1024 * 1024
    assert 300 < addmm.tflops < 989.4
    bmm = next(each for each in summary.operators if each.name == "aten::bmm")
    assert bmm.flops == sum(each.flops for each in found.operators if each.name == "aten::bmm")


@real_traces
def test_a_trace_without_shapes_has_no_mfu() -> None:
    found = analyzed("kineto", "v100_2rank_nccl.json.gz").roofline
    assert found is not None
    assert (found.mfu, found.flops) == (None, 0)
    assert "record_shapes" in found.missing


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("NVIDIA H100 80GB HBM3", "H100 SXM"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA H800", "H800 SXM"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA H20", "H20"),
        ("NVIDIA GH200 480GB", "GH200"),
        ("NVIDIA B200", "B200"),
        ("NVIDIA GB200", "GB200"),
        ("NVIDIA A100-SXM4-40GB", "A100 40GB"),
        ("NVIDIA A100-SXM4-80GB", "A100 80GB SXM"),
        ("NVIDIA A100 80GB PCIe", "A100 80GB PCIe"),
        ("NVIDIA A100-PG509-200", "A100 40GB"),
        ("Tesla V100-SXM2-32GB", "V100 SXM2"),
        ("Tesla V100-DGXS-32GB", "V100 SXM2"),
        ("Tesla T4", "T4"),
        ("NVIDIA A10", "A10"),
        ("NVIDIA A10G", "A10G"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA GeForce RTX 4090", "GeForce RTX 4090"),
        ("NVIDIA RTX A6000", "RTX A6000"),
        ("AMD Instinct MI300X", "Instinct MI300X"),
        ("AMD Instinct MI250X", "Instinct MI250X, one of two"),
    ],
)
def test_devices_are_known_by_their_drivers_names(name: str, model: str) -> None:
    found = find(name)
    assert found is not None
    assert found.model == model


@pytest.mark.parametrize(
    "name", ["", "AMD Radeon Graphics", "NVIDIA T400", "NVIDIA A1000", "NVIDIA GeForce RTX 4090 Laptop GPU"]
)
def test_other_devices_are_not_taken_for_known_ones(name: str) -> None:
    assert find(name) is None


PAIRS = {
    "h100-sxm": "H100 SXM", "h100-pcie": "H100 PCIe", "h200-sxm": "H200", "b200": "B200", "gb200": "GB200",
    "a100-40g": "A100 40GB", "a100-80g-sxm": "A100 80GB SXM", "a100-80g-pcie": "A100 80GB PCIe", "a30": "A30",
    "a10": "A10", "a10g": "A10G", "a6000": "RTX A6000", "l4": "L4", "l40s": "L40S", "v100-32g": "V100 SXM2",
    "gh200-96g": "GH200", "mi300x": "Instinct MI300X", "mi325x": "Instinct MI325X", "mi355x": "Instinct MI355X",
}  # fmt: skip


@pytest.mark.skipif(not SHARED.is_dir(), reason="the collection in ../shared/data is not here")
def test_peaks_agree_with_another_collection() -> None:
    known = {each.model: each for each in accelerators()}
    with (SHARED / "data" / "accelerators.csv").open() as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    for name, model in PAIRS.items():
        ours, row = known[model], rows[name]
        assert ours.gb_per_s == pytest.approx(float(row["mem_bw_gbs"]), rel=0.03), name
        half = ours.tflops.get("bf16", ours.tflops["fp16"])
        assert half == pytest.approx(float(row["bf16_tflops_dense"]), rel=0.03), name
        if row["fp8_tflops_dense"]:
            assert ours.tflops["fp8"] == pytest.approx(float(row["fp8_tflops_dense"]), rel=0.03), name
