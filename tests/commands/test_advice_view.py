"""Advice on the command line."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from genops_lab.commands import terminal
from genops_lab.commands.document import Document
from genops_lab.commands.views.profiles import advice_blocks
from genops_lab.profiling.models import Advice, CpuTime, DeviceTime, Place, ProfileSummary

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


def of(advice: list[Advice], spans_us: Sequence[float]) -> ProfileSummary:
    """A summary with a device of each length, one a rank."""
    devices = [
        DeviceTime(
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
        for rank, span_us in enumerate(spans_us)
    ]
    return ProfileSummary(
        events=0,
        ranks=list(range(max(1, len(devices)))),
        devices=devices,
        cpu=CpuTime(span_us=700, busy_us=0, idle_us=0),
        operators=[],
        advice=advice,
    )


def test_each_problem_has_its_numbers_and_what_to_change() -> None:
    text = terminal.render(Document(advice_blocks(of([BOUND, FRAGMENTED], (996_477.0,)))))
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
    # Advice about memory alone has no saving of time.
    assert lines[3].endswith("Memory is fragmented")
    assert lines[4:9] == [
        "dataloader_bound: 6 waits take 415.8 ms.",
        "  Load batches in worker processes.",
        "  DataLoader(dataset,",
        "      num_workers=8)",
        "  train.ipynb:7 for batch in loader:",
    ]


def test_a_healthy_trace_has_no_section() -> None:
    assert advice_blocks(of([], (996_477.0,))) == []


def test_a_saving_is_a_part_of_its_own_ranks_time() -> None:
    """As its evidence and its severity have it; what compares ranks is weighed against the longest of all."""

    def rendered(code: str, rank: int | None, *spans_us: float) -> list[str]:
        advice = Advice(code=code, severity="high", title="", evidence="seen.", saving_us=10, rank=rank)
        text = terminal.render(Document(advice_blocks(of([advice], spans_us))))
        return [line for line in text.splitlines() if line and code in line]

    cases = (("gpu_idle", 1, "10.0 %"), ("gpu_idle", 0, "2.5 %"), ("straggler", 1, "2.5 %"))
    for code, rank, share in cases:
        row, evidence = rendered(code, rank, 400, 100)
        assert row.endswith(share)
        assert evidence == f"{code} (rank {rank}): seen."
    row, evidence = rendered("gpu_idle", 0)
    assert row.endswith("1.4 %"), "of the host's 700"
    assert evidence == "gpu_idle: seen."


def test_without_devices_a_saving_is_a_part_of_one_ranks_time() -> None:
    bound = msgspec.structs.replace(BOUND, saving_us=175.0, rank=1)
    summary = msgspec.structs.replace(of([bound], ()), ranks=[0, 1])
    # The host's span is that of both ranks.
    assert "50.0 %" in terminal.render(Document(advice_blocks(summary)))
