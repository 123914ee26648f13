"""Each rule about time on a planted fault and on its healthy counterpart.

Device events are made up (no GPU is needed); operators, shapes and names of kernels are those of real traces.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genops_lab.profiling import analyze
from genops_lab.profiling.engine.advice import over_ranks
from genops_lab.profiling.models import Advice
from tests.support.golden import Sentences

from .events import ADD, GEMM, H100, Event, advised, call, kernel, operator, slice_of, written


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


@pytest.mark.parametrize(("waited", "found"), [(590, ["sync_item"]), (100, ["gpu_idle"])])
def test_python_after_a_wait_counts_as_the_wait_as_far_as_it_was_long(
    tmp_path: Path, waited: float, found: list[str]
) -> None:
    """Without the wait, as much Python would have run beside the device's work."""

    def step(number: int, at: float) -> list[Event]:
        events = launched(at, number + 1, waited)
        events += [operator("aten::item", at + 25, waited - 13), operator("aten::relu", at + 990, 9)]
        return [*events, call("cudaStreamSynchronize", at + 26, waited - 14, 1000 + number)]

    assert advised(tmp_path, loop(step))[:1] == found


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


@pytest.mark.parametrize("waits", [True, False])
def test_a_host_that_waits_for_long_copies_back(tmp_path: Path, waits: bool) -> None:
    """The device is never idle: it copies, or it computes."""

    def step(number: int, at: float) -> list[Event]:
        copy, work = 2 * number + 1, 2 * number + 2
        return [
            operator("aten::copy_", at - 5, 310 if waits else 8),
            call("cudaMemcpyAsync", at - 4, 304 if waits else 5, copy),
            kernel("Memcpy DtoH (Device -> Pinned)", at, 299, copy, cat="gpu_memcpy"),
            *(launched(at + 296, work, 697, delay=1) if waits else launched(at + 10, work, 697, delay=287)),
        ]

    assert advised(tmp_path, loop(step)) == ["sync_other" if waits else "exposed_copies"]


def test_python_after_a_copy_back_is_not_the_next_copys_to_the_device(tmp_path: Path) -> None:
    """A request is copied, computed and copied back; then Python makes the next."""

    def step(number: int, at: float) -> list[Event]:
        there, work, back = 3 * number + 1, 3 * number + 2, 3 * number + 3
        return [
            operator("aten::copy_", at + 2, 12),
            call("cudaMemcpyAsync", at + 4, 8, there),
            kernel("Memcpy HtoD (Pageable -> Device)", at + 8, 3, there, cat="gpu_memcpy"),
            *launched(at + 14, work, 580),
            operator("aten::copy_", at + 36, 576),
            call("cudaMemcpyAsync", at + 38, 572, back),
            kernel("Memcpy DtoH (Device -> Pageable)", at + 606, 2, back, cat="gpu_memcpy"),
        ]

    found = analyze(written(tmp_path, loop(step), **H100)).advice
    assert found[0].code == "sync_other"
    assert all(each.saving_us < found[0].saving_us / 10 for each in found[1:])


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


@pytest.mark.parametrize(
    ("kind", "waits", "beside", "found"),
    [
        ("Memcpy HtoD (Pageable -> Device)", True, False, ["h2d_blocking", "h2d_unpinned"]),
        ("Memcpy HtoD (Pinned -> Device)", True, False, ["h2d_blocking"]),
        ("Memcpy HtoD (Pinned -> Device)", True, True, []),
        ("Memcpy HtoD (Pinned -> Device)", False, False, ["exposed_copies"]),
    ],
)
def test_a_host_that_waits_for_long_copies(
    tmp_path: Path, kind: str, waits: bool, beside: bool, found: list[str]
) -> None:
    """The device is never idle: it copies, or it computes."""

    def step(number: int, at: float) -> list[Event]:
        copy, before, after = 3 * number + 1, 3 * number + 2, 3 * number + 3
        return [
            *(launched(at - 40, before, 299, delay=35) if beside else []),
            operator("aten::copy_", at - 5, 310 if waits else 8),
            call("cudaMemcpyAsync", at - 4, 304 if waits else 5, copy),
            kernel(kind, at, 299, copy, cat="gpu_memcpy", stream=9 if beside else 7),
            *(launched(at + 296, after, 697, delay=1) if waits else launched(at + 10, after, 697, delay=287)),
        ]

    assert advised(tmp_path, loop(step)) == found


