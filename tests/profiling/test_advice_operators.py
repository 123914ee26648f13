"""Operators against what their shapes and the device allow: slow ones, and healthy ones of the same shapes.

Device events are made up (no GPU is needed); operators, shapes and names of kernels are those of real traces.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genops_lab.profiling.engine.advice import Context, advise
from genops_lab.profiling.engine.columns import Int64
from genops_lab.profiling.engine.reading import kineto
from genops_lab.profiling.engine.traces import Trace
from genops_lab.profiling.models import Place

from .events import ADD, GEMM, H100, Event, advised, busy, written

BF16 = "c10::BFloat16"
QKV = [[1, 32, 8192, 128]] * 3


@pytest.mark.parametrize(
    ("name", "dims", "dtype", "kernel_name", "length", "found"),
    [
        # 137 GFLOP: 0.14 ms at the peak of 989 TFLOP/s
        ("aten::mm", [[4097, 4097], [4097, 4097]], BF16, GEMM, 500, ["misaligned_shapes"]),
        ("aten::mm", [[4096, 4096], [4096, 4096]], BF16, GEMM, 500, ["low_gemm_efficiency"]),
        ("aten::mm", [[4096, 4096], [4096, 4096]], BF16, GEMM, 200, []),
        # rows alone off the alignment cost nothing
        ("aten::mm", [[4097, 4096], [4096, 4096]], BF16, GEMM, 210, []),
        ("aten::mm", [[256, 131072], [131072, 512]], BF16, GEMM, 900, ["few_tiles"]),
        ("aten::mm", [[8192, 4096], [4096, 8192]], BF16, GEMM, 800, []),
        # 268 MB of weights: 80 us
        ("aten::linear", [[4, 16384], [8192, 16384]], BF16, GEMM, 400, ["skinny_gemm"]),
        ("aten::linear", [[4, 16384], [8192, 16384]], BF16, GEMM, 105, []),
        ("aten::mm", [[4096, 4096], [4096, 4096]], "float", "ampere_sgemm_128x128_nn", 3000, ["fp32_math"]),
        ("aten::mm", [[4096, 4096], [4096, 4096]], "float", "sm80_xmma_gemm_f32f32_tf32f32_f32", 400, []),
        # 403 MB: 120 us
        ("aten::add", [[8192, 8192], [8192, 8192]], BF16, ADD, 320, ["low_bandwidth"]),
        ("aten::add", [[8192, 8192], [8192, 8192]], BF16, ADD, 150, []),
        (
            "aten::native_layer_norm",
            [[8192, 8192]],
            BF16,
            "vectorized_layer_norm_kernel",
            300,
            ["low_bandwidth"],
        ),
        ("aten::native_layer_norm", [[8192, 8192]], BF16, "vectorized_layer_norm_kernel", 100, []),
        ("aten::sum", [[16384, 16384]], BF16, "reduce_kernel", 500, ["low_bandwidth"]),
        ("aten::sum", [[16384, 16384]], BF16, "reduce_kernel", 200, []),
        # small tensors live in caches
        ("aten::add", [[1024, 1024], [1024, 1024]], BF16, ADD, 30, []),
        # 1.1 TFLOP: 1.1 ms
        (
            "aten::scaled_dot_product_attention",
            QKV,
            BF16,
            "flash_fwd_kernel",
            6000,
            ["attention_low_efficiency"],
        ),
        ("aten::scaled_dot_product_attention", QKV, BF16, "flash_fwd_kernel", 2200, []),
        (
            "aten::convolution",
            [[64, 1024, 56, 56], [1024, 1, 3, 3]],
            BF16,
            "conv_depthwise2d_forward_kernel",
            900,
            ["depthwise_conv"],
        ),
        (
            "aten::convolution",
            [[64, 1024, 56, 56], [1024, 1, 3, 3]],
            BF16,
            "conv_depthwise2d_forward_kernel",
            350,
            [],
        ),
        # 237 GFLOP: 0.24 ms
        ("aten::convolution", [[64, 256, 56, 56], [256, 256, 3, 3]], BF16, "sm90_xmma_fprop", 500, []),
        (
            "aten::convolution",
            [[64, 256, 56, 56], [256, 256, 3, 3]],
            BF16,
            "sm90_xmma_fprop",
            1500,
            ["low_conv_efficiency"],
        ),
        (
            "vllm::fused_moe",
            [[16, 4096], [64, 22016, 4096], [64, 4096, 11008], [16, 2]],
            BF16,
            "moe",
            280,
            ["small_gemms"],
        ),
        (
            "vllm::fused_moe",
            [[8192, 4096], [8, 22016, 4096], [8, 4096, 11008], [8192, 2]],
            BF16,
            "moe",
            9000,
            [],
        ),
        # 4.4 TFLOP: 4.5 ms
        (
            "vllm::outplace_fused_experts",
            [[8192, 4096], [8, 22016, 4096], [8, 4096, 11008], [8192, 2]],
            BF16,
            "fused_moe_kernel",
            30000,
            ["low_gemm_efficiency"],
        ),
        (
            "_C::rms_norm",
            [[8192, 8192], [8192, 8192], [8192]],
            BF16,
            "rms_norm_kernel",
            300,
            ["low_bandwidth"],
        ),
        ("vllm::rms_norm", [[8192, 8192], [8192, 8192], [8192]], BF16, "rms_norm_kernel", 100, []),
    ],
)
def test_operators_against_their_roofline(
    tmp_path: Path, name: str, dims: list[Any], dtype: str, kernel_name: str, length: float, found: list[str]
) -> None:
    concrete = ["", "", "", "[1, 1]", "[1, 1]", "[1, 1]", "False", "[0, 0]", "1"] if "conv" in name else None
    events = busy([(name, dims, dtype, kernel_name, length)] * 10, concrete=concrete)
    assert advised(tmp_path, events) == found


@pytest.mark.parametrize(("turning", "found"), [(60, ["conv_layout"]), (5, [])])
def test_convolutions_that_turn_their_tensors(tmp_path: Path, turning: float, found: list[str]) -> None:
    convolution = (
        "aten::convolution",
        [[64, 256, 56, 56], [256, 256, 3, 3]],
        BF16,
        "sm90_xmma_fprop",
        500,
    )
    turn = ("aten::to_other_layout", [[64, 256, 56, 56]], BF16, "cudnn::ops::nchwToNhwcKernel<half>", turning)
    assert advised(tmp_path, busy([convolution, turn] * 10)) == found


def test_what_turns_tensors_inside_a_convolution_is_not_its_slowness(tmp_path: Path) -> None:
    """237 GFLOP: 0.24 ms of 0.5 ms, and 0.5 ms of turning by kernels of the same operator."""
    convolution = ("aten::convolution", [[64, 256, 56, 56], [256, 256, 3, 3]], BF16, "sm90_xmma_fprop", 500.0)
    events = busy([convolution] * 10)
    kernels = [event for event in events if event["cat"] == "kernel"]
    at = kernels[0]["ts"]
    for event in kernels:
        turn = {**event, "name": "batched_transpose_32x32_dword", "dur": 500}
        turn["ts"], event["ts"] = at, at + 500
        at += 1000
        events.append(turn)
    assert advised(tmp_path, events) == ["conv_layout"]


def test_many_tiny_products(tmp_path: Path) -> None:
    tiny = [("aten::mm", [[64, 64], [64, 64]], BF16, GEMM, 5.0)] * 64
    assert advised(tmp_path, busy(tiny)) == ["small_gemms"]
    few = [*tiny[:16], *[("aten::mm", [[4096, 4096], [4096, 4096]], BF16, GEMM, 200.0)] * 10]
    assert advised(tmp_path, busy(few)) == []


def test_without_a_model_a_small_gpu_is_meant(tmp_path: Path) -> None:
    """Half of an H100's bandwidth would be low there; of an unknown device it is not."""
    events = busy([("aten::add", [[8192, 8192], [8192, 8192]], BF16, ADD, 320)] * 10)
    assert advised(tmp_path, events, schemaVersion=1) == []


