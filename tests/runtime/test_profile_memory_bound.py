"""Recordings of scripts with the real PyTorch: the bound of memory, and a program that grows by itself."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.needs import need_torch

need_torch()
pytestmark = pytest.mark.slow


def test_pages_of_files_are_no_growth_of_the_recording(script: Any) -> None:
    """As when libraries are used for the first time."""
    ran = script(
        "import mmap\n"
        "with open('pages', 'w+b') as file:\n"
        "    file.write(bytes(64 << 20)); file.flush()\n"
        "    pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)\n"
        "    with genops.profile(warmup=0, steps=3):\n"
        "        assert sum(pages[::4096]) == 0\n"
        "        for _ in range(5): step()\n"
    )
    assert ran.steps() == ["ProfilerStep#0", "ProfilerStep#1", "ProfilerStep#2"]


def test_very_many_operators_end_at_the_bound_of_memory(script: Any) -> None:
    code = """
for _ in range(1000): x.add(x)
before = memory()
with genops.profile(megabytes=50) as p:
    highest = 0
    for number in range(400_000):
        x.add(x)
        if not number % 10_000: highest = max(highest, memory() - before)
print(max(highest, memory() - before))
"""
    ran = script(code)
    assert "until 50 MB of memory (more with --megabytes)" in ran.err
    assert float(ran.out) < 300
    assert 10_000 < ran.names.count("aten::add") < 300_000


def test_memory_of_the_program_itself_ends_nothing(script: Any) -> None:
    code = """
kept = []
with genops.profile(megabytes=50):
    for _ in range(10):
        kept.append(torch.ones(1_000_000)); threading.Event().wait(0.03)
    for _ in range(100):
        x.add(x); threading.Event().wait(0.03)
    torch.ones(3).cumsum(0)
"""
    ran = script(code)
    assert "aten::cumsum" in ran.names, "recorded on, behind the growth"
    assert re.search(r"recorded from second [\d.]+ on, [\d.]+ s", ran.err)


@pytest.mark.parametrize(
    ("code", "recorded"),
    [
        ("torch.ones(20_000_000), wait(0.3)", "the first"),
        ("for _ in range(12): keep(), step(), wait(0.03)", "step"),
    ],
)
def test_that_the_program_itself_grew_is_told(script: Any, code: str, recorded: str) -> None:
    ran = script(f"""
kept, wait = [], threading.Event().wait
def keep(): kept.append(torch.ones(2_000_000))
with genops.profile(megabytes=50):
    {code}
""")
    assert re.search(
        rf"recorded {recorded}.*, until the program's own memory grew \(raise the limit with --", ran.err
    )


def test_steps_whose_first_one_grows_are_recorded_from_the_next_on(script: Any) -> None:
    """It is the program's growth: what came before the steps is no profile of them."""
    ran = script("""
kept, wait = [], threading.Event().wait
with genops.profile(megabytes=50, warmup=2, steps=3):
    for number in range(8):
        if number == 2: kept.append(torch.ones(10_000_000)); wait(0.3)
        step(); wait(0.03)
""")
    assert ran.steps() == [f"ProfilerStep#{number}" for number in (3, 4, 5)]


def test_steps_in_few_of_which_the_program_grows_are_recorded_all(script: Any) -> None:
    """What the growth of one step is taken for would be over the bound by itself, seven times in the end."""
    ran = script("""
kept, wait = [], threading.Event().wait
with genops.profile(megabytes=200, warmup=0, steps=10):
    for number in range(12):
        if number in (1, 6): kept.append(torch.ones(10_000_000))
        step(); wait(0.03)
""")
    assert ran.steps() == [f"ProfilerStep#{number}" for number in range(10)]


def test_steps_that_are_too_large_end_at_the_bound_of_memory(script: Any) -> None:
    ran = script("""
for _ in range(1000): x.add(x)
with genops.profile(megabytes=50, warmup=0, steps=50):
    for number in range(30):
        for _ in range(10_000): x.add(x)
        step()
""")
    assert "until 50 MB of memory (more with --megabytes)" in ran.err
    assert 2 <= len(ran.steps()) <= 6


@pytest.mark.parametrize(
    ("calls", "steps"), [(40_000, 1), pytest.param(25_000, 2, marks=pytest.mark.exhaustive)]
)
def test_few_large_steps_pass_the_bound_by_one_at_most(script: Any, calls: int, steps: int) -> None:
    """A step is recorded whole."""
    ran = script(f"""
for _ in range(1000): x.add(x)
with genops.profile(megabytes=40, warmup=0, steps=10):
    for number in range(6):
        for _ in range({calls}): x.add(x)
        step()
""")
    assert "until 40 MB of memory (more with --megabytes)" in ran.err
    assert 1 <= len(ran.steps()) <= steps + 1
    assert ran.names.count("aten::add") < 110_000, "150 MB in the end"


def test_the_program_itself_grows_in_a_function(script: Any) -> None:
    """A recording begins anew only where no operator of the last one is open: torch would write its end anywhere."""
    code = """
from genops_lab.runtime.profiling.recorder import Recorder
original, begun, marks = Recorder.start, [], []
def start(recorder, *given):
    frame, files = sys._getframe(), []
    while frame: files.append(frame.f_code.co_filename); frame = frame.f_back
    begun.append([threading.current_thread().name, any("/torch/" in file for file in files)])
    return original(recorder, *given)
Recorder.start = start
class Grows(torch.nn.Module):
    def forward(self, x):
        kept.append(torch.ones(1_000_000))
        threading.Event().wait(0.03)
        return x + 1
kept, grows = [], Grows()
def work():
    with torch.profiler.record_function("all of it"):
        for _ in range(20):
            grows(x)
with genops.profile(megabytes=50): work()
print(len(begun), begun[2:])
"""
    ran = script(code)
    count, _, places = ran.out.partition(" ")
    assert int(count) > 2, "began anew"
    assert "genops-profile" not in places and "True" not in places
