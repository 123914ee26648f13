"""What a selected slice is tied to: its backward pass, and the same collective on other ranks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genops_lab.profiling.engine.reading import kineto
from genops_lab.profiling.engine.timeline import tiles
from genops_lab.profiling.engine.timeline.clocks import Collective, aligned, beats_of, nearest, same
from genops_lab.profiling.engine.timeline.tiles import Timeline
from genops_lab.profiling.engine.timeline.views import Side, View
from genops_lab.profiling.models import SliceDetails

from .events import Event, operator, written
from .rank_traces import ALL_GATHER, ALL_REDUCE, rank_events, write_rank


def opened(path: Path) -> Timeline:
    columns = kineto.read(path)
    folder = path.with_suffix(".levels")
    tiles.save(columns, folder)
    return Timeline(columns, folder)


def forward(name: str, ts: float, dur: float, sequence: int, tid: int = 1) -> Event:
    return operator(name, ts, dur, tid, **{"Sequence number": sequence, "Fwd thread id": 0})


def node(name: str, ts: float, dur: float, sequence: int) -> list[Event]:
    """On autograd's own thread, with one operator inside."""
    arguments = {"Sequence number": sequence, "Fwd thread id": 1}
    return [
        operator(f"autograd::engine::evaluate_function: {name}", ts, dur, 2, **arguments),
        operator(name, ts + 1, dur - 2, 2, **arguments),
        operator("aten::mm", ts + 2, dur - 4, 2),
    ]


@pytest.fixture
def trained(tmp_path: Path) -> View:
    events = [
        operator("aten::linear", 0, 100),
        forward("aten::t", 10, 20, 4),
        forward("aten::addmm", 40, 50, 5),
        forward("aten::relu", 110, 50, 6),
        operator("aten::ones_like", 170, 10),
        *node("ReluBackward0", 200, 20, 6),
        *node("AddmmBackward0", 230, 20, 5),
        *node("TBackward0", 260, 20, 4),
    ]
    return View.of(opened(written(tmp_path, events)))


def details(view: View, name: str) -> SliceDetails:
    """Of the first slice of that name."""
    wanted = np.array([each == name for each in view.names])
    return view.details(int(view.matches(wanted).slices[0]))


def test_an_operator_is_tied_to_its_backward_pass(trained: View) -> None:
    found = details(trained, "aten::addmm")
    assert (found.forward, found.backwards) == (None, 1)
    assert [(each.name, each.start_us) for each in found.backward] == [
        ("autograd::engine::evaluate_function: AddmmBackward0", 230)
    ]
    # Also what lies in it, in the order of time.
    assert [each.start_us for each in details(trained, "aten::linear").backward] == [230, 260]


@pytest.mark.parametrize("name", ["autograd::engine::evaluate_function: AddmmBackward0", "AddmmBackward0"])
def test_the_backward_pass_is_tied_to_its_operator(trained: View, name: str) -> None:
    found = details(trained, name)
    assert found.forward is not None
    assert (found.forward.name, found.backward) == ("aten::addmm", [])


def test_what_lies_in_a_node_is_tied_as_the_node(trained: View) -> None:
    found = details(trained, "aten::mm")
    assert found.around[-1].name == "ReluBackward0"
    assert found.forward is not None
    assert found.forward.name == "aten::relu"


def test_what_has_no_backward_pass_is_tied_to_nothing(trained: View) -> None:
    found = details(trained, "aten::ones_like")
    assert (found.forward, found.backward, found.collective) == (None, [], None)


def together(folder: Path, ranks: dict[int, list[Event]]) -> View:
    """As the Lab does it."""
    timelines = {rank: opened(write_rank(folder, rank, events)) for rank, events in ranks.items()}
    clocks = aligned([beats_of(each.columns, rank) for rank, each in timelines.items()])
    return View(
        [
            Side(
                clock.rank,
                clock.offset_ns,
                lambda rank=clock.rank: timelines[rank],  # type: ignore[misc]
                clock.placed_by in ("reference", "collectives"),
                clock.spread_ns,
            )
            for clock in clocks
        ]
    )


