"""Timelines through a real store and the profiler's worker process."""

from __future__ import annotations

import json
import shutil
from typing import Any

import numpy as np
import pytest

from genops_lab.core.errors import Failed, InvalidRequest, NotFound
from genops_lab.profiling.engine.profile_folder import analyze_into
from genops_lab.profiling.engine.timeline import views
from genops_lab.profiling.models import (
    CutQuery,
    NewProfile,
    OpenedFile,
    RankQuery,
    SliceSearch,
    SumsQuery,
    TileKey,
    TilesQuery,
    TimelineTile,
)
from genops_lab.profiling.perfetto.service import PerfettoService
from genops_lab.profiling.timeline.backend import MOST_TOGETHER, OPEN_TIMELINES, Timelines
from genops_lab.profiling.timeline.service import TimelineService
from tests.support.exhaustive import times
from tests.support.homes import Home

from .rank_traces import ALL_REDUCE, write_ranks
from .test_service import Room, room

LAUNCH, KERNEL, OPERATOR = "cudaLaunchKernel", "gemm", "aten::mm"
TRACE = {
    "traceEvents": [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": 5, "args": {"name": "main"}},
        *(
            event
            for at in range(3)
            for event in (
                {
                    "ph": "X",
                    "cat": "cpu_op",
                    "name": OPERATOR,
                    "pid": 1,
                    "tid": 5,
                    "ts": 100 * at,
                    "dur": 50,
                    "args": {"Input Dims": [[2, 3], [3, 4]], "External id": at + 1},
                },
                {
                    "ph": "X",
                    "cat": "cuda_runtime",
                    "name": LAUNCH,
                    "pid": 1,
                    "tid": 5,
                    "ts": 100 * at + 10,
                    "dur": 5,
                    "args": {"correlation": 70 + at},
                },
                {
                    "ph": "X",
                    "cat": "kernel",
                    "name": KERNEL,
                    "pid": 0,
                    "tid": 7,
                    "ts": 100 * at + 30,
                    "dur": 60,
                    "args": {"device": 0, "stream": 7, "correlation": 70 + at},
                },
            )
        ),
    ]
}


async def ready(lab: Room, text: str = json.dumps(TRACE)) -> str:
    added = await lab.service.add_profile(NewProfile(trace_path=str(lab.write("t.json", text)), title="t"))
    await lab.kept(added.id)
    return added.id


def numbers(tile: TimelineTile) -> list[tuple[float, float, int, int]]:
    """Start, length, count and row of each item."""
    columns = (
        np.frombuffer(tile.start, "<f4"),
        np.frombuffer(tile.dur, "<f4"),
        np.frombuffer(tile.count, "<i4"),
        np.frombuffer(tile.row, np.uint8),
    )
    return list(zip(*(column.tolist() for column in columns), strict=True))


async def test_lanes_tiles_and_slices(home: Home) -> None:
    async with room(home) as lab:
        timelines = TimelineService(lab.service)
        profile_id = await ready(lab)
        timeline = await timelines.get_timeline(profile_id)
        assert timeline.span_us == 290
        host, device = timeline.lanes
        assert (host.group, host.label, host.rows, host.slices) == ("Process 1", "main", 2, 6)
        assert (device.group, device.label, device.device, device.rows) == ("Device 0", "stream 7", "0", 1)
        assert sorted(timeline.names) == sorted([OPERATOR, LAUNCH, KERNEL])

        keys = [TileKey(lane=lane.lane, level=10, index=0) for lane in (host, device)]
        one, other = (await timelines.get_timeline_tiles(profile_id, TilesQuery(tiles=keys))).tiles
        assert numbers(one) == [
            *((1e5 * at, 5e4, 1, 0) for at in range(3)),
            *((1e5 * at + 1e4, 5e3, 1, 1) for at in range(3)),
        ]
        assert numbers(other) == [(1e5 * at + 3e4, 6e4, 1, 0) for at in range(3)]
        [far] = (
            await timelines.get_timeline_tiles(
                profile_id, TilesQuery(tiles=[TileKey(lane=host.lane, level=30, index=0)])
            )
        ).tiles
        assert [(count, row) for _, _, count, row in numbers(far)] == [(3, 0), (3, 1)]

        second_kernel = int(np.frombuffer(other.slice, "<i4")[1])
        details = await timelines.get_timeline_slice(profile_id, str(second_kernel))
        assert (details.slice.name, details.slice.kind, details.slice.start_us) == (KERNEL, "compute", 130)
        assert details.launched_by is not None
        assert (details.launched_by.name, details.launched_by.start_us) == (LAUNCH, 110)
        assert [each.name for each in details.launch_stack] == [OPERATOR]
        assert [each and each.start_us for each in (details.previous, details.next)] == [30, 230]
        launch = await timelines.get_timeline_slice(profile_id, str(details.launched_by.slice))
        assert (launch.launches, [each.slice for each in launch.launched]) == (1, [second_kernel])
        [operator] = launch.around
        outer = await timelines.get_timeline_slice(profile_id, str(operator.slice))
        assert outer.inside == launch.slice
        arguments = {each.name: each.value for each in outer.arguments}
        assert {**arguments, "dims": json.loads(arguments["dims"])} == {
            "external id": "2",
            "dims": [[2, 3], [3, 4]],
        }


