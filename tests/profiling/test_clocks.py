"""Clocks of ranks, set by the ends of their collectives: made-up ranks whose clocks are known, and real ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.profiling.engine.reading.files import read_all
from genops_lab.profiling.engine.reading.kinds_of_files import LeftOut
from genops_lab.profiling.engine.timeline.clocks import WALL_NS, Beats, RankClock, aligned, beats_of
from tests.support.exhaustive import examples

from .test_truth import TRACES

MS = 1_000_000
#: The median of the made-up collectives.
LENGTH = MS // 2


def job(seed: int, count: int = 40, step: int = 20 * MS) -> list[int]:
    """When collectives end, in true nanoseconds: no two steps are equally long."""
    chance = np.random.default_rng(seed)
    return np.cumsum(step + chance.integers(0, 2 * MS, count)).tolist()


def beats(
    rank: int,
    ends: list[int],
    ahead: int = 0,
    *,
    jitter: int = 0,
    origin: int = 0,
    name: str = "AllReduce 8",
    length: int = LENGTH,
) -> Beats:
    """A rank whose clock is ``ahead`` of the true one."""
    noise = np.random.default_rng(rank).integers(-jitter, jitter + 1, len(ends))
    own = np.sort(np.array(ends, np.int64) + ahead + noise)
    return Beats(rank, origin, int(own[-1]) if len(own) else 0, {name: own} if len(own) else {}, length)


def offsets(clocks: list[RankClock]) -> list[int]:
    """Against the first."""
    return [each.offset_ns - clocks[0].offset_ns for each in clocks]


def test_clocks_that_differ_are_set_to_one() -> None:
    ends = job(1)
    ahead = [0, 5 * MS, -700 * MS, 3_000_000 * MS]
    ranks = [beats(rank, ends, each, jitter=8000) for rank, each in enumerate(ahead)]
    clocks = aligned(ranks)
    assert offsets(clocks) == pytest.approx([-each for each in ahead], abs=4000)
    assert [each.placed_by for each in clocks] == ["reference", *["collectives"] * 3]
    assert {(each.matched, each.common) for each in clocks[1:]} == {(40, 40)}
    assert all(4000 < each.spread_ns < 16_000 for each in clocks[1:])
    assert min(each.offset_ns for each in clocks) == 0


@given(
    st.integers(0, 10_000),
    st.integers(-(10**12), 10**12),
    st.integers(0, 20_000),
    st.sets(st.integers(0, 39), max_size=8),
    st.integers(0, 10),
    st.integers(0, 10),
)
@settings(max_examples=examples(150), deadline=None)
def test_collectives_that_are_missing_do_no_harm(
    seed: int, ahead: int, jitter: int, missing: set[int], late: int, early: int
) -> None:
    ends = job(seed)
    other = [each for place, each in enumerate(ends) if place not in missing][late : len(ends) - early]
    one, two = aligned([beats(0, ends, jitter=jitter), beats(1, other, ahead, jitter=jitter)])
    assert two.placed_by == "collectives"
    assert two.offset_ns - one.offset_ns == pytest.approx(-ahead, abs=jitter + 1000)
    assert two.matched >= len(other) - 4


def test_a_missing_collective_shifts_none_of_those_behind_it() -> None:
    ends = job(3, 12)
    one, two = aligned([beats(0, ends), beats(1, [*ends[:1], *ends[2:]], 9 * MS)])
    assert (two.offset_ns - one.offset_ns, two.matched, two.common) == (-9 * MS, 11, 11)
    assert two.spread_ns == 0


def test_collectives_that_follow_each_other_closely_are_told_apart() -> None:
    ends = [start + 90_000 * place for start in job(4, 10) for place in range(6)]
    one, two = aligned([beats(0, ends, jitter=3000), beats(1, ends[1:], 77 * MS, jitter=3000)])
    assert two.offset_ns - one.offset_ns == pytest.approx(-77 * MS, abs=3000)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_collectives_prove_nothing(count: int) -> None:
    ends = job(5)
    _, other = clocks = aligned([beats(0, ends), beats(1, ends[:count], 3 * MS)])
    assert (other.placed_by, other.matched, other.common) == ("start", 0, count)
    assert offsets(clocks) == [0, 0]


def test_ranks_of_other_jobs_are_not_aligned() -> None:
    clocks = aligned([beats(0, job(6)), beats(1, job(7)), beats(2, job(6), MS), beats(3, [], 0)])
    assert [each.placed_by for each in clocks] == ["reference", "start", "collectives", "start"]
    assert clocks[1].common == 40


def test_ends_that_differ_by_more_than_a_collective_lasts_align_nothing() -> None:
    ends = job(8)
    _, other = aligned([beats(0, ends, jitter=4 * LENGTH), beats(1, ends, jitter=4 * LENGTH)])
    assert other.placed_by == "start"


def test_a_first_rank_that_is_no_part_of_the_job_leaves_the_others_together() -> None:
    ends = job(9)
    clocks = aligned([beats(0, job(10)), beats(1, ends), beats(2, ends, MS), beats(3, ends, 2 * MS)])
    assert [each.placed_by for each in clocks] == ["start", "reference", "collectives", "collectives"]


def test_ranks_of_other_groups_are_set_through_one_that_is_in_both() -> None:
    tensor, data = job(11), job(12)
    bridge = beats(1, tensor, 4 * MS, name="AllGather 2", jitter=2000)
    bridge = replace(bridge, ends=bridge.ends | beats(1, data, 4 * MS, jitter=2000).ends)
    far = beats(2, data, 9 * MS, jitter=2000)
    clocks = aligned([beats(0, tensor, name="AllGather 2", jitter=2000), bridge, far])
    assert offsets(clocks) == pytest.approx([0, -4 * MS, -9 * MS], abs=2000)
    assert clocks[2].spread_ns > clocks[1].spread_ns


def test_the_hosts_clocks_tell_steps_of_equal_length_apart() -> None:
    ends = [20 * MS * step for step in range(1, 31)]
    late = [each - 40 * MS for each in ends[2:]]  # begins two steps later, on a clock of its own start
    one, two = aligned([beats(0, ends, origin=WALL_NS), beats(1, late, origin=WALL_NS + 41 * MS)])
    assert (two.placed_by, two.offset_ns - one.offset_ns) == ("collectives", 40 * MS)


def test_without_collectives_the_hosts_clocks_are_taken_where_they_tell_of_the_same_time() -> None:
    ends = job(13)
    near, far = beats(1, [], origin=WALL_NS + 5 * MS), beats(2, [], origin=WALL_NS + 10**15)
    clocks = aligned([beats(0, ends, origin=WALL_NS), near, far])
    assert [(each.placed_by, each.offset_ns) for each in clocks[1:]] == [("wall_clock", 5 * MS), ("start", 0)]


def test_many_ranks_that_have_nothing_in_common_take_no_time() -> None:
    ranks = [beats(rank, job(100 + rank, 300)) for rank in range(64)]
    assert {each.placed_by for each in aligned(ranks)} <= {"reference", "start", "collectives"}
    assert aligned([]) == []


@pytest.mark.skipif(not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here")
@pytest.mark.parametrize("has_origins", [True, False], ids=["wall clock", "no wall clock"])
def test_real_ranks_of_one_host_agree_with_its_clock(has_origins: bool) -> None:
    ranks = [
        beats_of(columns, columns.rank or 0)
        for _, columns in read_all(*LeftOut.of(TRACES / "kineto" / "dlrm_8ranks"))
    ]
    first = min(each.origin_ns for each in ranks)
    truth = [each.origin_ns - first for each in ranks]
    clocks = aligned(ranks if has_origins else [replace(each, origin_ns=0) for each in ranks])
    assert [each.offset_ns for each in clocks] == pytest.approx(truth, abs=2000)
    assert {each.matched for each in clocks[1:]} == {8}
    assert max(each.spread_ns for each in clocks) < 5000
