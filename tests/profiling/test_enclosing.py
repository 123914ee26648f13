"""The forest of intervals against a search of every pair."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genops_lab.profiling.engine.attribution.enclosing import Enclosing
from genops_lab.profiling.engine.columns import NOTHING, Columns
from genops_lab.profiling.engine.nesting import nearest_around


@st.composite
def nested(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Slices (lane, start, length) that lie in or beside each other, in the order of columns."""
    found: list[tuple[int, int, int]] = []

    def fill(lane: int, start: int, end: int, depth: int) -> None:
        while start < end and depth < 5:
            start += draw(st.integers(0, 3))
            length = draw(st.integers(1, 12))
            if start + length > end:
                return
            found.append((lane, start, length))
            if draw(st.booleans()):
                fill(lane, start, start + length, depth + 1)
            start += length

    for lane in range(draw(st.integers(1, 2))):
        fill(lane, 0, draw(st.integers(0, 30)), 0)
    return sorted(found, key=lambda each: (each[1], -each[2]))


def columns_of(slices: list[tuple[int, int, int]]) -> Columns:
    lane, ts, dur = (np.array([each[at] for each in slices], np.int64) for at in range(3))
    count = len(slices)
    none, zero = np.full(count, -1, np.int64), np.zeros(count, np.int32)
    return Columns(ts, dur, zero, lane.astype(np.int32), zero.astype(np.int8), none, none, ["n"], [])


@given(nested(), st.integers(0, 40))
def test_the_innermost_around_a_moment(slices: list[tuple[int, int, int]], at: int) -> None:
    tree = Enclosing(columns_of(slices), np.arange(len(slices)))
    for lane in (0, 1):
        [found] = tree.around(np.array([lane], np.int32), np.array([at])).tolist()
        holders = [
            number
            for number, (of, start, length) in enumerate(slices)
            if of == lane and start <= at < start + length
        ]
        assert found == (holders[-1] if holders else NOTHING)


@given(nested(), st.data())
def test_own_times_and_nearest(slices: list[tuple[int, int, int]], data: st.DataObject) -> None:
    count = len(slices)
    wanted = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
    tree = Enclosing(columns_of(slices), np.arange(count))
    nearest = tree.nearest(wanted)
    covered: dict[int, int] = {}
    for lane in (0, 1):
        for moment in range(40):
            holders = [
                number
                for number, (of, start, length) in enumerate(slices)
                if of == lane and start <= moment < start + length
            ]
            chosen = [number for number in holders if wanted[number]]
            if holders:
                assert nearest[holders[-1]] == (chosen[-1] if chosen else NOTHING)
            if chosen:
                covered[chosen[-1]] = covered.get(chosen[-1], 0) + 1
    places = np.flatnonzero(wanted)
    assert tree.own_times(places).tolist() == [covered.get(number, 0) for number in places.tolist()]


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 12)), max_size=12))
def test_what_overlaps_without_nesting_has_the_last_open_one_as_parent(pairs: list[tuple[int, int]]) -> None:
    pairs.sort(key=lambda pair: (pair[0], -pair[1]))
    start = np.array([pair[0] for pair in pairs], np.int64)
    end = start + np.array([pair[1] for pair in pairs], np.int64)
    expected = []
    stack: list[int] = []
    for place in range(len(pairs)):
        while stack and end[stack[-1]] <= start[place]:
            stack.pop()
        expected.append(stack[-1] if stack else NOTHING)
        stack.append(place)
    assert nearest_around(start, end - start).tolist() == expected