async def test_search_goes_round_and_takes_no_hostile_pattern(home: Home) -> None:
    async with room(home) as lab:
        timelines = TimelineService(lab.service)
        hostile = {"ph": "X", "cat": "cpu_op", "name": "a" * 5000, "pid": 1, "tid": 9, "ts": 0, "dur": 1}
        profile_id = await ready(lab, json.dumps({"traceEvents": [*TRACE["traceEvents"], hostile]}))

        async def find(
            text: str, after: int = -1, *, regex: bool = False, backwards: bool = False
        ) -> tuple[int, int, float]:
            asked = SliceSearch(text=text, regex=regex, after=after, backwards=backwards)
            found = await timelines.search_timeline(profile_id, asked)
            nonlocal last
            last = found.slice.slice if found.slice is not None else -1
            return found.count, found.place, found.slice.start_us if found.slice is not None else -1

        last = -1
        assert await find("GEMM") == (3, 1, 30)
        assert await find("GEMM", last) == (3, 2, 130)
        assert await find("GEMM", last, backwards=True) == (3, 1, 30)
        assert await find("GEMM", last, backwards=True) == (3, 3, 230)
        assert await find("GEMM", last) == (3, 1, 30)
        assert await find("^(aten|cuda)", regex=True) == (6, 1, 0)
        assert await find("nothing") == (0, 0, -1)
        # Exponential in a matcher that goes back.
        assert await find("(a|a|aa)*b$", regex=True) == (0, 0, -1)
        for text in ("(", "a" * 2000, ""):
            with pytest.raises(InvalidRequest):
                await find(text, regex=True)


async def test_sums_of_a_stretch(home: Home) -> None:
    async with room(home) as lab:
        timelines = TimelineService(lab.service)
        profile_id = await ready(lab)
        lanes = [lane.lane for lane in (await timelines.get_timeline(profile_id)).lanes]
        found = await timelines.sum_timeline(profile_id, SumsQuery(first_us=40, last_us=135, lanes=lanes))
        assert {each.name: (each.count, each.total_us) for each in found.names} == {
            KERNEL: (2, 55),
            OPERATOR: (2, 45),
            LAUNCH: (1, 5),
        }
        assert (found.slices, found.busy_us) == (5, 100)


async def test_what_is_wrong_is_told(home: Home) -> None:
    async with room(home) as lab:
        timelines = TimelineService(lab.service)
        with pytest.raises(NotFound):
            await timelines.get_timeline("nobody")
        profile_id = await ready(lab)
        for number in ("9", "99999999999", "9" * 40, "x", "-1"):
            with pytest.raises((NotFound, InvalidRequest)):
                await timelines.get_timeline_slice(profile_id, number)
        for tiles in ([], [TileKey(lane=0, level=60, index=0)], [TileKey(lane=0, level=52, index=1)] * 2):
            with pytest.raises(InvalidRequest):
                await timelines.get_timeline_tiles(profile_id, TilesQuery(tiles=tiles))
        [nothing] = (
            await timelines.get_timeline_tiles(
                profile_id, TilesQuery(tiles=[TileKey(lane=2**40, level=3, index=9)])
            )
        ).tiles
        assert numbers(nothing) == []
        failed = await lab.service.add_profile(
            NewProfile(trace_path=str(lab.write("u.json", "oops")), title="u")
        )
        with pytest.raises(Failed):
            await timelines.get_timeline(failed.id)


