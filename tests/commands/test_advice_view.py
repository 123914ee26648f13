"""Advice on the command line."""

from __future__ import annotations

from msgspec import structs

from genops_lab.commands import terminal
from genops_lab.commands.document import Document
from genops_lab.commands.views.profiles.advice import advice_blocks, traced_of
from genops_lab.profiler.models import Advice, CpuTime, DeviceTime, Place, ProfileSummary

BOUND = Advice(
    code="dataloader_bound",
    severity="high",
    title="The program waits for its data",
    evidence="6 waits take 415.8 ms.",
    saving_us=392_919.0,
    suggestion="Load batches in worker processes.",
    code_hint="DataLoader(dataset,\n    num_workers=8)",
    places=[Place(file="train.ipynb", line=7, text="    for batch in loader:")],
)
FRAGMENTED = Advice(
    code="fragmentation", severity="low", title="Memory is fragmented", evidence="4.0 GB free.", saving_us=0.0
)


def test_each_problem_has_its_numbers_and_what_to_change() -> None:
    text = terminal.render(Document(advice_blocks([BOUND, FRAGMENTED], lambda _: 996_477.0)))
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    assert lines[0] == "Advice"
    assert lines[2].split() == [
        *(
            "high",
            "dataloader_bound",
            "The",
            "program",
            "waits",
            "for",
            "its",
            "data",
            "392.919",
            "ms",
            "39.4",
            "%",
        )
    ]
    assert lines[3].split()[:2] == ["low", "fragmentation"]
    # What costs memory and no time has no saving.
    assert lines[3].endswith("Memory is fragmented")
    assert lines[4:9] == [
        "dataloader_bound: 6 waits take 415.8 ms.",
        "  Load batches in worker processes.",
        "  DataLoader(dataset,",
        "      num_workers=8)",
        "  train.ipynb:7 for batch in loader:",
    ]


def test_a_healthy_trace_has_no_section() -> None:
    assert advice_blocks([], lambda _: 996_477.0) == []


def test_a_saving_is_a_part_of_its_own_ranks_time() -> None:
    """As its evidence and its severity have it; what compares ranks is weighed against the longest of all."""

    def advice(code: str, rank: int | None) -> Advice:
        return Advice(code=code, severity="high", title="", evidence="", saving_us=10, rank=rank)

    def device(rank: int, span_us: float) -> DeviceTime:
        return DeviceTime(
            device="0",
            rank=rank,
            span_us=span_us,
            busy_us=0,
            idle_us=0,
            compute_us=0,
            comm_us=0,
            exposed_comm_us=0,
            memory_us=0,
            kernels=0,
            top_kernels=[],
        )

    cpu = CpuTime(span_us=700, busy_us=0, idle_us=0)
    found = ProfileSummary(
        events=0, ranks=[0, 1], devices=[device(0, 400), device(1, 100)], cpu=cpu, operators=[]
    )
    traced_us = traced_of(found)
    told = (("gpu_idle", 1), ("gpu_idle", 0), ("straggler", 1), ("gpu_idle", None))
    assert [traced_us(advice(*each)) for each in told] == [100, 400, 400, 400]
    assert traced_of(structs.replace(found, devices=[]))(advice("gpu_idle", 1)) == 700