def test_what_was_reached_tells_how_large_an_unknown_device_is(tmp_path: Path) -> None:
    """2.7 TB/s for one operator: no small GPU, so that 0.8 TB/s for another is little."""
    fast = [("aten::mul", [[8192, 8192], [8192, 8192]], BF16, ADD, 150.0)] * 5
    slow = [("aten::add", [[8192, 8192], [8192, 8192]], BF16, ADD, 500.0)] * 5
    assert advised(tmp_path, busy([*slow, *fast]), schemaVersion=1) == ["low_bandwidth"]
    assert advised(tmp_path, busy(slow), schemaVersion=1) == []


def test_advice_names_the_lines_that_it_is_given(tmp_path: Path) -> None:
    trace = Trace(
        kineto.read(written(tmp_path, busy([("aten::mm", [[4097, 4097]] * 2, BF16, GEMM, 500)] * 9), **H100)),
        0,
    )
    asked: list[str] = []

    def places_of(slices: Int64) -> list[Place]:
        asked.extend(trace.columns.names[name] for name in trace.columns.name[slices].tolist())
        return [Place(file="train.py", line=7)]

    [advice] = advise(Context(trace, places_of=places_of))
    assert advice.places == [Place(file="train.py", line=7)]
    assert asked == [GEMM] * 9


def test_attention_in_parts(tmp_path: Path) -> None:
    def layer(softmax: str) -> list[Event]:
        scores = [16, 4096, 4096]
        return busy(
            [
                ("aten::bmm", [[16, 4096, 64], [16, 64, 4096]], BF16, GEMM, 300),
                (softmax, [scores], BF16, "cunn_SoftMaxForward", 400),
                ("aten::bmm", [scores, [16, 4096, 64]], BF16, GEMM, 300),
            ]
            * 4
        )

    assert "attention_unfused" in advised(tmp_path, layer("aten::_softmax"))
    # a classifier's softmax has no product by its side
    classifier = [("aten::_softmax", [[8192, 64, 4096]], BF16, "cunn_SoftMaxForward", 3000.0)] * 4
    assert "attention_unfused" not in advised(tmp_path, busy(classifier))


def test_a_chain_of_element_wise_operators(tmp_path: Path) -> None:
    def one_after_the_other(*names: str) -> list[Event]:
        kernels = {"aten::mm": GEMM}
        return busy(
            [
                (
                    name,
                    [[8192, 8192], [8192, 8192]],
                    BF16,
                    kernels.get(name, ADD),
                    1300.0 if name == "aten::mm" else 140.0,
                )
                for name in names * 4
            ]
        )

    chain = one_after_the_other("aten::mm", "aten::add", "aten::gelu", "aten::mul")
    assert advised(tmp_path, chain) == ["memory_bound_chain"]
    # a product between them, and the same operator over and over: nothing to fuse that the trace shows
    assert advised(tmp_path, one_after_the_other("aten::mm", "aten::add")) == []
    assert advised(tmp_path, one_after_the_other("aten::add")) == []


def test_nothing_to_say_of_nothing(tmp_path: Path) -> None:
    assert advised(tmp_path, []) == []
    broken = busy([("aten::mm", [[0, 0], [0]], BF16, GEMM, 500)] * 3)
    broken += busy([("aten::convolution", [[1, 2, 3], "x"], "no type", GEMM, 500)] * 3)
    assert advised(tmp_path, json.loads(json.dumps(broken))) == []