async def test_a_timeline_that_was_not_kept_is_made_of_the_trace(home: Home) -> None:
    async with room(home) as lab:
        timelines = TimelineService(lab.service)
        profile_id = await ready(lab)
        before = await timelines.get_timeline(profile_id)
        await lab.service.worker.stop()
        for kept in ("columns", "timeline"):
            shutil.rmtree(lab.root / profile_id / kept)
        assert await timelines.get_timeline(profile_id) == before
        await lab.service.delete_profile(profile_id)
        with pytest.raises(NotFound):
            await timelines.get_timeline(profile_id)


def of_rank(rank: int, **changes: object) -> str:
    """The trace of a rank, whose kernels are as many times longer as its number is, and one."""
    events = [
        {**event, "dur": 20 * (rank + 1)} if event.get("cat") == "kernel" else event
        for event in TRACE["traceEvents"]
    ]
    return json.dumps({"traceEvents": events, "distributedInfo": {"rank": rank}, **changes})


async def test_each_rank_of_a_folder_has_its_own_timeline_and_flame_graph(home: Home) -> None:
    folder = home.work / "ranks"
    folder.mkdir()
    for rank in (4, 2):
        (folder / f"worker{rank}.json").write_text(of_rank(rank))
    (folder / "another.json").write_text(json.dumps(TRACE))  # it does not say whose it is
    async with room(home, home.work) as lab:
        timelines = TimelineService(lab.service)
        kept = await lab.kept((await lab.service.open_profile(OpenedFile(path="ranks"))).id)
        assert kept.summary is not None and kept.summary.ranks == [0, 2, 4]
        flames = [await lab.service.profile_flame(kept.id, RankQuery(rank=rank)) for rank in (0, 2, 4)]
        assert [flame.device_us for flame in flames] == [180, 180, 300]
        for rank, kernel_us in ((4, 100), (2, 60)):
            query = RankQuery(rank=rank)
            timeline = await timelines.get_timeline(kept.id, query)
            assert (timeline.rank, [each.rank for each in timeline.ranks]) == (rank, [0, 2, 4])
            device = next(lane for lane in timeline.lanes if lane.device)
            key = TileKey(lane=device.lane, level=10, index=0)
            [tile] = (await timelines.get_timeline_tiles(kept.id, TilesQuery(tiles=[key]), query)).tiles
            assert {dur for _, dur, _, _ in numbers(tile)} == {kernel_us * 1e3}
            found = await timelines.search_timeline(kept.id, SliceSearch(text=KERNEL), query)
            assert found.slice is not None and found.slice.dur_us == kernel_us
            details = await timelines.get_timeline_slice(kept.id, str(found.slice.slice), query)
            assert details.slice == found.slice
            asked = SumsQuery(first_us=0, last_us=1000, lanes=[device.lane])
            sums = await timelines.sum_timeline(kept.id, asked, query)
            assert [each.total_us for each in sums.names] == [3 * kernel_us]
        perfetto = PerfettoService(lab.service)
        for rank in (2, 4):
            cut = await perfetto.cut_trace(kept.id, CutQuery(first_us=0, last_us=100, rank=rank))
            file = await perfetto.cut_file(kept.id, cut.path.rpartition("/")[2])
            assert (cut.whole, file) == (True, folder / f"worker{rank}.json")
        with pytest.raises(NotFound, match="no rank 1"):
            await timelines.get_timeline(kept.id, RankQuery(rank=1))
        assert {each.rank for each in (await timelines.get_timeline(kept.id)).lanes} == {0, 2, 4}
        # The folder is read again where its columns are gone or of another version.
        shutil.rmtree(lab.service.root / kept.id / "ranks")
        again = await timelines.get_timeline(kept.id, RankQuery(rank=4))
        assert [each.rank for each in again.ranks] == [0, 2, 4]
        assert (await lab.service.profile_flame(kept.id, RankQuery(rank=2))).device_us == 180


