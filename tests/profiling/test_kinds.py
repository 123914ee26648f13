"""What an event is: by its category, by its name, by what else its maker writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from genops_lab.profiling import analyze
from genops_lab.profiling.models import ProfileSummary

from .events import Event, call, kernel, operator, slice_of


def of(path: Path, *events: Any) -> ProfileSummary:
    path.write_text(json.dumps({"traceEvents": events}))
    return analyze(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trace.json"


@pytest.mark.parametrize(
    ("category", "compute", "memory"),
    [
        ("kernel,foo", 4, 0),
        ("foo, Kernel", 4, 0),
        ("gpu_memcpy,async", 0, 4),
        ("Memset,", 0, 4),
        ("foo,bar", None, 0),
        ("kernels", None, 0),
    ],
)
def test_of_several_categories_the_known_one_counts(
    path: Path, category: str, compute: int | None, memory: int
) -> None:
    summary = of(path, kernel("k", 0, 4, cat=category))
    found = [(each.compute_us, each.memory_us) for each in summary.devices]
    assert found == ([] if compute is None else [(compute, memory)])


SENDS = [
    "ncclKernel_AllReduce_RING_LL_Sum_float(ncclWorkElem)",
    "ncclDevKernel_SendRecv(ncclDevKernelArgsStorage<4096ul>)",
    "ncclSymkDevKernel_AllReduce_AGxLL_R_sum_bf16",
    "rccl::main_kernel",
    "mscclKernel_Sum_half_Simple_true(ncclDevComm*)",
    "void mscclpp::allreduce::allreduce6<__half>(mscclpp::MemoryChannel*)",
    "hcom_allReduce__123_0_1",
    "HcclAllReduce",
    "CNCLKernelAllReduce",
    "void xccl::all_gather(int)",
    "oneccl_allreduce_pcie",
    "ccl::v1::allreduce",
    "nvshmemi_transfer_rma_block",
    "rocshmem_put",
    "void barrier_on_stream_kernel_threadgroup<0>(int, int)",
    "void rdxn_on_stream_kernel<float, (rdxn_ops)2>(int, float*)",
    "broadcast32_on_stream_kernel",
    "ishmem_broadcast",
    "void deep_ep::intranode::dispatch<8, 768, 0>(int4*)",
    "void deep_ep::internode_ll::combine<true, 1, 7168, 9>(void*)",
    "DeepEPDispatch",
    "dpsk::ep::combine_tma",
    "mori::moe::EpDispatchInterNodeKernel",
    "gloo::cudaAllReduce",
    "void vllm::cross_device_reduce_1stage<__nv_bfloat16, 8>(vllm::RankData*)",
    "void aiter::cross_device_reduce_2stage<__hip_bfloat16, 8>(aiter::RankData*)",
    "void c10d::one_shot_all_reduce_kernel<c10::BFloat16, 16, 8, false>(c10::BFloat16**)",
    "void (anonymous namespace)::two_shot_all_reduce_kernel_inplace<c10::BFloat16, 16, 8>(c10::BFloat16**)",
    "void (anonymous namespace)::multimem_all_reduce_kernel<c10::BFloat16, 16>(c10::BFloat16*)",
    "void (anonymous namespace)::multimem_one_shot_all_reduce_kernel<float, 16>(float*)",
    "void tensorrt_llm::kernels::oneShotAllReduceKernel<__half, 8>(AllReduceParams)",
    "void flashinfer::trtllm_allreduce_fusion::allreduce_fusion_kernel_oneshot_lamport<4>(int)",
    "void quickreduce::allreduce_prototype_twoshot<1>(int)",
    "void userbuffers_fp16_sum_inplace_gpu_rr_rs<8>(int)",
    "symm_mem_barrier_kernel",
]
COMPUTES = [
    "void at::native::elementwise_kernel<GlobalOoo>",
    "void igloos::bgloop_kernel<gloomy>(int)",
    "void hyperGlooBar_kernel(int)",
    "void deep_epilogue_kernel<DeepEpilogue>(float*)",
    "sm90_xmma_gemm_bf16_tn_n_deepEpilogue",
    "void cutlass::Kernel<funcNCLayout>(int)",
    "bhcclip_kernel",
    "void welcome_kernel(int)",
    "mcclellan_transform",
    "triton_poi_fused_all_reduce_wait_tensor_add_0",
    "triton_red_fused_one_shot_all_reduce_add_mean_3",
    "void cub::DeviceReduceKernel<WarpAllReduce>(int)",
    "void block_all_reduce_softmax(float*)",
    "void at::native::gather_kernel<all_gather_index>(int)",
    "void at::native::reduce_kernel<512, 1, at::native::ReduceOp<float>>(int)",
    "void scatter_reduce_kernel(int)",
    "fcclip_kernel",
    "void fill_on_stream_kernel(float*)",
    "memory::mori_tree",
]


@pytest.mark.parametrize("name", [*SENDS, *COMPUTES])
def test_communication_is_what_moves_data_between_devices(path: Path, name: str) -> None:
    [device] = of(path, kernel(name, 0, 4)).devices
    sends = name in SENDS
    assert (device.comm_us, device.compute_us, device.exposed_comm_us) == (
        4 * sends,
        4 * (not sends),
        4 * sends,
    )
    # Such a name on the host is no device's work.
    assert of(path, operator(name, 0, 4), slice_of("user_annotation", f"gloo:{name}", 0, 5)).devices == []


def test_what_habana_writes(path: Path) -> None:
    # Its bridge gives a device to what ran there, and no device to the host's calls.
    call_of_host = {"ph": "X", "cat": "hpu_op", "name": "Launch", "pid": 55, "tid": 1, "ts": 0, "dur": 90}
    on_device = {
        **call_of_host,
        "name": "gemm",
        "pid": 1,
        "tid": 3,
        "ts": 10,
        "dur": 20,
        "args": {"device": 1},
    }
    copy = {**on_device, "name": "DMA_memcpy", "cat": "gpu_memcpy", "ts": 40, "dur": 5}
    named_kernel = {**on_device, "cat": "kernel", "ts": 50}
    [device] = of(path, call_of_host, on_device, copy, named_kernel).devices
    assert (device.device, device.busy_us, device.compute_us, device.memory_us) == ("1", 45, 40, 5)
    assert of(path, call_of_host).devices == []


def test_other_makers_categories(path: Path) -> None:
    launch = slice_of("mlu_runtime", "cnInvokeKernel", 0, 2, correlation=4)
    work = [
        kernel("k", 10, 3, 4),
        kernel("copy", 20, 4, cat="mlu_memcpy"),
        kernel("fill", 30, 5, cat="GCU_MEMSET"),
    ]
    summary = of(path, launch, *work)
    assert (summary.devices[0].compute_us, summary.devices[0].memory_us) == (3, 9)
    assert summary.launches[0].launches == 1


def process(pid: Any, name: str) -> Event:
    return {"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}}


def thread(pid: Any, tid: Any, name: str) -> Event:
    return {"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name}}


def nameless(name: str, pid: Any, tid: Any, ts: float, dur: float) -> Event:
    return {"ph": "X", "name": name, "pid": pid, "tid": tid, "ts": ts, "dur": dur}


def test_streams_that_xla_writes_are_devices(path: Path) -> None:
    events = [
        process(1, "/device:GPU:0"), process(2, "/device:GPU:1 NVIDIA H100"), process(701, "/host:CPU"),
        thread(1, 14, "Stream #14(Compute)"), thread(1, 15, "Stream #15(MemcpyH2D)"), thread(1, 99, "XLA Ops"),
        thread(2, 20, "Stream #20(Compute,MemcpyD2D)"), thread(701, 3, "python"),
        nameless("gemm", 1, 14, 0, 10), nameless("MemcpyH2D", 1, 15, 5, 10), nameless("ncclAllReduce", 1, 14, 20, 5),
        nameless("fusion", 1, 99, 0, 100), nameless("gemm", 2, 20, 3, 4), nameless("Memset", 2, 20, 8, 1),
        nameless("PjitFunction", 701, 3, 0, 500),
    ]  # fmt: skip
    for order in (events, events[::-1]):
        summary = of(path, *order)
        assert summary.damaged == ""
        found = [
            (each.device, each.busy_us, each.compute_us, each.comm_us, each.memory_us, each.kernels)
            for each in summary.devices
        ]
        assert found == [("0", 20, 10, 5, 10, 2), ("1", 5, 4, 0, 1, 1)]
        assert {(each.device, each.stream) for each in summary.streams} == {
            ("0", "14"),
            ("0", "15"),
            ("1", "20"),
        }


def test_timelines_of_tensorflow(path: Path) -> None:
    events = [
        process(1, "/job:localhost/replica:0/task:0/device:GPU:0 Compute"),
        process(2, "/device:GPU:0/stream:all Compute"),
        process(3, "/device:GPU:0/stream:20 Compute"),
        process(4, "/device:GPU:0/memcpy Compute"),
        nameless("MatMul", 1, 0, 0, 500),
        {**nameless("MatMul", 2, 0, 10, 20), "cat": "Op"},
        {**nameless("MatMul", 3, 0, 10, 20), "cat": "Op"},
        {**nameless("MEMCPYHtoD", 4, 0, 40, 5), "cat": "Op"},
    ]
    [device] = of(path, *events).devices
    assert (device.device, device.busy_us, device.compute_us, device.memory_us, device.kernels) == (
        "0",
        25,
        20,
        5,
        1,
    )


def test_the_profiler_before_kineto(path: Path) -> None:
    summary = of(
        path, nameless("mm", "CPU functions", 1, 0, 50), nameless("sgemm", "CUDA functions", 1, 9, 5)
    )
    assert [(each.device, each.compute_us) for each in summary.devices] == [("1", 5)]


def test_what_converters_of_nsights_exports_write(path: Path) -> None:
    events = [
        {**nameless("sgemm", "Device 1", "Stream 7", 5, 4), "cat": "cuda", "args": {}},
        {**nameless("cudaLaunchKernel", "Device 1", "CUDA API 1234", 0, 90), "cat": "cuda_api", "args": {}},
    ]
    summary = of(path, *events)
    assert [(each.device, each.compute_us) for each in summary.devices] == [("1", 4)]
    assert [each.stream for each in summary.streams] == ["7"]


@pytest.mark.parametrize(
    "name", ["Ascend Hardware", "/device:TPU:0", "/device:GPU:0", "6 GPU0", "/device:TPU:3 TensorCore"]
)
def test_what_may_be_a_device_is_said_and_not_counted(path: Path, name: str) -> None:
    events = [
        process(7, name),
        thread(7, 1, "XLA Ops"),
        nameless("fusion", 7, 1, 0, 9),
        nameless("add", 7, 2, 9, 1),
    ]
    summary = of(path, *events)
    assert summary.devices == []
    assert summary.damaged == (
        f"2 slices of {name} look like device work, but their kind is not known: they are not counted."
    )


@pytest.mark.parametrize(
    "name",
    ["python", "/host:CPU", "GPU worker", "stream 7", "Stream #7", "/device:CPU:0", "python /device:GPU:0"],
)
def test_a_process_of_the_host_is_no_device(path: Path, name: str) -> None:
    events = [
        process(7, name),
        thread(7, 1, "Stream #7(Compute)"),
        nameless("f", 7, 1, 0, 9),
        operator("mm", 0, 5),
    ]
    summary = of(path, *events)
    assert (summary.devices, summary.damaged) == ([], "")


def test_names_of_processes_add_nothing_to_kernels_that_are_told(path: Path) -> None:
    events = [process(7, "/device:GPU:0"), thread(7, 1, "Stream #7(Compute)"), nameless("f", 7, 1, 0, 9)]
    summary = of(path, *events, kernel("k", 0, 5))
    assert ([each.busy_us for each in summary.devices], summary.damaged) == ([5], "")


def rank(number: int, *, own_processes: bool) -> list[Event]:
    """Two launches of a rank; every rank numbers them from 1."""
    host, device = 1000 + number, 1000 + number if own_processes else number
    found = []
    for at in (1, 2):
        start = 100 * at + 10 * number
        launch = {**call("cudaLaunchKernel", start, 2, at), "pid": host}
        around = {**operator(f"aten::op{number}", start - 1, 5), "pid": host}
        work = {**kernel(f"k{number}", start + 4 + number, 3, at, device=number), "pid": device}
        found += [around, launch, work]
    return found


@pytest.mark.parametrize("own_processes", [True, False])
def test_two_ranks_in_one_file_keep_their_launches_apart(path: Path, own_processes: bool) -> None:
    events = [*rank(1, own_processes=own_processes), *rank(0, own_processes=own_processes)]
    summary = of(path, *events)
    assert {each.name: each.operator for each in summary.kernels} == {"k0": "aten::op0", "k1": "aten::op1"}
    assert [(each.device, each.launches, each.delay_p50_us) for each in summary.launches] == [
        ("0", 2, 4),
        ("1", 2, 5),
    ]
