"""Streams, steps, launches and idle time: worked out by hand, and against plain oracles."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.profiling import analyze
from genops_lab.profiling.engine.reading import kineto
from genops_lab.profiling.engine.sums import host as host_side
from genops_lab.profiling.engine.sums.summary import Sums
from genops_lab.profiling.engine.traces import Trace
from genops_lab.profiling.models import IdleTime, ProfileSummary
from tests.support.exhaustive import examples
from tests.support.real_traces import TRACES, analyzed

from .events import Event, call, kernel, operator, slice_of, written
from .test_truth import WITH_TRUTH

with_traces = pytest.mark.skipif(
    not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here"
)


def reasons(idle: IdleTime) -> dict[str, tuple[float, int]]:
    return {each.code: (each.total_us, each.count) for each in idle.reasons}


def test_a_stream_has_its_own_unions(tmp_path: Path) -> None:
    summary = analyze(
        written(
            tmp_path,
            [
                kernel("gemm", 0, 10, stream=7),
                kernel("gemm", 5, 10, stream=9),
                kernel("ncclAllReduce", 12, 8, stream=20),
                kernel("Memcpy HtoD", 30, 2, stream=7, cat="gpu_memcpy"),
            ],
        )
    )
    found = [(each.stream, each.busy_us, each.compute_us, each.comm_us) for each in summary.streams]
    assert found == [("7", 12, 10, 0), ("9", 10, 10, 0), ("20", 8, 0, 8)]
    assert [(each.memory_us, each.kernels) for each in summary.streams] == [(2, 1), (0, 1), (0, 1)]


def test_a_steps_device_work_is_what_it_launched(tmp_path: Path) -> None:
    # the second kernel is launched in step 1 and runs when step 2 has begun; backward is another thread
    summary = analyze(
        written(
            tmp_path,
            [
                slice_of("user_annotation", "ProfilerStep#1", 0, 100),
                slice_of("user_annotation", "ProfilerStep#2", 100, 100),
                call("cudaLaunchKernel", 10, 2, 1),
                call("cudaLaunchKernel", 90, 2, 2, tid=2),
                call("cudaLaunchKernel", 150, 2, 3),
                call("cudaLaunchKernel", 500, 2, 4),
                kernel("a", 20, 30, 1),
                kernel("b", 110, 40, 2),
                kernel("c", 160, 20, 3),
                kernel("after the last step", 510, 20, 4),
            ],
        )
    )
    found = [(each.name, each.span_us, each.busy_us, each.idle_us, each.kernels) for each in summary.steps]
    assert found == [("ProfilerStep#1", 100, 70, 30, 2), ("ProfilerStep#2", 100, 20, 80, 1)]
    assert [each.start_us for each in summary.steps] == [0, 100]


@pytest.mark.parametrize(
    ("first", "cause", "warm"), [(180, True, True), (180, False, False), (300, False, True)]
)
def test_the_first_step_is_warm_up_when_it_is_long_and_why(
    tmp_path: Path, first: int, cause: bool, warm: bool
) -> None:
    events = [slice_of("user_annotation", "ProfilerStep#0", 0, first)]
    events += [
        slice_of("user_annotation", f"ProfilerStep#{n}", first + 100 * (n - 1), 100) for n in (1, 2, 3)
    ]
    events += [call("cudaMalloc" if cause else "cudaEventQuery", 5, 50, 9), kernel("k", 10, 1)]
    assert [each.warmup for each in analyze(written(tmp_path, events)).steps] == [warm, False, False, False]


def test_delay_and_queue_of_launches(tmp_path: Path) -> None:
    # the second waits from 12 to 30 behind the first on its stream; the third, on another stream, does not
    summary = analyze(
        written(
            tmp_path,
            [
                call("cudaLaunchKernel", 0, 5, 1),
                call("cudaLaunchKernel", 12, 5, 2),
                call("cudaLaunchKernel", 20, 5, 3),
                kernel("a", 10, 20, 1),
                kernel("b", 31, 2, 2),
                kernel("c", 26, 9, 3, stream=8),
                kernel("unknown launch", 50, 1, 99),
            ],
        )
    )
    [found] = summary.launches
    assert (found.launches, found.call_p50_us, found.shorter_than_call) == (3, 5, 1)
    # delays 10, 19, 6; queues 0, 18, 0
    assert (found.delay_p50_us, found.delay_max_us, found.queue_p50_us) == (10, 19, 0)
    assert found.delay_p90_us == pytest.approx(np.percentile([10, 19, 6], 90))


def test_gaps_by_what_the_launching_thread_did(tmp_path: Path) -> None:
    events: list[Event] = [
        call("cudaLaunchKernel", 0, 2, 1),
        kernel("first", 5, 5, 1),
        # 10 to 60: 30 of data loading, 10 of Python, 8 of an operator until its call at 58, 2 of latency
        slice_of("user_annotation", "enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", 5, 35),
        operator("aten::mm", 50, 12),
        call("cudaLaunchKernel", 58, 2, 2),
        kernel("second", 60, 40, 2),
        # 100 to 130: item waits until 104, then an operator launches from 110: both because of the wait
        operator("aten::item", 62, 42),
        operator("aten::_local_scalar_dense", 62, 42),
        call("cudaStreamSynchronize", 64, 38, 3),
        operator("aten::relu", 110, 20),
        call("cudaLaunchKernel", 120, 4, 4),
        kernel("third", 130, 10, 4),
        # called at 125, while the third was still to come: a pause of the device
        call("cudaLaunchKernel", 125, 4, 5),
        kernel("fourth", 143, 7, 5),
        # waits on the device for a collective's end: nothing on the host explains 150 to 200
        call("cudaLaunchKernel", 131, 4, 6),
        kernel("ncclKernel", 200, 10, 6, stream=20),
    ]
    [idle] = analyze(written(tmp_path, events)).idle
    assert (idle.gaps, idle.total_us, idle.p50_us, idle.over_1ms) == (4, 50 + 30 + 3 + 50, 40, 0)
    assert reasons(idle) == {
        "communication": (50, 1),
        "dataloader": (30, 1),
        # 4 of waiting, 10 of launching that follows it, 10 of latency
        "synchronization": (24, 1),
        "python": (10 + 6, 0),
        "launch": (8 + 2 + 3, 1),
    }


def test_a_blocking_copy_is_a_copy(tmp_path: Path) -> None:
    events = [
        kernel("before", 0, 10, 1),
        call("cudaLaunchKernel", -5, 2, 1),
        operator("aten::copy_", 8, 80),
        call("cudaMemcpyAsync", 9, 70, 2),
        kernel("Memcpy HtoD (Pageable -> Device)", 70, 8, 2, cat="gpu_memcpy"),
        call("cudaStreamSynchronize", 80, 7, 3),
        operator("aten::add", 90, 10),
        call("cudaLaunchKernel", 92, 2, 4),
        kernel("after", 95, 5, 4),
    ]
    [idle] = analyze(written(tmp_path, events)).idle
    # the copy's own launch takes 60 us before the device sees it; then 78 to 95 with 2 of Python
    assert idle.total_us == 60 + 17
    assert reasons(idle)["copy"][0] == pytest.approx(60 + 17 - 2)


def test_a_kernel_of_no_length_parts_two_gaps(tmp_path: Path) -> None:
    events = [kernel("a", 0, 10), kernel("short", 15, 0), kernel("b", 20, 10)]
    [idle] = analyze(written(tmp_path, events)).idle
    assert (idle.gaps, idle.total_us, idle.p50_us) == (2, 10, 5)


HOST = {
    "dataloader": ("user_annotation", "enumerate(DataLoader)#_MultiProcessingDataLoaderIter.__next__"),
    "communication": ("user_annotation", "gloo:all_reduce"),
    "copy": ("cuda_runtime", "cudaMemcpy"),
    "synchronization": ("cuda_runtime", "cudaDeviceSynchronize"),
    "launch": ("cuda_runtime", "cudaEventRecord"),
}
host_slice = st.tuples(st.sampled_from(sorted(HOST)), st.integers(0, 60), st.integers(1, 15))
launched = st.tuples(st.integers(0, 60), st.integers(0, 15), st.integers(0, 6))


@settings(max_examples=examples(150), deadline=None)
@given(st.lists(host_slice, max_size=8), st.lists(launched, min_size=2, max_size=8))
def test_reasons_against_an_oracle_that_asks_each_tick(
    host: list[tuple[str, int, int]], kernels: list[tuple[int, int, int]]
) -> None:
    # one thread, one stream; the length of a call is 1
    events = [slice_of(*HOST[code], ts, dur) for code, ts, dur in host]
    work = []
    for number, (called, delay, length) in enumerate(kernels, 1):
        events += [
            call("cudaLaunchKernel", called, 1, number),
            kernel(f"k{number}", called + delay, length, number),
        ]
        work.append((called + delay, -length, number, called))
    work.sort()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_side, "BLOCK", 3)
        idle = _analyzed(events).idle
    assert sum((reasons(each)[code][0] for each in idle for code in reasons(each)), 0.0) == sum(
        each.total_us for each in idle
    )
    calls = [("launch", called, 1) for called, _delay, _length in kernels]
    expected: dict[str, int] = {}
    reach = work[0][0] - work[0][1]
    for start, negative, _number, called in work[1:]:
        if start > reach:
            # Of several kernels that begin here the one that is first in order ends the gap.
            for code, ticks in _explained(reach, start, called, host + calls).items():
                expected[code] = expected.get(code, 0) + ticks
        reach = max(reach, start - negative)
    found = {code: round(total) for each in idle for code, (total, _count) in reasons(each).items()}
    assert found == {code: ticks for code, ticks in expected.items() if ticks}


def _explained(begin: int, end: int, called: int, host: list[tuple[str, int, int]]) -> dict[str, int]:
    order = ("dataloader", "communication", "copy", "synchronization", "launch")

    def doing(tick: int) -> str:
        return next(
            (code for code in order if any(c == code and ts <= tick < ts + dur for c, ts, dur in host)),
            "python",
        )

    parts: dict[str, int] = {}
    until = min(max(called + 1, begin), end)
    for tick in range(begin, until):
        parts[doing(tick)] = parts.get(doing(tick), 0) + 1
    if called + 1 > begin:
        parts["launch"] = parts.get("launch", 0) + end - until
    for code in ("copy", "synchronization"):
        late = 2 if code == "synchronization" else 0
        if any(c == code and ts <= begin < ts + dur + late for c, ts, dur in host):
            parts[code] = parts.get(code, 0) + parts.pop("launch", 0)
    rest = end - begin - sum(parts.values())
    parts["launch" if rest <= 10 else "other"] = parts.get("launch" if rest <= 10 else "other", 0) + rest
    return parts


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(launched, min_size=1, max_size=10), st.integers(1, 20))
def test_steps_and_launches_against_an_oracle(kernels: list[tuple[int, int, int]], length: int) -> None:
    events = [slice_of("user_annotation", f"ProfilerStep#{n}", n * length, length) for n in range(3)]
    for number, (called, delay, dur) in enumerate(kernels, 1):
        events += [
            call("cudaLaunchKernel", called, 2, number),
            kernel(f"k{number % 3}", called + delay, dur, number),
        ]
    summary = _analyzed(events)
    for n, step in enumerate(summary.steps):
        mine = [each for each in kernels if n * length <= each[0] < (n + 1) * length]
        busy = {tick for called, delay, dur in mine for tick in range(called + delay, called + delay + dur)}
        assert (step.kernels, step.busy_us) == (len(mine), len(busy))
        assert step.idle_us == max(0, length - len(busy))
    [launches] = summary.launches
    delays = [delay for _called, delay, _dur in kernels]
    assert launches.delay_p50_us == pytest.approx(np.median(delays))
    assert launches.delay_p90_us == pytest.approx(np.percentile(delays, 90))
    assert launches.shorter_than_call == sum(dur < 2 for _called, _delay, dur in kernels)
    table = {each.name: (each.count, each.total_us, each.min_us, each.max_us) for each in summary.kernels}
    by_name: dict[str, list[int]] = {}
    for number, (_called, _delay, dur) in enumerate(kernels, 1):
        by_name.setdefault(f"k{number % 3}", []).append(dur)
    assert table == {name: (len(d), sum(d), min(d), max(d)) for name, d in by_name.items()}


def test_kernels_of_several_ranks_are_one_table(tmp_path: Path) -> None:
    one = written(
        tmp_path, [operator("aten::mm", 0, 9), call("cudaLaunchKernel", 1, 2, 5), kernel("k", 5, 3, 5)]
    )
    two = written(
        tmp_path,
        [kernel("k", 0, 4), kernel("copy", 9, 1, cat="gpu_memcpy")],
        "two.json",
        distributedInfo={"rank": 1},
    )
    rows = [
        (each.name, each.count, each.total_us, each.operator, each.kind)
        for each in analyze([one, two]).kernels
    ]
    assert rows[0][:3] == ("k", 2, 7)
    assert rows[1] == ("copy", 1, 1, "", "copy")


def test_an_accelerator_that_is_no_gpu_has_the_same_sums(tmp_path: Path) -> None:
    summary = analyze(
        written(
            tmp_path,
            [
                slice_of("user_annotation", "ProfilerStep#1", 0, 100),
                slice_of(
                    "mtia_runtime", "runFunction - job_prep_and_submit_for_execution", 0, 20, correlation=4
                ),
                slice_of("mtia_ccp_events", "fc-dtype_Float", 10, 30, tid=4, correlation=4, stream=1),
                slice_of("mtia_ccp_events", "dma_request", 50, 5, tid=801),
            ],
        )
    )
    [device], [idle], [launch], [step] = summary.devices, summary.idle, summary.launches, summary.steps
    assert (device.busy_us, idle.total_us, launch.delay_p50_us, step.busy_us) == (35, 10, 10, 30)
    assert [each.stream for each in summary.streams] == ["1", "801"]


@with_traces
@pytest.mark.parametrize("name", WITH_TRUTH)
def test_gaps_and_launches_of_a_real_trace_agree_with_its_truth(name: str) -> None:
    truth: dict[str, Any] = json.loads((TRACES / "truth" / f"{name.partition('.')[0]}.json").read_text())
    summary = analyzed("kineto", name)
    [idle], [launch] = summary.idle, summary.launches
    assert (idle.gaps, idle.over_1ms) == (truth["gaps"]["count"], truth["gaps"]["over_1ms"])
    assert idle.over_1ms_us == pytest.approx(truth["gaps"]["over_1ms_total_us"], abs=0.06)
    assert idle.p50_us == pytest.approx(truth["gaps"]["p50_us"] or 0, abs=0.001)
    assert sum(each.total_us for each in idle.reasons) == pytest.approx(idle.total_us)
    assert launch.launches == truth["launch"]["correlated_kernels"]
    assert launch.call_p50_us == pytest.approx(truth["launch"]["cpu_launch_us_p50"], abs=0.001)
    kernels = {each.name: each for each in summary.kernels}
    for top in truth["top10_kernels"]:
        found = kernels[top["name"]]
        assert (found.min_us, found.max_us) == pytest.approx((top["min_us"], top["max_us"]), abs=0.002)
    assert [each.name for each in summary.steps] == [each["step"] for each in truth["steps"]]
    assert [each.span_us for each in summary.steps] == [each["dur_us"] for each in truth["steps"]]


@with_traces
def test_all_work_of_a_real_trace_belongs_to_a_step() -> None:
    summary = analyzed("kineto", "resnet50_num_workers_4.json.gz")
    assert sum(each.kernels for each in summary.steps) == summary.devices[0].kernels
    assert sum(each.busy_us for each in summary.steps) == summary.devices[0].busy_us


def _analyzed(events: list[Event]) -> ProfileSummary:
    with tempfile.TemporaryDirectory() as folder:
        return analyze(written(Path(folder), events))


@with_traces
@pytest.mark.parametrize(
    "name",
    [
        name if name[:3] not in ("h10", "res") else pytest.param(name, marks=pytest.mark.exhaustive)
        for name in WITH_TRUTH
    ],
)
def test_lengths_up_to_what_32_bits_hold_are_added_in_whole(name: str) -> None:
    columns = kineto.read(TRACES / "kineto" / name)
    # The longest slice becomes 2.1 s long, everything else in proportion.
    scale = (2**31 - 1) // int(columns.dur.max())
    ts, dur = columns.ts.astype(np.int64) * scale, columns.dur.astype(np.int64) * scale
    narrow, wide = Sums(), Sums()
    for sums, dtype in ((narrow, np.int32), (wide, np.int64)):
        of_dtype = {each: getattr(columns, each).astype(dtype) for each in ("correlation", "external")}
        scaled = dataclasses.replace(columns, ts=ts, dur=dur.astype(dtype), **of_dtype)
        sums.add(Trace(scaled, 0), "")
    assert narrow.summary() == wide.summary()
