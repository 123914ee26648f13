"""Columns against plain dictionaries."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genops_lab.core.arrow import strings
from genops_lab.experiments.columns.cells import NumberColumn, TextColumn, order_by

_ROWS = 40
_PUTS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.dictionaries(st.integers(0, _ROWS - 1), st.integers(0, 5), min_size=1)),
        st.tuples(st.just("drop"), st.sets(st.integers(0, _ROWS - 1), min_size=1)),
        st.tuples(st.just("keep"), st.sets(st.integers(0, _ROWS - 1))),
    ),
    max_size=8,
)


def _values(numbers: list[int], as_text: bool) -> Any:
    return strings([f"text {number}" for number in numbers]) if as_text else np.array(numbers, np.float64)


@given(steps=_PUTS, as_text=st.booleans())
def test_a_column_after_any_changes(steps: list[Any], as_text: bool) -> None:
    expected: dict[int, int] = {}
    column: Any = None
    for what, how in steps:
        if what == "put":
            rows = np.array(sorted(how), np.int32)
            values = _values([how[row] for row in sorted(how)], as_text)
            kind = TextColumn if as_text else NumberColumn
            changed = {**expected, **how}
            made = kind.of(rows, values) if column is None else column.put(rows, values)
            assert column is None or (made is column) == (changed == expected), "shared where nothing changed"
            column, expected = made, changed
        elif column is not None and what == "drop":
            column = column.without(np.array(sorted(how), np.int32))
            expected = {row: value for row, value in expected.items() if row not in how}
        elif column is not None:
            kept = sorted(set(range(_ROWS)) - how)
            places = np.full(_ROWS, -1, np.int32)
            places[kept] = np.arange(len(kept))
            column = column.moved(places)
            expected = {int(places[row]): value for row, value in expected.items() if places[row] >= 0}
        assert (column is None) == (not expected)
        if column is not None:
            _compare(column, expected)


def _compare(column: NumberColumn | TextColumn, expected: dict[int, int]) -> None:
    cells = column.cells
    assert cells.count == len(expected)
    rows, _ = cells.pairs()
    assert rows.tolist() == sorted(expected)
    for total in (_ROWS, _ROWS // 2):  # an earlier snapshot has fewer rows
        _, present = cells.spread(total, 0)
        assert np.flatnonzero(present).tolist() == sorted(row for row in expected if row < total)
    asked = np.array([3, _ROWS - 1, 0, 7])
    if isinstance(column, TextColumn):
        wanted = [f"text {expected[row]}" if row in expected else None for row in asked.tolist()]
        assert column.texts(asked) == wanted
    else:
        values, there = cells.at(asked)
        assert [value if is_there else None for value, is_there in zip(values, there, strict=True)] == [
            expected.get(row) for row in asked.tolist()
        ]


@given(
    values=st.lists(st.one_of(st.none(), st.floats(), st.sampled_from([1.0, math.nan]))),
    descending=st.booleans(),
)
def test_the_order_of_numbers(values: list[float | None], descending: bool) -> None:
    keys = np.array([0.0 if value is None else value for value in values], np.float64)
    there = np.array([value is not None for value in values], np.bool_)

    def rank(at: int) -> tuple[int, float, int]:
        value = values[at]
        if value is None:
            return (2, 0.0, at)
        return (1, 0.0, at) if math.isnan(value) else (0, -value if descending else value, at)

    assert order_by(keys, there, descending).tolist() == sorted(range(len(values)), key=rank)


def test_texts_that_are_all_numbers_are_sorted_as_numbers() -> None:
    rows = np.arange(3, dtype=np.int32)
    numbers = TextColumn.of(rows, strings(["10", "9", "1e-3"]))
    assert order_by(*numbers.keys(rows), False).tolist() == [2, 1, 0]
    words = numbers.put(rows[:1], strings(["ten"]))
    assert order_by(*words.keys(rows), False).tolist() == [2, 1, 0]
    # What no run has any more does not count.
    back = words.put(rows[:1], strings(["8"]))
    assert order_by(*back.keys(rows), False).tolist() == [2, 0, 1]


def test_sparse_columns_cost_what_they_hold() -> None:
    column = NumberColumn.of(np.array([9_999], np.int32), np.array([1.0]))
    assert column.nbytes == 12
    dense = NumberColumn.of(np.arange(10_000, dtype=np.int32), np.zeros(10_000))
    assert dense.nbytes == 80_000


@pytest.mark.parametrize("kinds", [2, 7, 10**6], ids=["many alike", "some alike", "all different"])
@pytest.mark.parametrize("descending", [False, True])
def test_an_order_keeps_those_that_are_alike_as_they_were(kinds: int, descending: bool) -> None:
    noise = np.random.default_rng(kinds)
    keys = noise.integers(-kinds, kinds, 500) / 8
    keys[noise.random(500) < 0.1] = np.nan
    keys[::100] = -0.0
    keys[1::100] = 0.0
    keys[2::100] = np.inf
    there = noise.random(500) < 0.8

    def place(row: int) -> tuple[int, float]:
        if not there[row] or math.isnan(keys[row]):
            return 1 if there[row] else 2, 0.0
        return 0, -keys[row] if descending else keys[row]

    assert order_by(keys, there, descending).tolist() == sorted(range(500), key=place)
