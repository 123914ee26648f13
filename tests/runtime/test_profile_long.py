"""Long cells: what a recording takes of the memory, and what is left of it when it has ended."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.support.exhaustive import times
from tests.support.needs import need_torch

need_torch()

pytestmark = pytest.mark.slow

#: Issue 5: an hour of training is profiled under 500 MB.
MOST_MB = 500.0
LONG = "GENOPS_TEST_LONG"

#: ``calls()``: what the interpreter calls in a step, Python's functions and C's.
COUNTING = """
import json, resource, time
def calls():
    heard = []
    sys.setprofile(lambda frame, event, what: heard.append(event) if event in ("call", "c_call") else None)
    step()
    sys.setprofile(None)
    return len(heard)
def hooks():
    from torch.optim import optimizer
    return len(optimizer._global_optimizer_post_hooks)
def listening():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("genops")]
def highest():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
for _ in range(3): step()
plain, before = calls(), memory()
"""


def test_behind_the_last_recorded_step_nothing_is_left(script: Any) -> None:
    code = """
import torch.autograd.profiler as profiling
with genops.profile() as p:
    found = {}
    for number in range(60):
        step()
        if number == 6: found["recording"] = profiling._is_profiler_enabled
    threading.Event().wait(0.2)
    found.update(plain=plain, behind=calls(), hooks=hooks(), listening=listening())
    found["enabled"] = profiling._is_profiler_enabled
    found["trace"] = sys.gettrace() is not None
print(json.dumps(found))
"""
    found = json.loads(script(COUNTING + code).out)
    assert found["plain"] == found["behind"] > 10
    assert found["recording"] and not found["enabled"] and not found["trace"]
    assert (found["hooks"], found["listening"]) == (0, [])


# An hour scaled down: it is the steps that make events, and an hour of steps of 100 ms has 36,000.
def test_as_many_steps_as_an_hour_has(script: Any) -> None:
    code = f"""
with genops.profile():
    for _ in range({times(36_000, 3_600)}): step()
    behind = calls()
print(json.dumps([highest() - before, memory() - before, plain, behind]))
"""
    ran = script(COUNTING + code)
    highest, after, plain, behind = json.loads(ran.out)
    assert highest < MOST_MB and after < MOST_MB
    assert plain == behind
    assert len(ran.steps()) == 10


@pytest.mark.skipif(not os.environ.get(LONG), reason=f"takes ten minutes: it runs where {LONG} is set")
@pytest.mark.timeout(800)
def test_ten_minutes(script: Any) -> None:
    code = """
ends, done = time.monotonic() + 600, 0
with genops.profile():
    while time.monotonic() < ends:
        step()
        done += 1
        threading.Event().wait(0.005)
    behind = calls()
print(json.dumps([highest() - before, memory() - before, plain, behind, done]))
"""
    ran = script(COUNTING + code, timeout_s=780)
    highest, after, plain, behind, done = json.loads(ran.out)
    print(f"{done:,} steps; at most {highest:.0f} MB more, {after:.0f} MB in the end")
    assert highest < MOST_MB and after < MOST_MB
    assert plain == behind and done > 1000
    assert len(ran.steps()) == 10
