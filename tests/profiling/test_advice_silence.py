"""Healthy programs that look like a fault: what a rule must not say of them, beside what it says of the fault.

Device events are made up (no GPU is needed); operators, shapes and names of kernels are those of real traces.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genops_lab.profiling import analyze

from .events import ADD, GEMM, H100, Event, advised, busy, call, kernel, slice_of, written

BF16 = "c10::BFloat16"
SQUARE = [[4096, 4096], [4096, 4096]]


@pytest.mark.parametrize(
    ("launch", "found"), [("cudaGraphLaunch", []), ("cudaLaunchKernel", ["launch_bound"])]
)
def test_pauses_inside_a_graph_wait_for_no_launch(tmp_path: Path, launch: str, found: list[str]) -> None:
    """A graph's launch goes on beside its first kernels, which were all called at once."""
    events: list[Event] = []
    for step in range(8):
        start = 2000.0 * step
        graph = launch == "cudaGraphLaunch"
        if graph:
            events.append(call(launch, start + 5, 1500, 10_000 + step))
        for number in range(600):
            at = start + 50 + 3.2 * number
            own = 1 + 600 * step + number
            events += [] if graph else [call(launch, at - 0.9, 0.8, own)]
            events.append(kernel(GEMM, at, 2, 10_000 + step if graph else own))
    assert advised(tmp_path, events) == found


@pytest.mark.parametrize(("computed", "found"), [(999, False), (1, True)])
def test_small_buckets_beside_computation_cost_nothing(tmp_path: Path, computed: float, found: bool) -> None:
    events: list[Event] = []
    for step in range(3):
        events.append(slice_of("user_annotation", f"ProfilerStep#{step}", step * 1e5, 99_000))
        for number in range(100):
            at = step * 1e5 + 990 * number
            events += [kernel("ncclDevKernel_AllGather_RING_LL", at, 60, stream=20)]
            events += [kernel(GEMM, at, min(computed, 989))]
    assert ("small_buckets" in advised(tmp_path, events)) == found


@pytest.mark.parametrize(
    ("name", "found"), [("triton_poi_fused_add_mul_{}", []), (ADD + "{}", ["memory_bound_chain"])]
)
def test_what_torch_compile_fused_is_no_chain(tmp_path: Path, name: str, found: list[str]) -> None:
    kernels = [kernel(name.format(number % 4), 51.0 * number, 50, grid=[1000, 1, 1]) for number in range(200)]
    assert advised(tmp_path, kernels) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("void gemv2T_kernel_val<int, int, __nv_bfloat16, __nv_bfloat16, __nv_bfloat16, float, 128>", []),
        ("volta_fp16_sgemm_fp16_128x32_nn", []),
        ("void gemv2T_kernel_val<int, int, float, float, float, float, 128>", ["fp32_math"]),
        ("volta_sgemm_128x32_nn", ["fp32_math"]),
    ],
)
def test_kernels_of_16_bits_are_not_fp32(tmp_path: Path, name: str, found: list[str]) -> None:
    assert advised(tmp_path, [kernel(name, 51.0 * number, 50) for number in range(50)]) == found


@pytest.mark.parametrize(
    ("name", "length", "found"),
    [
        # 137 GFLOP: 229 TFLOP/s, where an H100 has 67 in fp32
        ("triton_tem_fused_mm_0", 600, []),
        ("triton_tem_fused_mm_0", 2600, ["fp32_math"]),
        ("nvjet_sss_128x256_64x4_2x1_v_bz_coopA_TNN", 600, []),
        ("cutlass_80_tensorop_gemm_128x128_32x3_nn_align4", 600, []),
    ],
)
def test_what_is_faster_than_fp32_is_none(tmp_path: Path, name: str, length: float, found: list[str]) -> None:
    assert advised(tmp_path, busy([("aten::mm", SQUARE, "float", name, length)] * 10)) == found


@pytest.mark.parametrize("training", ["True", "False"])
@pytest.mark.parametrize(("causal", "found"), [("False", []), ("True", ["attention_low_efficiency"])])
def test_that_training_wants_the_logsumexp_makes_no_causal_mask(
    tmp_path: Path, training: str, causal: str, found: list[str]
) -> None:
    """1.1 TFLOP in 3.2 ms are 35 % of the peak; half as many would be little."""
    concrete = ["", "", "", "", training, "0.", causal]
    name = "aten::_scaled_dot_product_efficient_attention"
    calls = [(name, [[4, 32, 4096, 128]] * 3, BF16, "fmha_cutlassF_bf16_aligned_64x128_rf_sm80", 3200.0)]
    assert advised(tmp_path, busy(calls * 5, concrete=concrete)) == found


def _named(name: str, processors: int) -> dict[str, Any]:
    return {"deviceProperties": [{"id": 0, "name": name, "numSms": processors}]}


@pytest.mark.parametrize(
    ("properties", "found"),
    [
        # 403 MB at 0.3 TB/s
        (_named("NVIDIA GeForce RTX 3060", 28), []),
        (_named("NVIDIA GeForce GTX 1080 Ti", 28), []),
        (_named("NVIDIA Next 100", 160), ["low_bandwidth"]),
        (H100, ["low_bandwidth"]),
    ],
)
def test_a_gpu_that_is_not_known_may_be_a_small_one(
    tmp_path: Path, properties: dict[str, Any], found: list[str]
) -> None:
    events = busy([("aten::add", [[8192, 8192], [8192, 8192]], BF16, ADD, 1340)] * 10)
    assert advised(tmp_path, [*events, call("cudaLaunchKernel", 0, 1, 0)], **properties) == found


def test_products_of_8_bits_make_no_larger_device(tmp_path: Path) -> None:
    """1,570 TFLOP/s are an H100's speed for 8 bits."""
    fp8 = [
        ("aten::_scaled_mm", [[8192, 8192], [8192, 8192]], "c10::Float8_e4m3fn", "gemm_kernel", 700.0)
    ] * 10
    assert advised(tmp_path, busy(fp8), schemaVersion=1) == []


def test_two_recordings_of_one_rank_are_no_ranks_of_a_run(tmp_path: Path) -> None:
    """Of the second the others do not wait; that its number is another is said."""

    def recorded(name: str, rank: int, length: float) -> Path:
        events = [kernel(GEMM, 1000.0 * number, 900 - length) for number in range(10)]
        events += [kernel("ncclAllReduce", 1000.0 * number + 900 - length, length) for number in range(10)]
        return written(tmp_path, events, name, distributedInfo={"rank": rank}, **H100)

    ranks = [recorded("a.json", 0, 500), recorded("b.json", 1, 100)]
    assert "straggler" in [each.code for each in analyze(ranks).advice]
    assert analyze(ranks).damaged == ""
    again = analyze([ranks[0], recorded("c.json", 0, 100)])
    assert again.ranks == [0, 1]
    assert "straggler" not in [each.code for each in again.advice]
    assert again.damaged == "c.json: Another file also has rank 0: this one is shown as rank 1."
