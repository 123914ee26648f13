"""Markers of lines: what is heard of a program, by ``sys.settrace`` and by ``sys.monitoring``."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genops_lab.runtime.profiling.budget import Costs
from genops_lab.runtime.profiling.device_errors import named, without_device_events
from genops_lab.runtime.profiling.lines import LineMarkers
from genops_lab.runtime.profiling.markers import cell_marker, line_marker
from genops_lab.runtime.profiling.steps import Cost, cost
from genops_lab.runtime.profiling.upload import _unmarked
from tests.support.environments import find_python

SITE = Path(__file__).parents[2] / "genops_lab" / "kernel" / "site"

#: How the programs begin: what is imported, and a marker that notes what is open.
BEGINNING = f"""
import asyncio, json, sys, threading, time
sys.path.insert(0, {str(SITE)!r})
from genops_lab.runtime.profiling import budget
from genops_lab.runtime.profiling.budget import Costs, hot_lines_text
from genops_lab.runtime.profiling.line_tracing import watch
from genops_lab.runtime.profiling.lines import LineMarkers

said, opened, heard = [], [], []

class Marker:
    def __init__(self, name):
        self.line = int(name.rpartition(":")[2])
    def __enter__(self):
        opened.append(self.line)
    def __exit__(self, *_):
        assert opened.pop() == self.line, "what opened last closes first"
"""
#: Prints what is open when a line does something.
PROGRAM = """
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
watched = watch(markers)
PREPARED
markers.begin()
started = watched.start()
space["outer"](int(sys.argv[3]))
markers.end()
watched.stop()
do("behind")
space["outer"]()
print(json.dumps([started, said, sorted(code.co_name for code in markers.budget.muted), opened]))
"""
needs_settrace = pytest.mark.skipif(sys.version_info >= (3, 12), reason="sys.monitoring is used instead")


def run(
    interpreter: str, *arguments: str, prepared: str = ""
) -> tuple[bool, list[Any], list[str], list[int]]:
    code = BEGINNING + PROGRAM.replace("PREPARED", prepared)
    done = subprocess.run(
        [interpreter, "-c", code, *arguments], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    started, said, muted, opened = json.loads(done.stdout)
    return started, said, muted, opened


@pytest.fixture(
    params=[
        8,
        pytest.param(11, marks=pytest.mark.exhaustive),
        12,
        pytest.param(13, marks=pytest.mark.exhaustive),
    ]
)
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


#: Prints how often a line was heard of, how often that is granted, and what was open at each ``do``; hearing is tried
#: again all the time.
OFTEN = """
class Counted(LineMarkers):
    def line(self, code, line):
        heard.append(line)
        return super().line(code, line)

def do(what):
    said.append([what, list(opened)])
    if what == "slow":
        time.sleep(0.1)

cell = '''def often(x):
    return x + 1

def work(turns):
    for turn in range(3):
        do("before")
        total = 0
        for i in range(turns):
            total += i
            if i % 4000 == 0:
                do("loop")
        do("after")
    for i in range(turns):
        total += often(i)
    total = sum(i + 1 for i in range(turns))
    do("slow")
    do("end")
    return total
'''
space = {"do": do}
exec(compile(cell, "cell.py", "exec"), space)
markers = Counted({"cell.py": "abc"}, Marker, Costs(float(sys.argv[1]), float(sys.argv[2])))
hearing = watch(markers)
markers.begin()
assert hearing.start()
done = threading.Event()
wakes = []
def waking():
    while not done.wait(0.001):
        wakes.append(time.perf_counter())
        hearing.wake()
thread = threading.Thread(target=waking)
if sys.argv[3] == "wake":
    thread.start()
result = space["work"](100_000)
done.set()
if sys.argv[3] == "wake":
    thread.join()
markers.end()
hearing.stop()
assert result == sum(range(1, 100_001))
hot_lines = [hot_lines_text(markers.budget), sorted(code.co_name for code in markers.budget.muted)]
ways = [type(hearing).__name__, sys.version_info >= (3, 10)]
# What it costs is looked at every so often; of what was woken two lines may have to be given up, one after the other.
granted = (budget.MARKER_SHARE * markers.seconds + budget.ALLOWANCE_S) / float(sys.argv[1])
granted += 2 * budget._CHECK_EVERY * (len(wakes) + 10)
print(json.dumps([said, [len(heard), granted], hot_lines, markers.unheard_s / markers.seconds, opened, ways]))
"""
#: The lines that may be open at each ``do``; none is right as well, where it is said.
RIGHT = {"before": [6], "loop": [11], "after": [12], "slow": [16], "end": [17]}


@functools.cache
def heard_often(interpreter: str, *arguments: str) -> Any:
    done = subprocess.run(
        [interpreter, "-c", BEGINNING + OFTEN, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.mark.parametrize("waking", ["wake", "never"])
def test_lines_that_run_very_often_are_hardly_heard_and_none_counts_for_another(
    interpreter: str, waking: str
) -> None:
    """Of 1.6 million lines."""
    said, (heard, granted), (lines, muted), unheard, opened, _ = heard_often(
        interpreter, "3e-6", "5e-7", waking
    )
    assert heard <= granted < 160_000 and opened == []
    assert all(lines in ([], RIGHT[what]) for what, lines in said), said
    assert any(one.startswith("lines 8") and one.endswith(" of work") for one in lines), "they are named"
    assert "work" not in muted
    assert 0.01 < unheard <= 1.0


def test_lines_around_a_loop_that_is_not_heard_are_marked(interpreter: str) -> None:
    """At once behind it, or (``sys.settrace``) when hearing is tried again."""
    said, _, _, _, _, (way, can_try_again) = heard_often(interpreter, "3e-6", "5e-7", "wake")
    if way == "MonitoringWatch":
        assert [one for one in said if one[0] != "loop"] == [
            *([["before", [6]], ["after", [12]]] * 3),
            ["slow", [16]],
            ["end", [17]],
        ]
    elif can_try_again:
        assert said[-1] == ["end", [17]]
    else:
        pytest.skip("before Python 3.10 hearing goes on at the next step of an optimizer alone")


#: A cell's statements one by one, as IPython runs them.
STATEMENTS = """
import ast