@pytest.mark.parametrize(
    ("name", "beside", "length", "found"),
    [
        ("Memcpy HtoD (Pinned -> Device)", False, 950, ["exposed_copies"]),
        ("MemcpyH2D", False, 950, ["exposed_copies"]),
        ("Memcpy DtoH (Device -> Pinned)", False, 950, ["exposed_copies"]),
        # Beside the work, within the device, and few enough of them.
        ("Memcpy HtoD (Pinned -> Device)", True, 950, []),
        ("Memcpy DtoD (Device -> Device)", False, 950, []),
        ("Memcpy HtoD (Pinned -> Device)", False, 90, []),
    ],
)
def test_a_device_that_only_copies(
    tmp_path: Path, name: str, beside: bool, length: float, found: list[str]
) -> None:
    """Pinned and asynchronous, launched far ahead: nobody waits but the device."""
    events: list[Event] = []
    for number in range(20):
        at, own = 100_000 + 1000.0 * number, 2 * number + 1
        events += [call("cudaMemcpyAsync", 20.0 * number, 5, own)]
        events += [kernel(name, at, length, own, cat="gpu_memcpy", stream=9)]
        start = at if beside else at + length
        events += launched(20.0 * number + 10, own + 1, 1000 if beside else 1000 - length, delay=0)
        events[-1]["ts"] = start
    assert advised(tmp_path, events) == found


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


@pytest.mark.parametrize(("python", "found"), [(30, "launch_bound"), (300, "gpu_idle")])
def test_python_between_small_kernels(tmp_path: Path, python: float, found: str) -> None:
    """A pause belongs to launching one by one; more is work of Python's own."""
    events: list[Event] = []
    for number in range(1, 200):
        at = (12.0 + python) * number
        events += [operator("aten::add_", at, 12), call("cudaLaunchKernel", at + 4, 6, number)]
        events += [kernel(ADD, at + 12, 4, number)]
    assert advised(tmp_path, events)[0] == found
    assert ("gpu_idle" in advised(tmp_path, events)) == (found == "gpu_idle")


@pytest.mark.parametrize(("python", "code"), [(30, "launch_bound"), (300, "gpu_idle")])
def test_the_moments_of_idle_time_are_idle(tmp_path: Path, python: float, code: str) -> None:
    """Also where the kernels behind the gaps are longer than these."""
    events: list[Event] = []
    kernels, begin = [], 152.0 + python  # moments count from the first event on
    for number in range(1, 200):
        at, length = (152.0 + python) * number, 4 + 20 * (number % 8)
        events += [operator("aten::add_", at, 12), call("cudaLaunchKernel", at + 4, 6, number)]
        events += [kernel(ADD, at + 12, length, number)]
        kernels.append((at + 12 - begin, at + 12 - begin + length))
    found = analyze(written(tmp_path, events)).advice
    advice = next(each for each in found if each.code == code)
    assert len(advice.moments) == 5
    for moment in advice.moments:
        assert moment.end_us > moment.start_us
        assert all(moment.end_us <= start or moment.start_us >= end for start, end in kernels), moment


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
    for each in found:
        # From when the first of the others came to the end, on the late rank's clock.
        assert len(each.moments) == 5
        assert {round(moment.end_us - moment.start_us) for moment in each.moments} == {400}
        assert {round(moment.end_us) % 1000 for moment in each.moments} == {300}


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

    summary = analyze(written(tmp_path, loop(step(retries=True)), **H100))
    assert summary.advice[0].code == "alloc_retries"
    assert summary.advice[0].saving_us == 5 * 180 < summary.devices[0].idle_us
    # frees that the device has work beside cost nothing
    beside = [kernel(GEMM, 0, 5000, 9000, stream=8), *loop(step(retries=True))]
    assert "alloc_retries" not in advised(tmp_path, beside)
    assert "alloc_retries" not in advised(tmp_path, loop(step(retries=False)))


@pytest.mark.parametrize(("every", "found"), [(0, False), (900, False), (20, True)])
def test_memory_given_back_without_steps(tmp_path: Path, every: int, found: bool) -> None:
    """What a program gives back and takes before its first kernel, or in its first rounds alone, happens once."""
    events: list[Event] = []
    for number in range(100):
        at = 1_000_000 + 1000.0 * number
        if every and (number % every == 0 or (every > 100 and number < 5)):
            events += [
                call("cudaFree", at, 500, 3 * number + 1),
                call("cudaMalloc", at + 510, 400, 3 * number + 2),
            ]
            events += launched(at + 920, 3 * number + 3, 60)
        else:
            events += launched(at - 8, 3 * number + 3, 900)
    for number in range(4):  # start-up: 98 % of the trace
        events += [
            call("cudaFree", 200_000.0 * number, 180_000, 9000 + number),
            call("cudaMalloc", 200_000.0 * number + 190_000, 9_000, 9100 + number),
        ]
    advice = [
        each for each in analyze(written(tmp_path, events, **H100)).advice if each.code == "alloc_retries"
    ]
    assert bool(advice) == found
    for each in advice:
        assert each.saving_us == 4 * 900  # the first free comes before the first kernel
        assert "after warm-up" not in each.evidence


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
    if found:  # a trace of %%profile names its cells, and is left with %%profile's own option
        cells = [{"name": "cell", "number": 1}]
        own = analyze(written(tmp_path, events, **H100, genopsCells=cells))
        (code,) = [each.code_hint for each in own.advice if each.code == "warmup_counted"]
        assert code == "%%profile --warmup 5"


