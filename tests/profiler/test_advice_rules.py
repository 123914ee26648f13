"""Each rule on a planted fault and on its healthy counterpart.

Device events are made up (no GPU is needed); operators, shapes and names of kernels are those of real traces.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genops_lab.profiler import analyze
from genops_lab.profiler.engine import kineto
from genops_lab.profiler.engine.advice import Case, advise
from genops_lab.profiler.engine.columns import Int64
from genops_lab.profiler.engine.traces import Trace
from genops_lab.profiler.models import Place

from .events import Event, call, kernel, operator, slice_of, written

H100: dict[str, Any] = {"deviceProperties": [{"id": 0, "name": "NVIDIA H100 80GB HBM3", "numSms": 132}]}
GEMM = "sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64"
ADD = "void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<c10::BFloat16> >"


def advised(folder: Path, events: list[Event], **top: Any) -> list[str]:
    summary = analyze(written(folder, events, **(top or H100)))
    return [each.code for each in summary.advice]


def busy(
    calls: list[tuple[str, list[Any], str, str, float]], *, concrete: list[str] | None = None, gap: float = 0
) -> list[Event]:
    """Operators (name, dims, type, kernel, length) launched far ahead, so that the device is never idle."""
    events, at = [], 10_000.0
    for number, (name, dims, dtype, kernel_name, length) in enumerate(calls, 1):
        start = 20.0 * number
        shapes: dict[str, Any] = {"Input Dims": dims, "Input type": [dtype if each else "" for each in dims]}
        if concrete:
            shapes["Concrete Inputs"] = concrete
        events += [
            operator(name, start, 15, **shapes),
            call("cudaLaunchKernel", start + 5, 5, number),
            kernel(kernel_name, at, length, number, grid=[1024, 1, 1]),
        ]
        at += length + gap
    return events


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
        ("aten::convolution", [[64, 256, 56, 56], [256, 256, 3, 3]], BF16, "sm90_xmma_fprop", 500, []),
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
    ],
)
def test_operators_against_their_roofline(
    tmp_path: Path, name: str, dims: list[Any], dtype: str, kernel_name: str, length: float, found: list[str]
) -> None:
    concrete = ["", "", "", "[1, 1]", "[1, 1]", "[1, 1]", "False", "[0, 0]", "1"] if "conv" in name else None
    events = busy([(name, dims, dtype, kernel_name, length)] * 10, concrete=concrete)
    assert advised(tmp_path, events) == found


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

    [advice] = advise(Case(trace, places_of=places_of))
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


def loop(step: Callable[[int, float], list[Event]], steps: int = 5, length: float = 1000) -> list[Event]:
    """Steps one after the other. ``step`` is given its number and its start."""
    events: list[Event] = []
    for number in range(steps):
        events += [slice_of("user_annotation", f"ProfilerStep#{number}", number * length, length)]
        events += step(number, number * length)
    return events


def launched(at: float, number: int, length: float, name: str = GEMM, delay: float = 5) -> list[Event]:
    return [
        operator("aten::mm", at, 20),
        call("cudaLaunchKernel", at + 5, 5, number),
        kernel(name, at + 5 + delay, length, number),
    ]


def test_values_read_in_the_loop(tmp_path: Path) -> None:
    def reading(device: bool) -> Callable[[int, float], list[Event]]:
        def step(number: int, at: float) -> list[Event]:
            events = launched(at, 2 * number + 1, 600) + launched(at + 850, 2 * number + 2, 100)
            events += [
                operator("aten::item", at + 30, 590),
                operator("aten::_local_scalar_dense", at + 30, 590),
            ]
            events += [operator("aten::mul", at + 620, 240)]
            return events + ([call("cudaStreamSynchronize", at + 40, 575, 1000 + number)] if device else [])

        return step

    assert "sync_item" in advised(tmp_path, loop(reading(device=True)))
    assert "sync_item" not in advised(tmp_path, loop(reading(device=False)))


def test_a_value_read_behind_queued_work_costs_nothing(tmp_path: Path) -> None:
    def step(number: int, at: float) -> list[Event]:
        # the next kernel is already queued when the host waits for an event
        return [
            *launched(at, 2 * number + 1, 500),
            *launched(at + 25, 2 * number + 2, 490, delay=480),
            operator("aten::item", at + 60, 440),
            call("cudaEventSynchronize", at + 70, 425, 1000 + number),
        ]

    assert "sync_item" not in advised(tmp_path, loop(step))


@pytest.mark.parametrize(("call_name", "found"), [("cudaDeviceSynchronize", True), ("cudaEventQuery", False)])
def test_explicit_synchronisation(tmp_path: Path, call_name: str, found: bool) -> None:
    def step(number: int, at: float) -> list[Event]:
        return [
            *launched(at, 2 * number + 1, 500),
            call(call_name, at + 30, 480, 1000 + number),
            operator("aten::relu", at + 520, 300),
            *launched(at + 820, 2 * number + 2, 150),
        ]

    assert ("sync_other" in advised(tmp_path, loop(step))) == found


@pytest.mark.parametrize(
    ("kind", "blocks", "found"),
    [
        ("Memcpy HtoD (Pageable -> Device)", True, {"h2d_blocking", "h2d_unpinned"}),
        ("Memcpy HtoD (Pinned -> Device)", False, set()),
    ],
)
def test_copies_to_the_device(tmp_path: Path, kind: str, blocks: bool, found: set[str]) -> None:
    def step(number: int, at: float) -> list[Event]:
        copy, compute = 2 * number + 1, 2 * number + 2
        if blocks:
            return [
                operator("aten::copy_", at + 2, 300),
                call("cudaMemcpyAsync", at + 4, 200, copy),
                kernel(kind, at + 100, 100, copy, cat="gpu_memcpy"),
                call("cudaStreamSynchronize", at + 210, 90, 1000 + number),
                *launched(at + 310, compute, 680),
            ]
        # on a stream of its own, beside the work
        return [
            operator("aten::copy_", at + 2, 10),
            call("cudaMemcpyAsync", at + 4, 5, copy),
            kernel(kind, at + 20, 100, copy, cat="gpu_memcpy", stream=9),
            *launched(at + 15, compute, 980, delay=0),
        ]

    accused = set(advised(tmp_path, loop(step)))
    assert accused & {"h2d_blocking", "h2d_unpinned"} == found


def test_small_kernels_that_are_launched_too_late(tmp_path: Path) -> None:
    def kernels(delay: float, every: float) -> list[Event]:
        events: list[Event] = []
        for number in range(1, 200):
            at = 20.0 * number
            events += [operator("aten::add_", at, 19), call("cudaLaunchKernel", at + 8, 6, number)]
            events += [kernel(ADD, delay + every * number, 4, number)]
        return events

    assert advised(tmp_path, kernels(delay=12, every=20)) == ["launch_bound"]
    # the same launches far ahead of a device that has a kernel after the other
    assert advised(tmp_path, kernels(delay=10_000, every=4.1)) == []
    # nor is a device's own pause between kernels that wait already
    assert advised(tmp_path, kernels(delay=10_000, every=5.5)) == []


def test_long_kernels_are_not_launch_bound(tmp_path: Path) -> None:
    events: list[Event] = []
    for number in range(1, 30):
        events += launched(1000.0 * number, number, 700)
    assert "launch_bound" not in advised(tmp_path, events)


@pytest.mark.parametrize(("start", "found"), [(600, True), (0, False)])
def test_communication_beside_and_after_computation(tmp_path: Path, start: float, found: bool) -> None:
    events: list[Event] = []
    for number in range(1, 10):
        at = 1000.0 * number
        events += launched(at - 500, 2 * number, 590, delay=500)
        events += [call("cudaLaunchKernelExC", at - 470, 5, 2 * number + 1)]
        events += [
            kernel("ncclDevKernel_AllReduce_Sum_f32_RING_LL", at + start, 390, 2 * number + 1, stream=20)
        ]
    assert ("exposed_comm" in advised(tmp_path, events)) == found


@pytest.mark.parametrize(
    ("elements", "count", "found"), [(2_000, 120, True), (30_000_000, 120, False), (2_000, 4, False)]
)
def test_small_buckets(tmp_path: Path, elements: int, count: int, found: bool) -> None:
    message: dict[str, Any] = {"In msg nelems": elements, "dtype": "Float"}
    events: list[Event] = []
    for number in range(1, count + 1):
        events += [call("cudaLaunchKernelExC", 10.0 * number, 5, number)]
        events += [
            kernel(
                "ncclDevKernel_AllReduce_Sum_f32_RING_LL",
                5000 + 30.0 * number,
                25,
                number,
                stream=20,
                **message,
            )
        ]
    assert ("small_buckets" in advised(tmp_path, events)) == found


@pytest.mark.parametrize("late", [None, 1])
def test_a_rank_that_comes_late(tmp_path: Path, late: int | None) -> None:
    paths = []
    for rank in range(4):
        events: list[Event] = []
        for number in range(1, 11):
            at = 1000.0 * number
            # who comes late computes longer and is shorter in the collective that all leave together
            compute = 800 if rank == late else 500
            events += launched(at - 400, 2 * number, compute, delay=400)
            events += [call("cudaLaunchKernelExC", at - 370, 5, 2 * number + 1)]
            events += [kernel("ncclAllReduce", at + compute, 900 - compute, 2 * number + 1, stream=20)]
        # The clocks of hosts differ.
        for each in events:
            each["ts"] += rank * 12_345
        paths.append(written(tmp_path, events, f"{rank}.json", distributedInfo={"rank": rank}, **H100))
    found = [each for each in analyze(paths).advice if each.code == "straggler"]
    assert [each.rank for each in found] == ([] if late is None else [late])


def test_memory_given_back_and_taken_again(tmp_path: Path) -> None:
    def step(retries: bool) -> Callable[[int, float], list[Event]]:
        def events(number: int, at: float) -> list[Event]:
            made = launched(at + 300, number + 1, 600)
            if retries or number == 0:
                made += [
                    call("cudaFree", at + 20, 100, 2000 + number),
                    call("cudaMalloc", at + 130, 80, 3000 + number),
                ]
            return made

        return events

    assert "alloc_retries" in advised(tmp_path, loop(step(retries=True)))
    assert "alloc_retries" not in advised(tmp_path, loop(step(retries=False)))


@pytest.mark.parametrize(("allocated", "found"), [(4, True), (9.5, False)])
def test_fragmentation(tmp_path: Path, allocated: float, found: bool) -> None:
    def memory(ts: float, allocated_gb: float, reserved_gb: float) -> Event:
        sizes = {"Total Allocated": int(allocated_gb * 2**30), "Total Reserved": int(reserved_gb * 2**30)}
        arguments = {"Device Type": 1, "Device Id": 0, "Addr": 1, "Bytes": 1, **sizes}
        return {"ph": "i", "name": "[memory]", "pid": 1, "tid": 1, "ts": ts, "s": "t", "args": arguments}

    events = [*launched(0, 1, 500), memory(1, 9, 10), memory(2, allocated, 10), memory(3, allocated + 1, 12)]
    assert ("fragmentation" in advised(tmp_path, events)) == found


@pytest.mark.parametrize(("first", "found"), [(6000, True), (1000, False)])
def test_warm_up_in_the_profile(tmp_path: Path, first: float, found: bool) -> None:
    events = [
        slice_of("user_annotation", "ProfilerStep#0", -first, first),
        call("cuModuleLoadData", -first, 900, 5000),
    ]
    events += launched(-500, 999, 400)
    events += loop(lambda number, at: launched(at, number + 1, 950))
    assert ("warmup_counted" in advised(tmp_path, events)) == found


@pytest.mark.parametrize(("length", "found"), [(500, True), (970, False)])
def test_idle_while_python_runs(tmp_path: Path, length: float, found: bool) -> None:
    events = loop(lambda number, at: launched(at, number + 1, length))
    assert advised(tmp_path, events) == (["gpu_idle"] if found else [])


def test_nothing_to_say_of_nothing(tmp_path: Path) -> None:
    assert advised(tmp_path, []) == []
    broken = busy([("aten::mm", [[0, 0], [0]], BF16, GEMM, 500)] * 3)
    broken += busy([("aten::convolution", [[1, 2, 3], "x"], "no type", GEMM, 500)] * 3)
    assert advised(tmp_path, json.loads(json.dumps(broken))) == []
