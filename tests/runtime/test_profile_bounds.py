"""Recordings of scripts with the real PyTorch: steps and what bounds them, and bad days."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.needs import need_torch

need_torch()
pytestmark = pytest.mark.slow


def test_the_steps_behind_the_warm_up_are_recorded(script: Any) -> None:
    ran = script("with genops.profile():\n    for _ in range(40): step()\n")
    assert ran.steps() == sorted(f"ProfilerStep#{number}" for number in range(2, 12))
    assert "recorded steps 3 to 12" in ran.err
    assert ran.names.count("Optimizer.step#SGD.step") == 10
    about = ran.trace["genops"]
    assert (about["steps"], about["ended_by"]) == (10, "steps")
    assert "genops profiles analyze" in ran.err and "trace.json" in ran.err


@pytest.mark.parametrize(
    ("options", "loop"),
    [
        ("", "    for _ in range(9):\n        step()\n"),
        ("", "    for _ in range(9): step()\n"),
        (", lines=False", "    for _ in range(9): step()\n"),
    ],
    ids=["lines", "one line", "no lines"],
)
def test_each_step_has_its_optimizer_in_it(script: Any, options: str, loop: str) -> None:
    """Whole, the last one too: nothing ends behind the recording's last step, and no slice is half in another."""
    ran = script(f"with genops.profile(steps=3{options}):\n{loop}")
    slices = [event for event in ran.trace["traceEvents"] if event.get("ph") == "X"]
    steps = _times(slices, "ProfilerStep#")
    optimizers = _times(slices, "Optimizer.step#")
    assert len(steps) == len(optimizers) == 3
    for (first, last), (start, end) in zip(steps, optimizers, strict=True):
        assert first <= start and end <= last
    marked = _times(slices, "genops:line:")
    assert bool(marked) == (not options)
    for first, last in steps:
        across = [
            (start, end)
            for start, end in marked
            if start < last and end > first and not _inside(start, end, first, last)
        ]
        assert across == [], (first, last)


def _times(slices: list[dict[str, Any]], beginning: str) -> list[tuple[float, float]]:
    return sorted((one["ts"], one["ts"] + one["dur"]) for one in slices if one["name"].startswith(beginning))


def _inside(start: float, end: float, first: float, last: float) -> bool:
    return (first <= start and end <= last) or (start <= first and last <= end)


def test_a_trace_of_a_script_tells_its_lines(script: Any) -> None:
    ran = script("with genops.profile(warmup=0, steps=1):\n    step()\n    x.add(x)\n")
    (cell_record,) = ran.trace["genopsCells"]
    assert cell_record["name"].endswith("train.py") and cell_record["number"] is None
    assert {"optimizer.step()", "step()"} <= {*cell_record["lines"].values()}


def test_what_follows_the_last_whole_step_is_no_step(script: Any) -> None:
    ran = script(
        "with genops.profile(steps=5):\n    for _ in range(5): step()\n    torch.ones(3).cumsum(0)\n"
    )
    assert "recorded steps 3 to 5" in ran.err
    assert ran.steps() == [*(f"ProfilerStep#{number}" for number in (2, 3, 4)), "ProfilerStep#5 (not whole)"]


def test_a_step_that_the_bound_of_time_cuts_is_no_step(script: Any) -> None:
    code = """
with genops.profile(steps=50, seconds=0.5):
    for _ in range(12):
        step()
        threading.Event().wait(0.1)
"""
    ran = script(code)
    assert "until 0.5 s" in ran.err
    *whole, last = ran.steps()
    assert len(whole) == ran.trace["genops"]["steps"] and last.endswith(" (not whole)")
    assert not any("not whole" in step for step in whole)


def test_two_optimizers_of_a_loop_make_one_step(script: Any) -> None:
    more = "other = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)\n"
    ran = script(more + "with genops.profile(steps=2):\n    for _ in range(9): step(); other.step()\n")
    assert ran.steps() == ["ProfilerStep#2", "ProfilerStep#3"]


