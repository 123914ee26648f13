"""Advice on the command line."""

from __future__ import annotations

from genops_lab.commands import terminal
from genops_lab.commands.document import Document
from genops_lab.commands.views.profiles.advice import advice_blocks
from genops_lab.profiler.models import Advice, Place

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
    text = terminal.render(Document(advice_blocks([BOUND, FRAGMENTED], 996_477.0)))
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
    assert advice_blocks([], 996_477.0) == []
