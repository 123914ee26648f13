"""Counters on a timeline, against the samples that they are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.profiling.engine import column_files
from genops_lab.profiling.engine.reading import kineto
from genops_lab.profiling.engine.timeline import tiles
from genops_lab.profiling.engine.timeline.tiles import TILE_CELLS, Timeline
from genops_lab.profiling.engine.timeline.views import Side, View
from genops_lab.profiling.models import CounterLane, CounterMoment, SumsQuery
from tests.support.exhaustive import examples

from .events import Event, operator, written
from .test_counters import EVENTS, POWER, counter


def opened(folder: Path, events: list[Event]) -> Timeline:
    """Through the disk, as the Lab does it."""
    column_files.save(kineto.read(written(folder, events)), folder / "columns")
    columns = column_files.load(folder / "columns")
    tiles.save(columns, folder / "timeline")
    return Timeline(columns, folder / "timeline")


def test_counters_are_lanes_below_the_others(tmp_path: Path) -> None:
    lanes = View.of(opened(tmp_path, EVENTS)).lanes()
    assert [(each.group, each.label, each.slices, each.first_us, each.last_us) for each in lanes[2:]] == [
        ("Counters of process 0", "Power (W): watts", 3, 0, 200),
        ("Counters of process 1", "queue: done", 1, 10, 200),
        ("Counters of process 1", "queue: waiting", 2, 5, 200),
    ]
    assert [each.counter for each in lanes] == [
        None,
        None,
        CounterLane(least=80, most=250.5, unit="W"),
        CounterLane(least=0, most=0),
        CounterLane(least=1, most=3),
    ]


@pytest.mark.parametrize(
    ("name", "series", "label", "unit"),
    [
        ("GPU 0 power [mW]", "value", "GPU 0 power [mW]", "mW"),
        ("link (GPU 1)", "count", "link (GPU 1)", ""),
        ("memory", "bytes", "memory: bytes", "bytes"),
        ("traffic", "read in GB/s", "traffic: read in GB/s", "GB/s"),
        ("load", "load", "load", ""),
        ("load\n of all (%)", "", "load of all (%)", "%"),
        ("rank (0)", "loaded in time", "rank (0): loaded in time", ""),
    ],
)
def test_names_and_units(tmp_path: Path, name: str, series: str, label: str, unit: str) -> None:
    [lane] = View.of(opened(tmp_path, [counter(name, 1, **{series: 2})])).lanes()
    assert lane.counter is not None
    assert (lane.label, lane.counter.unit) == (label, unit)


def test_a_sample_is_told_with_its_neighbours(tmp_path: Path) -> None:
    view = View.of(opened(tmp_path, EVENTS))
    assert view.slices == 2 + 6
    found = view.details(3)
    assert (found.slice.name, found.slice.kind, found.slice.start_us, found.slice.dur_us) == (
        f"{POWER}: watts", "counter", 30, 170,
    )  # fmt: skip
    # 80 W for 35 us, 250.5 W for 170 us, and the last sample ends the trace.
    mean = (80 * 35 + 250.5 * 170) / 205
    assert found.counter is not None
    assert found.counter.mean == pytest.approx(mean)
    assert found.counter == CounterMoment(
        value=250.5, before=80, mean=found.counter.mean, least=80, most=250.5, samples=3, unit="W"
    )
    assert found.previous is not None
    assert found.next is not None
    assert (found.previous.slice, found.next.slice) == (2, 4)
    last = view.details(4)
    assert (last.next, last.slice.dur_us) == (None, 0)
    assert view.details(2).previous is None


def test_sums_and_search_leave_counters_out(tmp_path: Path) -> None:
    view = View.of(opened(tmp_path, EVENTS))
    lanes = [each.lane for each in view.lanes()]
    assert view.sums(SumsQuery(first_us=0, last_us=500, lanes=lanes)).slices == 2
    assert not any("Power" in name for name in view.names)


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(-50, 50)), min_size=1, max_size=60),
    st.integers(0, 12),
)
@settings(max_examples=examples(100), deadline=None)
def test_a_tile_tells_all_samples_of_its_stretch(
    tmp_path_factory: pytest.TempPathFactory, samples: list[tuple[int, int]], level: int
) -> None:
    events = [operator("op", 0, 6), *(counter("n", at / 1000, a=value) for at, value in samples)]
    timeline = opened(tmp_path_factory.mktemp("counters"), events)
    [lane] = [each.lane for each in View.of(timeline).lanes() if each.counter]
    ordered = sorted(samples, key=lambda sample: sample[0])
    ts, value = (np.array(each) for each in zip(*ordered, strict=True))
    total = 0
    for index in range((6000 >> level) // TILE_CELLS + 1):
        tile = timeline.tile(lane, level, index)
        items, values = tile.items, tile.values
        assert values is not None
        first, last = (index * TILE_CELLS) << level, ((index + 1) * TILE_CELLS) << level
        here = np.flatnonzero(items.start >= first)
        assert len(here) <= TILE_CELLS
        for at in here.tolist():
            mine = np.flatnonzero(ts >> level == items.start[at] >> level)
            assert (items.count[at], items.start[at], items.slice[at] - 1) == (
                len(mine),
                ts[mine[0]],
                mine[0],
            )
            assert (values.low[at], values.high[at]) == (value[mine].min(), value[mine].max())
            assert values.last[at] == value[mine[-1]]
            assert items.end[at] == (ts[mine[-1] + 1] if mine[-1] + 1 < len(ts) else 6000)
        total += int(items.count[here].sum())
        before = np.flatnonzero(ts < first)
        assert len(items) - len(here) == min(len(before), 1)
        if len(before):
            assert (items.slice[0] - 1, values.last[0]) == (before[-1], value[before[-1]])
            assert items.end[0] == (ts[before[-1] + 1] if before[-1] + 1 < len(ts) else 6000)
        assert (items.start < last).all()
    assert total == len(samples)


def test_counters_of_ranks_together_are_on_one_clock(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    one = View.of(opened(tmp_path / "one", EVENTS))
    other = View.of(opened(tmp_path / "other", [operator("op", 0, 100), *EVENTS]))
    view = View([Side(0, 0, lambda: one.first), Side(1, 40_000, lambda: other.first)])
    assert view.slices == 8 + 9
    lanes = [(each.rank, each.label) for each in view.lanes() if each.counter]
    assert lanes == [
        (rank, label) for rank in (0, 1) for label in ("Power (W): watts", "queue: done", "queue: waiting")
    ]
    lane = next(each for each in view.lanes() if each.rank == 1 and each.counter)
    tile, own = view.tile(lane.lane, 10, 0), other.tile(2, 10, 0)
    assert tile.values is not None
    assert own.values is not None
    assert tile.values.low.tolist() == own.values.low.tolist() == [80, 250.5, 90]
    found = view.details(int(tile.items.slice[1]))
    assert (found.slice.lane, found.slice.start_us) == (lane.lane, 40 + 130)
    assert found.next is not None
    assert view.slice(found.next.slice) == found.next