def test_fewer_steps_than_the_warm_up_are_recorded_from_the_start(script: Any) -> None:
    ran = script("with genops.profile():\n    step(); step()\n")
    assert "recorded until the first of 2 optimizer steps" in ran.err
    assert "aten::linear" in ran.names or "aten::addmm" in ran.names


def test_without_warm_up_all_is_recorded(script: Any) -> None:
    ran = script(
        "with genops.profile(warmup=0, steps=3):\n    torch.ones(3).cumsum(0)\n    for _ in range(5): step()\n"
    )
    assert ran.steps() == ["ProfilerStep#0", "ProfilerStep#1", "ProfilerStep#2"]
    assert "aten::cumsum" in ran.names


def test_blocks_that_are_open_when_a_recording_ends_are_ended(script: Any) -> None:
    code = """
from genops_lab.runtime.profiling.slices import OpenSlices
kind = torch.profiler.record_function
before = kind.__enter__, kind.__exit__
slices = OpenSlices(kind)
slices.watch()
with torch.profiler.profile() as first:
    outer, inner = kind("outer"), kind("inner")
    outer.__enter__()
    with inner: x.add(x)
ended = []
original = slices._exit
def leave(block, *error): ended.append(block.name); original(block, *error)
slices._exit = leave
slices.end()
slices.end()
with torch.profiler.profile() as second:
    for _ in range(50): x.add(x)
    outer.__exit__(None, None, None)
slices._exit = original
slices.unwatch()
print(ended, (kind.__enter__, kind.__exit__) == before)
print(sorted(one.key for one in second.key_averages()))
"""
    ran = script(code)
    assert ran.out == "['outer'] True\n['aten::add']\n", ran.err


def test_training_in_another_thread_corrupts_nothing(script: Any) -> None:
    """Once, half of such processes ended with SIGSEGV or an abort by malloc."""
    code = """
def train():
    for _ in range(9): step()
for _ in range(40):
    with genops.profile(warmup=1, steps=2) as p:
        thread = threading.Thread(target=train); thread.start(); thread.join()
print(p.of_steps.steps)
"""
    ran = script(code, whole=True)
    assert (ran.code, ran.out) == (0, "2\n"), ran.err[-500:]


def test_all_threads_are_recorded(script: Any) -> None:
    code = """
def work(): torch.ones(3).cumsum(0)
with genops.profile():
    thread = threading.Thread(target=work); thread.start(); thread.join()
    torch.ones(3).cumprod(0)
with genops.profile(warmup=1, steps=2) as p:
    def train():
        for _ in range(9): step()
    thread = threading.Thread(target=train); thread.start(); thread.join()
print(p.trace_path)
"""
    ran = script(code)
    second = json.loads(Path(ran.out.strip()).read_text())
    first = next(
        json.loads(path.read_text())
        for path in (ran.home.data / "profiles").glob("*/trace.json")
        if str(path) != ran.out.strip()
    )
    threads = {
        event["name"]: event["tid"] for event in first["traceEvents"] if "aten::cum" in event.get("name", "")
    }
    assert len(set(threads.values())) == 2 and set(threads) >= {"aten::cumsum", "aten::cumprod"}
    assert second["genops"]["steps"] == 2


def test_an_error_passes_unchanged_and_the_profile_is_there(script: Any) -> None:
    ran = script("with genops.profile():\n    torch.ones(3).cumsum(0)\n    {}['lost']\n")
    assert ran.code == 1 and ran.err.rstrip().endswith("KeyError: 'lost'")
    assert "aten::cumsum" in ran.names
    assert "until it ended with KeyError." in ran.err


def test_an_interrupt_keeps_what_was_recorded(script: Any) -> None:
    code = """
import signal, os
with genops.profile():
    torch.ones(3).cumsum(0)
    os.kill(os.getpid(), signal.SIGINT)
    threading.Event().wait(60)
"""
    ran = script(code)
    assert "until it ended with KeyboardInterrupt." in ran.err and "aten::cumsum" in ran.names