@pytest.mark.parametrize(("length", "found"), [(500, True), (970, False)])
def test_idle_while_python_runs(tmp_path: Path, length: float, found: bool) -> None:
    events = loop(lambda number, at: launched(at, number + 1, length))
    assert advised(tmp_path, events) == (["gpu_idle"] if found else [])


@pytest.mark.parametrize(("start", "idle", "found"), [(463_000, "other", ["gpu_idle"]), (140, "launch", [])])
def test_launched_work_that_starts_late(
    tmp_path: Path, start: float, idle: str, found: list[str], sentences: Sentences
) -> None:
    """What comes after the launch returned (at 123 us) is no launching, but for the usual microseconds."""
    events = [*launched(0, 1, 80), call("cudaGraphLaunch", 98, 25, 2), kernel(GEMM, start, 2_000, 2)]
    summary = analyze(written(tmp_path, events, **H100))
    assert [each.code for each in summary.advice] == found
    assert max(summary.idle[0].reasons, key=lambda each: each.total_us).code == idle
    for each in summary.advice:
        sentences.check("advice where launched work starts late", [each.title, each.suggestion])


@pytest.mark.parametrize(("slow", "call_us", "found"), [(20, 5, "gpu_idle"), (5, 4000, "warmup_counted")])
def test_long_work_of_the_host_before_a_launch(tmp_path: Path, slow: int, call_us: float, found: str) -> None:
    """Parts above 1 ms are no launching one by one. The first calls that last so long load their code, which has its
    own advice."""
    events: list[Event] = []
    at = 0.0
    for number in range(20):
        wait, length = (4000.0, call_us) if number < slow else (5.0, 5.0)
        events += [
            operator("aten::sort", at, wait),
            call("cudaLaunchKernel", at + wait - length, length, number + 1),
        ]
        events += [kernel(GEMM, at + wait + 5, 6000, number + 1)]
        at += wait + 6005
    assert advised(tmp_path, events) == [found]


@pytest.mark.parametrize(("held", "named"), [(760, True), (20, False)])
def test_where_the_host_stands_while_launched_work_does_not_start(
    tmp_path: Path, held: float, named: bool, sentences: Sentences
) -> None:
    """Another thread has launched it; a copy back holds the main thread meanwhile."""

    def step(number: int, at: float) -> list[Event]:
        back = 3000 + number
        return [
            *launched(at, 2 * number + 1, 100),
            call("cudaGraphLaunch", at + 20, 10, 2 * number + 2, tid=2),
            kernel(GEMM, at + 700, 100, 2 * number + 2),
            slice_of("user_annotation", "## sparse_data_dist ##", at + 40, held + 40),
            operator("aten::to", at + 50, held + 20),
            operator("aten::copy_", at + 55, held + 10),
            call("cudaMemcpyAsync", at + 60, held, back),
            kernel("Memcpy DtoH (Device -> Pageable)", at + 55 + held, 2, back, cat="gpu_memcpy", stream=27),
        ]

    (advice,) = (
        each for each in analyze(written(tmp_path, loop(step), **H100)).advice if each.code == "gpu_idle"
    )
    assert ("sparse_data_dist" in advice.evidence) == named
    section = f"advice where the host stands in a copy for {'long' if named else 'a moment'}"
    sentences.check(section, [advice.title, advice.evidence, advice.suggestion])


def test_many_ranks_are_told_in_stretches(sentences: Sentences) -> None:
    def found(rank: int) -> Advice:
        return Advice(
            code="gpu_idle", severity="low", title="", evidence="It is idle.", saving_us=100 - rank, rank=rank
        )

    (many,) = over_ranks(found(rank) for rank in (0, 1, 2, 3, 5, 7, 8, 10, 11, 12, 64))
    (few,) = over_ranks(found(rank) for rank in range(4))
    sentences.check("advice on several ranks", [many.evidence, few.evidence])