async def test_ranks_together_are_on_one_clock(home: Home) -> None:
    ahead = [1_000.0, 900_000.0, 2_500.0]
    write_ranks(home.work / "ranks", ahead, jitter_us=4)
    async with room(home, home.work) as lab:
        timelines = TimelineService(lab.service)
        kept = await lab.kept((await lab.service.open_profile(OpenedFile(path="ranks"))).id)
        together = await timelines.get_timeline(kept.id)
        assert (together.rank, together.together) == (None, 3)
        assert [each.placed_by for each in together.ranks] == ["reference", "collectives", "collectives"]
        assert all((each.matched, each.common) == (8, 8) for each in together.ranks[1:])
        assert all(0 < each.spread_us < 10 for each in together.ranks[1:])
        assert len({lane.lane for lane in together.lanes}) == len(together.lanes)
        starts = {}
        for rank in (0, 1, 2):
            query = RankQuery(rank=rank)
            alone = await timelines.get_timeline(kept.id, query)
            place = together.ranks[rank]
            mine = [lane for lane in together.lanes if lane.rank == rank]
            assert [lane.offset_us for lane in mine] == [place.offset_us] * len(alone.lanes)
            assert [lane.label for lane in mine] == [lane.label for lane in alone.lanes]
            for one, other in zip(mine, alone.lanes, strict=True):
                keys = [TileKey(lane=lane.lane, level=16, index=0) for lane in (one, other)]
                [shown] = (await timelines.get_timeline_tiles(kept.id, TilesQuery(tiles=keys[:1]))).tiles
                [own] = (await timelines.get_timeline_tiles(kept.id, TilesQuery(tiles=keys[1:]), query)).tiles
                assert numbers(shown) == numbers(own)
                names = [
                    [timeline.names[each] for each in np.frombuffer(tile.name, "<i4").tolist()]
                    for timeline, tile in ((together, shown), (alone, own))
                ]
                assert names[0] == names[1]
                for number, number_alone in zip(
                    *(np.frombuffer(tile.slice, "<i4").tolist() for tile in (shown, own)), strict=True
                ):
                    details = await timelines.get_timeline_slice(kept.id, str(number))
                    known = await timelines.get_timeline_slice(kept.id, str(number_alone), query)
                    assert (details.slice.slice, details.slice.lane) == (number, one.lane)
                    assert details.slice.start_us == pytest.approx(known.slice.start_us + place.offset_us)
                    assert [each.name for each in details.around] == [each.name for each in known.around]
                    if details.slice.name == ALL_REDUCE:
                        assert details.launched_by is not None and known.launched_by is not None
                        ends = starts.setdefault(rank, [])
                        ends.append(details.slice.start_us + details.slice.dur_us)
        assert np.ptp(np.array([starts[rank] for rank in (0, 1, 2)]), axis=0).max() < 20

        async def find(after: int = -1) -> tuple[int, int]:
            asked = SliceSearch(text="AllReduce", after=after)
            found = await timelines.search_timeline(kept.id, asked)
            assert found.slice is not None
            return found.count, found.slice.slice

        seen, at = set(), -1
        for _ in range(12):
            count, at = await find(at)
            assert count == 12
            seen.add(at)
        assert len(seen) == 12, "the search goes through all ranks"

        streams = [lane.lane for lane in together.lanes if lane.stream == "20"]
        half = SumsQuery(first_us=0, last_us=together.span_us / 2, lanes=streams[:1])
        whole = SumsQuery(first_us=0, last_us=together.span_us, lanes=streams)
        assert (await timelines.sum_timeline(kept.id, half)).slices in (4, 5)
        assert (await timelines.sum_timeline(kept.id, whole)).slices == 24
        with pytest.raises(NotFound):
            await timelines.get_timeline_slice(kept.id, "100000")


def test_many_ranks_are_put_together_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, ranks, count = home.path / "kept", home.work / "ranks", times(72, OPEN_TIMELINES + 2)
    folder.mkdir()
    write_ranks(ranks, [1000.0 * rank for rank in range(count)])
    analyze_into(folder, ranks)
    made: list[int] = []

    class View(views.View):
        def __init__(self, sides: Any) -> None:
            made.append(len(sides))
            super().__init__(sides)

    monkeypatch.setattr(views, "View", View)
    timelines = Timelines()
    place: tuple[str, str, None] = str(folder), str(ranks), None
    shown = timelines.describe(*place)
    assert (len(shown.ranks), shown.together) == (count, count) and MOST_TOGETHER >= count > OPEN_TIMELINES
    assert {lane.rank for lane in shown.lanes} == set(range(count))
    # Each opens more of them than stay open.
    asked = SliceSearch(text="AllReduce")
    assert timelines.search(*place, asked).count == count * 4
    streams = [lane.lane for lane in shown.lanes if lane.stream == "20"]
    keys = [TileKey(lane=lane, level=30, index=0) for lane in streams[:64]]
    assert all(len(tile.slice) for tile in timelines.tiles(*place, keys))
    found = timelines.search(*place, asked).slice
    assert found is not None and timelines.slice(*place, found.slice).collective is not None
    assert [sides for sides in made if sides > 1] == [count]
