"""Markers of lines: what is heard of a program, by ``sys.settrace`` and by ``sys.monitoring``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genops_lab.kernel.profiling.markers import cell_marker, line_marker
from genops_lab.kernel.profiling.steps import Cost, cost
from genops_lab.kernel.profiling.troubles import named, without_device_events
from tests.support.environments import find_python

SITE = Path(__file__).parents[2] / "genops_lab" / "kernel" / "site"

#: Prints what is open when a line does something.
PROGRAM = """
import asyncio, json, sys
sys.path.insert(0, SITE)
from genops_lab.kernel.profiling.lines import Costs, LineMarkers, watch

said, opened = [], []

class Marker:
    def __init__(self, name):
        self.line = int(name.rpartition(":")[2])
    def __enter__(self):
        opened.append(self.line)
    def __exit__(self, *_):
        assert opened.pop() == self.line, "what opened last closes first"

def do(what):
    said.append([what, list(opened)])

cell = '''def inner(x):
    do("inner")
    if x:
        raise KeyError
    return 1

def numbers():
    yield do("first")
    do("second")

async def waiting():
    do("before")
    await asyncio.sleep(0)
    do("after")

def outer(often=0):
    do("outer")
    inner(0)
    do("again")
    try:
        inner(1)
    except KeyError:
        do("caught")
    for _ in numbers():
        do("between")
    asyncio.run(waiting())
    total = 0
    for i in range(often):
        total += i
        total -= 1
    do("end")
'''
space = {"do": do, "asyncio": asyncio}
exec(compile(cell, "cell.py", "exec"), space)
markers = LineMarkers({"cell.py": "abc"}, Marker, Costs(float(sys.argv[1]), float(sys.argv[2])))
heard = watch(markers)
PREPARED
markers.begin()
started = heard.start()
space["outer"](int(sys.argv[3]))
markers.end()
heard.stop()
do("behind")
space["outer"]()
print(json.dumps([started, said, sorted(code.co_name for code in markers.muted), opened]))
"""
needs_settrace = pytest.mark.skipif(sys.version_info >= (3, 12), reason="sys.monitoring is used instead")


def run(
    interpreter: str, *arguments: str, prepared: str = ""
) -> tuple[bool, list[Any], list[str], list[int]]:
    code = PROGRAM.replace("SITE", repr(str(SITE))).replace("PREPARED", prepared)
    done = subprocess.run(
        [interpreter, "-c", code, *arguments], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    started, said, muted, opened = json.loads(done.stdout)
    return started, said, muted, opened


@pytest.fixture(params=[8, 11, 12, 13])
def interpreter(request: pytest.FixtureRequest) -> str:
    """Pythons with each of the two ways."""
    found = find_python(request.param)
    if found is None:
        pytest.skip(f"there is no Python 3.{request.param} here")
    return str(found)


def test_what_runs_is_inside_of_its_line_and_of_its_callers(interpreter: str) -> None:
    started, said, muted, opened = run(interpreter, "0", "0", "0")
    assert started and muted == [] and opened == []
    behind = said.index(["behind", []])
    assert said[:behind] == [
        ["outer", [17]],
        ["inner", [18, 2]],
        ["again", [19]],
        ["inner", [21, 2]],
        ["caught", [23]],
        ["first", [24, 8]],
        ["between", [25]],
        ["second", [24, 9]],
        ["before", [26, 12]],
        ["after", [26, 14]],
        ["end", [31]],
    ]
    assert all(lines == [] for _, lines in said[behind:]), "nothing is heard afterwards"


def test_lines_that_run_too_often_are_left_to_their_callers(interpreter: str) -> None:
    _, said, muted, opened = run(interpreter, "1", "0", "1000")
    assert "outer" in muted and opened == []
    assert ["end", []] in said


@needs_settrace
def test_calls_of_other_code_that_cost_too_much_end_the_hearing() -> None:
    many = "space['inner'] = lambda _: [do('busy') for _ in range(2000)]"
    _, said, _, _ = run(sys.executable, "0", "1", "0", prepared=many)
    assert ["again", []] in said


@needs_settrace
def test_a_debugger_is_left_alone() -> None:
    started, said, _, _ = run(sys.executable, "0", "0", "0", prepared="sys.settrace(lambda *_: None)")
    assert not started and ["outer", []] in said


def test_names_hold_no_colon() -> None:
    assert line_marker("a:b/c d", 3) == "genops:line:a%3Ab%2Fc%20d:3"
    assert cell_marker("In[3]") == "genops:cell:In%5B3%5D"


def test_what_recording_cost() -> None:
    found = cost([1.05, 1.06, 1.04], [1.0, 1.0, 1.0, 1.01])
    assert found is not None and found.percent == pytest.approx(5.0)
    assert str(found) == "Recording cost 5.0 % of a step (3 recorded steps, 4 not)."
    assert "below what can be told, 4.0 %" in str(Cost(1.0, 4.0, 3, 3))
    assert cost([1.0, 1.0], [1.0] * 9) is None, "too few"
    assert cost([1.0, 9.0, 3.0], [1.0, 5.0, 20.0]) is None, "too uneven"


# The messages are those that the driver's and Kineto's sources print; no GPU takes part in this.
@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ERROR: CUPTI_ERROR_INSUFFICIENT_PRIVILEGES", "ERR_NVGPUCTRPERM"),
        ("function cuptiSubscribe failed: CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED", "CUPTI takes one"),
        ("Exceeded max GPU buffer count (129 > 128)", "buffer of events was full"),
        ("all is well", "no events of the cuda device"),
    ],
)
def test_what_the_device_says_is_named(said: str, told: str) -> None:
    assert told in without_device_events(said, "cuda")
    assert bool(named(said)) == (said != "all is well")


def test_native_messages_are_heard_and_passed_on() -> None:
    code = f"""
import os, sys
sys.path.insert(0, {str(SITE)!r})
from genops_lab.kernel.profiling.troubles import NativeMessages
messages = NativeMessages()
with messages.heard(): os.write(2, b"CUPTI says no")
print(messages.text)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout == "CUPTI says no\n" and done.stderr == "CUPTI says no"
