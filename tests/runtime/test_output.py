"""What is printed, bounded: the text that is kept of a stream, and processes that fork."""

from __future__ import annotations

import random

import pytest

from genops_lab.runtime.output import MAX_PART, Kept
from tests.support.homes import Home

from .stand_in import LabStandIn, kinds
from .test_script import finish, start


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (["a\n", "b"], "a\nb"),
        (["a\r\nb\r\n"], "a\nb\n"),
        (["1%\r", "50%\r", "100%\n", "next\n"], "100%\nnext\n"),
        (["\r1%", "\r50%", "\r100%"], "100%"),
        (["1%\r", "2%\r"], "2%"),
        (["x" * 70_000 + "\r", "y\n"], "y\n"),
        ([""], ""),
    ],
)
def test_a_line_counts_as_it_was_left(written: list[str], shown: str) -> None:
    kept = Kept()
    for text in written:
        kept.add(text)
    assert kept.text() == shown
    assert kept.text() == shown and not kept.changed


@pytest.mark.parametrize("seed", range(20))
def test_both_ends_stay_and_what_is_missing_is_counted(seed: int) -> None:
    lots = random.Random(seed)
    whole = "".join(
        "".join(lots.choices("abc é", k=lots.randrange(200))) + "\n" * (lots.random() < 0.9)
        for _ in range(lots.randrange(8000))
    )
    kept, place = Kept(), 0
    while place < len(whole):
        size = lots.randrange(1, 30_000)
        kept.add(whole[place : place + size])
        place += size
        if lots.random() < 0.05:
            kept.text()
    text = kept.text()
    head, gap, tail = text.partition("\n[GenOps: ")
    if not gap:
        assert text == whole
        return
    count, _, tail = tail.partition(" characters are left out here]\n\n")
    assert whole.startswith(head) and whole.endswith(tail)
    assert len(head) + int(count.replace(",", "")) + len(tail) == len(whole)
    assert len(text) <= 2 * MAX_PART + 300 and (head.endswith("\n") or "\n" not in head)


def test_a_line_without_end_is_bounded() -> None:
    kept = Kept()
    for _ in range(100):
        kept.add("z" * 50_000)
    assert 2 * MAX_PART <= len(kept.text()) <= 2 * MAX_PART + 100


def test_a_forked_process_prints_for_itself(home: Home, lab: LabStandIn) -> None:
    code = (
        "import genops, os, sys\ngenops.start('parent')\nprint('before')\npid = os.fork()\n"
        "if not pid:\n    print('child'); sys.stdout.flush()\n    genops.start('child'); print('own'); genops.end()\n"
        "    sys.stdout.flush(); os._exit(0)\nos.waitpid(pid, 0)\nprint('after')\n"
    )
    process = start(home, code, GENOPS_SOCKET=str(lab.path))
    out, err = finish(process)
    assert process.returncode == 0 and "own" in out, err
    printed = {
        events[0]["data"]["name"]: [
            data["content"] for data in kinds(events, "text") if data["path"] == "output/stdout.txt"
        ]
        for events in lab.runs()
    }
    assert printed == {"parent": ["before\nafter\n"], "child": ["own\n"]}
