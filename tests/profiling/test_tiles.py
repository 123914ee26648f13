"""Tiles of a timeline against what they are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.profiling.engine import column_files
from genops_lab.profiling.engine.columns import Columns
from genops_lab.profiling.engine.kinds import Kind
from genops_lab.profiling.engine.reading import kineto
from genops_lab.profiling.engine.reading.parts import Builder
from genops_lab.profiling.engine.timeline import slices, tiles
from genops_lab.profiling.engine.timeline.tiles import MOST_ITEMS, MOST_ROWS, TILE_CELLS, Timeline, rows_of
from genops_lab.profiling.engine.timeline.views import View
from genops_lab.profiling.models import SumsQuery
from tests.support.exhaustive import examples
from tests.support.real_traces import TRACES

REAL = [
    "v100_2rank_nccl.json.gz",
    "mi250_toy.json.gz",
    "triton_example.json.gz",
    *(
        pytest.param(name, marks=pytest.mark.exhaustive)
        for name in ("h100_owlv2.json.gz", "resnet50_num_workers_0.json.gz")
    ),
]
needs_traces = pytest.mark.skipif(
    not TRACES.is_dir(), reason="the real traces in ../shared/traces are not here"
)

_slices = st.lists(
    st.tuples(st.integers(0, 3000), st.one_of(st.integers(0, 40), st.integers(0, 3000)), st.integers(0, 4)),
    min_size=1,
    max_size=80,
)


def made(columns: Columns, folder: Path) -> Timeline:
    """Through the disk, as the Lab does it."""
    column_files.save(columns, folder / "columns")
    loaded = column_files.load(folder / "columns")
    tiles.save(loaded, folder / "timeline")
    return Timeline(loaded, folder / "timeline")


def built(given_slices: list[tuple[int, int, int]], lanes: int = 2) -> Columns:
    builder = Builder()
    for at, (ts, dur, name) in enumerate(given_slices):
        lane = builder.lane("1", str(at % lanes))
        builder.add(ts, dur, f"name {name}", lane, Kind.OPERATOR)
    return builder.finish(events=len(given_slices))


def check_tile(timeline: Timeline, lane: int, level: int, index: int) -> int:
    """Everything that a tile promises; how many slices begin in it."""
    columns, tile = timeline.columns, timeline.tile(lane, level, index)
    items, cell = tile.items, tile.cell_ns
    first, last = index * TILE_CELLS << level, (index + 1) * TILE_CELLS << level
    assert tile.first_ns == first
    here = items.start >= first
    mine = np.flatnonzero(
        (columns.lane == lane) & (columns.ts < last) & (columns.ts + columns.dur > first - 1)
    )
    begun = mine[columns.ts[mine] >= first]
    assert items.count[here].sum() == len(begun)
    assert items.covered[here].sum() == columns.dur[begun].sum()
    assert here.sum() <= MOST_ITEMS
    assert (items.start < last).all()
    alone = items.count == 1
    for which in np.flatnonzero(alone & here):
        number = items.slice[which]
        assert items.start[which] == columns.ts[number]
        assert items.end[which] == columns.ts[number] + columns.dur[number]
        assert items.row[which] == timeline.rows[number]
    # What is as long as a cell is there by itself, also where it only reaches in.
    long = mine[(columns.dur[mine] >= cell) & (columns.ts[mine] + columns.dur[mine] > first)]
    assert set(long.tolist()) <= set(items.slice[alone].tolist())
    # A run lies over exactly the slices of its row that it counts, and is named after one of them.
    for which in np.flatnonzero(~alone & here):
        row = begun[timeline.rows[begun] == items.row[which]]
        inside = row[
            (columns.ts[row] >= items.start[which]) & (columns.ts[row] // cell == items.start[which] // cell)
        ]
        inside = inside[columns.dur[inside] < cell]
        assert items.count[which] == len(inside)
        assert items.end[which] == (columns.ts[inside] + columns.dur[inside]).max()
        assert items.name[which] in columns.name[inside]
    return len(begun)


@given(_slices, st.integers(0, 14))
@settings(max_examples=examples(150), deadline=None)
def test_each_slice_is_drawn_or_counted_in_its_tile(
    tmp_path_factory: pytest.TempPathFactory, given_slices: list[tuple[int, int, int]], level: int
) -> None:
    columns = built(given_slices)
    timeline = made(columns, tmp_path_factory.mktemp("timeline"))
    last = int((columns.ts + columns.dur).max())
    counted = sum(
        check_tile(timeline, lane, level, index)
        for lane in range(len(columns.lanes))
        for index in range((last >> level) // TILE_CELLS + 1)
    )
    assert counted == len(columns)


@given(_slices)
@settings(max_examples=examples(200), deadline=None)
def test_no_slice_lies_over_another_on_its_row(given_slices: list[tuple[int, int, int]]) -> None:
    columns = built(given_slices, lanes=1)
    row = rows_of(columns.ts, columns.dur)
    for number in np.unique(row):
        members = np.flatnonzero(row == number)
        assert (columns.ts[members][1:] >= (columns.ts + columns.dur)[members][:-1]).all()


def test_deeper_slices_share_the_last_row() -> None:
    depth = MOST_ROWS + 40
    columns = built([(at, 4 * depth - 2 * at, 0) for at in range(depth)], lanes=1)
    row = rows_of(columns.ts, columns.dur)
    assert row.tolist() == [min(at, MOST_ROWS - 1) for at in range(depth)]


def test_a_dense_tile_is_merged_until_it_is_small(tmp_path: Path) -> None:
    nested = [(at * 64 + row, 60 - 2 * row, row % 5) for at in range(2000) for row in range(25)]
    timeline = made(built(nested, lanes=1), tmp_path)
    tile = timeline.tile(0, 6, 0)
    assert tile.cell_ns > 64
    assert len(tile.items) <= MOST_ITEMS
    assert check_tile(timeline, 0, 6, 0) == TILE_CELLS * 25
    assert timeline.tile(99, 6, 0).items.count.tolist() == []


@needs_traces
@pytest.mark.parametrize("name", REAL)
def test_tiles_of_real_traces(name: str, tmp_path: Path) -> None:
    columns = kineto.read(TRACES / "kineto" / name)
    timeline = made(columns, tmp_path)
    end = int((columns.ts + columns.dur).max())
    random = np.random.default_rng(5)
    for level in (34, 26, 20, 14, 8):
        tiles_of_lane = (end >> level) // TILE_CELLS + 1
        indices = (
            range(tiles_of_lane) if tiles_of_lane <= 6 else random.integers(0, tiles_of_lane, 6).tolist()
        )
        found = sum(check_tile(timeline, lane, level, index) for lane in timeline.lanes for index in indices)
        if tiles_of_lane <= 6:
            assert found == len(columns)


@needs_traces
def test_flows_tie_launches_and_kernels(tmp_path: Path) -> None:
    columns = kineto.read(TRACES / "kineto" / "v100_2rank_nccl.json.gz")
    timeline = made(columns, tmp_path)
    kernels = np.flatnonzero(columns.kind >= Kind.COMPUTE)
    for kernel in np.random.default_rng(7).choice(kernels, 200, replace=False).tolist():
        slice_details = slices.details(timeline, kernel)
        assert slice_details.launched_by is not None
        assert slice_details.launched_by.kind == "runtime"
        assert columns.correlation[slice_details.launched_by.slice] == columns.correlation[kernel]
        assert slice_details.launched_by.start_us <= slice_details.slice.start_us
        back = slices.details(timeline, slice_details.launched_by.slice)
        assert kernel in [each.slice for each in back.launched]
        assert [each.slice for each in slice_details.launch_stack] == [each.slice for each in back.around]


@needs_traces
def test_a_slice_lies_in_what_is_around_it(tmp_path: Path) -> None:
    columns = kineto.read(TRACES / "kineto" / "v100_2rank_nccl.json.gz")
    timeline = made(columns, tmp_path)
    deep = np.flatnonzero(timeline.rows >= 3)
    for number in np.random.default_rng(3).choice(deep, 200, replace=False).tolist():
        slice_details = slices.details(timeline, number)
        assert [each.row for each in slice_details.around] == list(range(slice_details.slice.row))
        for outer in slice_details.around:
            assert outer.start_us <= slice_details.slice.start_us
            assert outer.start_us + outer.dur_us >= slice_details.slice.start_us + slice_details.slice.dur_us
        if slice_details.inside is not None:
            inner = slices.details(timeline, slice_details.inside.slice)
            assert [each.slice for each in inner.around][-1] == number
        if slice_details.next is not None:
            after = slices.details(timeline, slice_details.next.slice)
            assert after.previous == slice_details.slice


@given(_slices, st.integers(0, 3000), st.integers(0, 3000))
@settings(max_examples=examples(100), deadline=None)
def test_sums_count_what_lies_in_a_stretch(
    tmp_path_factory: pytest.TempPathFactory, given_slices: list[tuple[int, int, int]], one: int, other: int
) -> None:
    columns = built(given_slices)
    timeline = made(columns, tmp_path_factory.mktemp("timeline"))
    first, last = min(one, other), max(one, other) + 1
    found = View.of(timeline).sums(SumsQuery(first_us=first / 1000, last_us=last / 1000, lanes=[0]))
    expected: dict[str, float] = {}
    count = 0
    for at in np.flatnonzero(columns.lane == 0).tolist():
        ts, end = int(columns.ts[at]), int(columns.ts[at] + columns.dur[at])
        if (first <= ts < last) or (ts < first < end):
            count += 1
            name = columns.names[columns.name[at]]
            expected[name] = expected.get(name, 0) + (min(end, last) - max(ts, first)) / 1000
    assert found.slices == count
    for each in found.names:
        assert each.total_us == pytest.approx(expected[each.name])
    assert sum(each.total_us for each in found.names) == pytest.approx(sum(expected.values()))


def test_matches_go_round() -> None:
    columns = built([(0, 5, 0), (10, 5, 1), (20, 5, 0), (30, 5, 0)], lanes=1)
    matches = slices.Matches.of(columns, np.array([name == "name 0" for name in columns.names]))
    assert matches.slices.tolist() == [0, 2, 3]
    assert [matches.next(after, backwards=False) for after in (-1, 0, 1, 3)] == [0, 1, 1, 0]
    assert [matches.next(after, backwards=True) for after in (-1, 0, 1, 3)] == [2, 2, 0, 1]
    assert slices.Matches.of(columns, np.zeros(2, bool)).next(-1, backwards=False) == -1