def collectives(view: View, name: str, rank: int) -> list[SliceDetails]:
    mine = [lane.lane for lane in view.lanes() if lane.rank == rank]
    found = [
        view.details(each) for each in view.matches(np.array([each == name for each in view.names])).slices
    ]
    return [each for each in found if each.slice.lane in mine]


@pytest.mark.parametrize("name", [ALL_REDUCE, ALL_GATHER])
def test_a_collective_is_found_on_all_ranks(tmp_path: Path, name: str) -> None:
    clocks = {0: 1_000.0, 1: 900_000.0, 2: 2_500.0}
    ranks = {rank: rank_events(rank, late=1, clock_us=at, jitter_us=4) for rank, at in clocks.items()}
    view = together(tmp_path, ranks)
    for rank in ranks:
        for step, found in enumerate(collectives(view, name, rank)):
            shown = found.collective
            assert shown is not None
            assert ([each.rank for each in shown.parts], shown.missing) == ([0, 1, 2], [])
            assert found.slice in [each.slice for each in shown.parts]
            ends = [each.slice.start_us + each.slice.dur_us for each in shown.parts]
            assert np.ptp(ends) < 20
            first = min(each.slice.start_us for each in shown.parts)
            for each in shown.parts:
                assert each.late_us == pytest.approx(each.slice.start_us - first)
                assert each.slice == collectives(view, name, each.rank)[step].slice
            assert 0 < shown.trust_us < 10
            if name == ALL_REDUCE:
                assert max(shown.parts, key=lambda each: each.late_us).rank == 1


def test_a_rank_that_lacks_one_is_told(tmp_path: Path) -> None:
    ranks = {rank: rank_events(rank, clock_us=1000.0 * rank, jitter_us=2) for rank in range(3)}
    gathers = [each for each in ranks[1] if each["name"] == ALL_GATHER]
    ranks[1].remove(gathers[2])
    view = together(tmp_path, ranks)
    shown = [found.collective for found in collectives(view, ALL_GATHER, 0)]
    assert [each.missing if each else None for each in shown] == [[], [], [1], []]
    assert [[part.rank for part in each.parts] if each else [] for each in shown][2] == [0, 2]


def test_a_rank_whose_clock_is_not_set_takes_no_part(tmp_path: Path) -> None:
    ranks = {rank: rank_events(rank) for rank in range(2)}
    ranks[2] = [operator("aten::mm", 0, 50), *rank_events(2)[-1:]]
    ranks[3] = rank_events(3, steps=1)
    view = together(tmp_path, ranks)
    shown = collectives(view, ALL_REDUCE, 0)[0].collective
    assert shown is not None
    assert [each.rank for each in shown.parts] == [0, 1]
    assert all(found.collective is None for found in collectives(view, ALL_REDUCE, 3))


def test_the_nearest_is_the_same_only_if_it_is_mutual_and_near_enough(tmp_path: Path) -> None:
    columns = kineto.read(write_rank(tmp_path, 0, rank_events(0)))
    slices = np.arange(3)

    def found(own: list[int], place: int, other: list[int]) -> int | None:
        one, two = (Collective(slices[: len(each)], np.array(each)) for each in (own, other))
        return same(one, place, two, 100, 0, columns, 1_000)

    assert found([0, 1_000_000], 1, [-100, 999_990]) == 1
    assert found([0, 1_000_000], 0, [999_990]) is None
    # Of several within the bound each has its own.
    assert found([0, 5_000], 0, [4_900]) is None
    assert found([0], 0, [9_000_000]) is None
    assert found([0], 0, []) is None
    assert [nearest(np.array([0, 10]), each) for each in (-5, 4, 5, 6, 99)] == [0, 0, 0, 1, 1]
