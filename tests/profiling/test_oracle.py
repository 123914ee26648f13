"""The arithmetic against an oracle that paints every nanosecond."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.profiling import analyze
from genops_lab.profiling.engine.intervals import Intervals, exposed_length, gaps, span, union, union_length
from tests.support.exhaustive import examples

interval = st.tuples(st.integers(0, 60), st.integers(0, 20)).map(lambda pair: (pair[0], pair[0] + pair[1]))
intervals = st.lists(interval, max_size=12).map(
    lambda pairs: Intervals(*np.array(pairs, np.int64).reshape(-1, 2).T)
)


def painted(found: Iterable[tuple[int, int]]) -> set[int]:
    return {tick for start, end in found for tick in range(start, end)}


def ticks(found: Intervals) -> set[int]:
    return painted(zip(found.start.tolist(), found.end.tolist(), strict=True))


@given(intervals)
def test_union_length(found: Intervals) -> None:
    assert union_length(found) == len(ticks(found))


@given(intervals)
def test_a_union_is_in_order_and_apart(found: Intervals) -> None:
    start, end = union(found)
    assert (start < end).all() and (start[1:] > end[:-1]).all()
    assert ticks(Intervals(start, end)) == ticks(found)


@given(intervals, intervals)
def test_exposed_length(found: Intervals, cover: Intervals) -> None:
    assert exposed_length(found, cover) == len(ticks(found) - ticks(cover))


@given(intervals)
def test_span(found: Intervals) -> None:
    assert span(found) == (max(found.end) - min(found.start) if len(found.start) else 0)


@given(intervals)
def test_gaps_are_what_is_left_between(found: Intervals) -> None:
    covered = ticks(found)
    between = set(range(min(covered), max(covered))) - covered if covered else set()
    assert ticks(gaps(found)) == between


KINDS = {"gemm": "kernel", "ncclKernel": "kernel", "Memcpy DtoH": "gpu_memcpy"}
device_event = st.tuples(st.sampled_from(sorted(KINDS)), interval)


@settings(max_examples=examples(60))
@given(st.lists(device_event, min_size=1, max_size=15))
def test_device_times(found: list[tuple[str, tuple[int, int]]]) -> None:
    events = [
        {
            "ph": "X",
            "cat": KINDS[name],
            "name": name,
            "pid": 0,
            "tid": 7,
            "args": {"device": 0},
            "ts": start / 1000,
            "dur": (end - start) / 1000,
        }
        for name, (start, end) in found
    ]
    [device] = _analyze(events).devices
    by_name = {name: painted([each for kind, each in found if kind == name]) for name in KINDS}
    busy = set().union(*by_name.values())
    assert round(device.busy_us * 1000) == len(busy)
    assert round(device.compute_us * 1000) == len(by_name["gemm"])
    assert round(device.comm_us * 1000) == len(by_name["ncclKernel"])
    assert round(device.exposed_comm_us * 1000) == len(by_name["ncclKernel"] - by_name["gemm"])
    assert round(device.memory_us * 1000) == len(by_name["Memcpy DtoH"])
    assert round((device.busy_us + device.idle_us - device.span_us) * 1000) == 0


@st.composite
def call_trees(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    """Operators that nest properly, as (name, start, end)."""
    found: list[tuple[str, int, int]] = []

    def grow(start: int, end: int, depth: int) -> None:
        at = start
        while at < end and depth < 4 and draw(st.booleans()):
            begin = draw(st.integers(at, end - 1))
            stop = draw(st.integers(begin + 1, end))
            found.append((draw(st.sampled_from("abc")), begin, stop))
            grow(begin, stop, depth + 1)
            at = stop
            if len(found) > 25:
                return

    grow(0, 100, 0)
    return found


@settings(max_examples=examples(60))
@given(call_trees())
def test_self_time_goes_to_the_innermost_operator(tree: list[tuple[str, int, int]]) -> None:
    events = [
        {
            "ph": "X",
            "cat": "cpu_op",
            "name": name,
            "pid": 1,
            "tid": 1,
            "ts": start / 1000,
            "dur": (end - start) / 1000,
        }
        for name, start, end in tree
    ]
    expected = dict.fromkeys("abc", 0)
    for tick in range(100):
        holding = [
            (start, -end, position) for position, (_, start, end) in enumerate(tree) if start <= tick < end
        ]
        if holding:
            expected[tree[max(holding)[2]][0]] += 1
    summary = _analyze(events)
    found = {each.name: round(each.self_us * 1000) for each in summary.operators}
    assert found == {name: ticks for name, ticks in expected.items() if any(each[0] == name for each in tree)}
    assert round(summary.cpu.busy_us * 1000) == sum(expected.values())


def _analyze(events: list[dict[str, object]]):  # type: ignore[no-untyped-def]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        path.write_text(json.dumps({"traceEvents": events}))
        return analyze(path)