def test_profiles_do_not_nest(script: Any) -> None:
    code = """
with genops.profile("outer"):
    torch.ones(3).cumsum(0)
    try:
        with genops.profile("inner"): print("ran")
    except genops.GenOpsError as error: print(error.message)
"""
    ran = script(code)
    assert ran.out == "The profile 'outer' is already recording; profiles do not nest.\n"
    assert "aten::cumsum" in ran.names


def test_another_profiler_of_torch_is_not_disturbed(script: Any) -> None:
    code = """
with torch.profiler.profile() as own:
    try:
        with genops.profile(): print("ran")
    except genops.GenOpsError as error: print(error)
    torch.ones(3).cumsum(0)
print(any(e.key == "aten::cumsum" for e in own.key_averages()))
"""
    ran = script(code)
    assert "Another PyTorch profiler is already recording in this kernel. End that recording first" in ran.out
    assert ran.out.endswith("True\n") and "ran\n" not in ran.out


def test_another_profiler_that_begins_ends_ours(script: Any) -> None:
    code = """
with genops.profile():
    torch.ones(3).cumsum(0)
    with torch.profiler.profile() as own: torch.ones(3).cumprod(0)
    for _ in range(5): step()
print(any(e.key == "aten::cumprod" for e in own.key_averages()))
import torch.autograd.profiler as profiling
print(profiling._prepare_profiler.__module__)
"""
    ran = script(code)
    assert ran.code == 0, ran.err
    assert ran.out.startswith("True\n") and "genops" not in ran.out
    assert "another profiler started" in ran.err or "recorded steps" in ran.err


def test_another_profiler_that_records_when_ours_would_begin_anew_costs_the_code_nothing(script: Any) -> None:
    """The program's own growth has ended ours, so that the other one did not hear of it."""
    code = """
own = torch.profiler.profile()
with genops.profile(megabytes=50):
    torch.ones(3).cumsum(0)
    kept = torch.ones(20_000_000), threading.Event().wait(0.3), own.__enter__()
    torch.ones(3).cumprod(0)
    own.__exit__(None, None, None)
print(any(e.key == "aten::cumprod" for e in own.key_averages()))
"""
    ran = script(code)
    assert ran.code == 0, ran.err
    assert ran.out == "True\n"
    assert "aten::cumsum" in ran.names and "Another PyTorch profiler is already recording" in ran.err


def test_a_full_disk_leaves_nothing_half_written(script: Any) -> None:
    code = """
import resource, signal, sys
sys.dont_write_bytecode = True  # cut ones would stay
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with genops.profile():
    for _ in range(500): x.add(x)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
print("went on")
"""
    ran = script(code)
    assert ran.out == "went on\n"
    assert "Cannot write the trace to" in ran.err and "Free disk space there" in ran.err
    assert list((ran.home.data / "profiles").iterdir()) == []


def test_what_is_recorded_besides(script: Any) -> None:
    ran = script("with genops.profile(shapes=True, memory=True):\n    step()\n")
    events = ran.trace["traceEvents"]
    assert any("Input Dims" in event.get("args", {}) for event in events)
    assert any(event.get("name") == "[memory]" for event in events)


def test_stacks_are_recorded_when_asked_for(script: Any) -> None:
    ran = script("with genops.profile(stacks=True):\n    step()\n")
    (path,) = (ran.home.data / "profiles").glob("*/trace.json")
    # Once a name had a control character in it that was not escaped.
    events = json.loads(path.read_text(errors="replace"), strict=False)["traceEvents"]
    assert any(event.get("cat") == "python_function" for event in events)


def test_graphs_keep_cupti_attached(script: Any) -> None:
    ran = script("import os\nwith genops.profile(graphs=True): step()\nprint(os.environ['TEARDOWN_CUPTI'])\n")
    assert ran.out == "0\n"


def test_a_forked_child_records_nothing(script: Any) -> None:
    code = """
import os
with genops.profile():
    child = os.fork()
    if not child:
        x.add(x); os._exit(0)
    os.waitpid(child, 0)
    torch.ones(3).cumsum(0)
"""
    ran = script(code)
    assert ran.code == 0 and "aten::cumsum" in ran.names and "aten::add" not in ran.names