def do(what):
    said.append([what, list(opened)])

cell = '''total = 0
for i in range(200_000):
    total += i
    if i % 4000 == 0:
        do("loop")
def inner():
    do("inner")
inner()
do("end")
'''
space = {"do": do}
markers = LineMarkers({"cell.py": "abc"}, Marker, Costs())
hearing = watch(markers)
markers.begin()
assert hearing.start()
for node in ast.parse(cell).body:
    code = compile(ast.Module([node], []), "cell.py", "exec")
    markers.begin_statement(code)
    exec(code, space)
    markers.end_statement()
do("between")
markers.begin_statement(compile("do(0)", "other.py", "exec"))
do("elsewhere")
markers.end()
hearing.stop()
assert space["total"] == sum(range(200_000))
print(json.dumps([said, opened, hot_lines_text(markers.budget)]))
"""


def test_a_statement_has_a_marker_though_its_lines_are_not_heard(interpreter: str) -> None:
    done = subprocess.run(
        [interpreter, "-c", BEGINNING + STATEMENTS], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    said, opened, hot_lines = json.loads(done.stdout)
    assert opened == [] and hot_lines and hot_lines[0].startswith("lines 2")
    loop = [lines for what, lines in said if what == "loop"]
    assert len(loop) == 50
    assert all(lines in ([2], [2, 5]) for lines in loop)
    others = {what: lines for what, lines in said if what != "loop"}
    assert others["inner"][0] == 8 and others["inner"][1:] in ([], [7])
    assert others["end"] == [9], "once, although the line would say the same"
    assert others["between"] == others["elsewhere"] == []


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


@pytest.mark.parametrize(
    ("hot", "sentence"),
    [
        (True, "Up to 40 % of the time therefore has no line"),
        (False, "called too often to trace all lines: up to 40 %"),
    ],
)
def test_why_time_has_no_line_is_told(hot: bool, sentence: str) -> None:
    markers = LineMarkers({__file__: "In[1]"}, lambda _: None, Costs())
    markers.seconds, markers.unheard_s = 1.0, 0.4
    if hot:
        markers.budget.muted.add(test_why_time_has_no_line_is_told.__code__)
    *before, last = _unmarked(markers)
    assert sentence in last and bool(before) == hot


def test_what_recording_cost() -> None:
    found = cost([1.05, 1.06, 1.04], [1.0, 1.0, 1.0, 1.01])
    assert found is not None and found.percent == pytest.approx(5.0)
    assert str(found) == "Recording cost 5.0 % of a step (3 recorded steps, 4 not)."
    assert "below the noise, 4.0 %" in str(Cost(1.0, 4.0, 3, 3))
    assert cost([1.0, 1.0], [1.0] * 9) is None, "too few"
    assert cost([1.0, 9.0, 3.0], [1.0, 5.0, 20.0]) is None, "too uneven"


# The messages are those that the driver's and Kineto's sources print; no GPU takes part in this.
@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("ERROR: CUPTI_ERROR_INSUFFICIENT_PRIVILEGES", "ERR_NVGPUCTRPERM"),
        (
            "function cuptiSubscribe failed: CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED",
            "CUPTI serves one",
        ),
        ("Exceeded max GPU buffer count (129 > 128)", "event buffer was full"),
        ("all is well", "no events of the cuda device"),
    ],
)
def test_what_the_device_says_is_named(said: str, sentence: str) -> None:
    assert sentence in without_device_events(said, "cuda")
    assert bool(named(said)) == (said != "all is well")


def test_native_messages_are_heard_and_passed_on() -> None:
    code = f"""
import os, sys
sys.path.insert(0, {str(SITE)!r})
from genops_lab.runtime.profiling.device_errors import NativeMessages
messages = NativeMessages()
with messages.heard(): os.write(2, b"CUPTI says no")
print(messages.text)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout == "CUPTI says no\n" and done.stderr == "CUPTI says no"
