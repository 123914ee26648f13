"""Sets of positions, against Python's own."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genops_lab.profiling.engine.columns import NO_ID, NOTHING, common, present, without
from genops_lab.profiling.engine.sums.operators import DENSE, first

SIZE = 20
positions = st.lists(st.integers(0, SIZE - 1), max_size=30).map(lambda values: np.array(values, np.int64))


@given(positions, positions)
def test_as_sets(one: np.ndarray, other: np.ndarray) -> None:
    ours, theirs = set(one.tolist()), set(other.tolist())
    assert present(SIZE, one).tolist() == sorted(ours)
    assert present(SIZE, one, other).tolist() == sorted(ours | theirs)
    assert without(SIZE, one, other).tolist() == sorted(ours - theirs)
    assert common(SIZE, one, other).tolist() == sorted(ours & theirs)


# Ids that lie close together are looked up in a table, others by sorting.
ids = st.sampled_from([NO_ID, 1, 2, 3, 4, 5, 70 * DENSE, 2**61])


@given(st.lists(ids, max_size=12), st.lists(ids, max_size=12), st.sets(st.integers(0, 11)))
def test_the_first_that_has_an_id(column: list[int], wanted: list[int], among: set[int]) -> None:
    members = sorted(each for each in among if each < len(column))
    expected = [
        next((each for each in members if column[each] == number), NOTHING) if number != NO_ID else NOTHING
        for number in wanted
    ]
    found = first(np.array(column, np.int64), np.array(members, np.int64), np.array(wanted, np.int64))
    assert found.tolist() == expected
