"""Memory over time through a real store and the profiler's worker process."""

from __future__ import annotations

import json
import pickle
import shutil
import time
from typing import Any

import numpy as np
import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.profiling.memory_timeline.backend import Memories
from genops_lab.profiling.memory_timeline.service import MemoryService
from genops_lab.profiling.models import MemoryMomentQuery, MemoryRange, NewProfile, OpenedFile
from tests.support.homes import Home

from .snapshots import at, block, entry, segment, snapshot
from .test_allocations import memory, operator
from .test_service import Room, room
from .test_truth import TRACES

SNAPSHOT = snapshot(
    [segment(block(1, 500, at(2)))],
    [*(entry("alloc", n, 10 * n, at(n % 20)) for n in range(10, 40)), entry("free_completed", 39, 390)],
)


async def opened(lab: Room, home: Home, found: Any, name: str = "oom.pickle") -> str:
    (home.work / name).write_bytes(found if isinstance(found, bytes) else pickle.dumps(found))
    return (await lab.kept((await lab.service.open_profile(OpenedFile(path=name))).id)).id


async def test_a_snapshot_tells_who_held_the_memory_at_any_moment(home: Home) -> None:
    async with room(home, home.work) as lab:
        service = MemoryService(lab.service)
        profile = await opened(lab, home, SNAPSHOT)
        assert (lab.root / profile / "memory").is_dir(), "the analysis has kept it"
        [device] = (await service.get_memory(profile)).devices
        assert (device.number, device.device, device.moments, device.peak_at) == (0, 0, 31, 29)
        assert np.frombuffer(device.held, "<f8").max() == device.peak
        peak = await service.get_memory_moment(profile, "0", MemoryMomentQuery())
        assert (peak.at, peak.held) == (29, device.peak)
        assert peak == await service.get_memory_moment(profile, "0", MemoryMomentQuery(at=29))
        last = await service.get_memory_moment(profile, "0", MemoryMomentQuery(at=10**6))
        assert (last.at, last.held) == (30, device.peak - 390)
        part = await service.get_memory_stretch(profile, "0", MemoryRange(first=4, last=6))
        assert np.frombuffer(part.at, "<i4").tolist() == [4, 5, 6]
        shown = {band.line for band in part.bands}
        [other, *_] = [each.line for each in peak.lines if each.line not in shown]
        more = await service.get_memory_stretch(profile, "0", MemoryRange(line=other))
        assert [band.line for band in more.bands] == [*(band.line for band in device.bands), other]
        for wrong in ("1", "99"):
            with pytest.raises(NotFound):
                await service.get_memory_moment(profile, wrong, MemoryMomentQuery())
        for wrong in ("x", "-1", "1" * 9):
            with pytest.raises(InvalidRequest):
                await service.get_memory_stretch(profile, wrong, MemoryRange())
        with pytest.raises(InvalidRequest, match="no events from 9 to 3"):
            await service.get_memory_stretch(profile, "0", MemoryRange(first=9, last=3))
        with pytest.raises(NotFound, match="no line 99"):
            await service.get_memory_stretch(profile, "0", MemoryRange(line=99))


async def test_what_an_older_version_has_not_kept_is_made_at_the_first_look(home: Home) -> None:
    async with room(home, home.work) as lab:
        service = MemoryService(lab.service)
        profile = await opened(lab, home, SNAPSHOT)
        before = await service.get_memory(profile)
        shutil.rmtree(lab.root / profile / "memory")
        await lab.service.worker.stop()
        assert await service.get_memory(profile) == before


async def test_a_trace_and_its_ranks(home: Home) -> None:
    async with room(home, home.work) as lab:
        service = MemoryService(lab.service)
        events = [operator("aten::mm", 0, 50), memory(5, 100, 1), memory(9, 60, 2), memory(30, -100, 1)]
        text = json.dumps({"traceEvents": events, "distributedInfo": {"rank": 0}})
        added = await lab.service.add_profile(
            NewProfile(trace_path=str(lab.write("t.json", text)), title="t")
        )
        await lab.kept(added.id)
        [device] = (await service.get_memory(added.id)).devices
        assert (device.by_time, device.rank, device.peak) == (True, 0, 160)
        answer = await service.get_memory_moment(added.id, "0", MemoryMomentQuery(us=29.5))
        assert (answer.at, answer.us, answer.held) == (1, 9, 160)
        assert [each.site.name for each in answer.lines] == ["aten::mm"]
        folder = home.work / "ranks"
        folder.mkdir()
        for rank in (0, 1):
            (folder / f"rank{rank}.json").write_text(text.replace('"rank": 0', f'"rank": {rank}'))
        both = await lab.kept((await lab.service.open_profile(OpenedFile(path="ranks"))).id)
        assert [(each.number, each.rank) for each in (await service.get_memory(both.id)).devices] == [
            (0, 0),
            (1, 1),
        ]
        assert both.summary is not None and both.summary.memory is not None
        assert [each.rank for each in both.summary.memory.devices] == [0, 1]


async def test_a_trace_that_says_nothing_of_memory(home: Home) -> None:
    async with room(home) as lab:
        added = await lab.service.add_profile(NewProfile(trace_path=str(lab.write("t.json")), title="t"))
        await lab.kept(added.id)
        assert (await MemoryService(lab.service).get_memory(added.id)).devices == []


@pytest.mark.skipif(not TRACES.is_dir(), reason="the real snapshots in ../shared/traces are not here")
async def test_an_answer_for_a_moment_takes_little(home: Home) -> None:
    async with room(home, home.work) as lab:
        found = (TRACES / "memory" / "forward.pickle").read_bytes()
        profile = await opened(lab, home, found)
        place = await lab.service.place(profile)
        backend = Memories()
        [device] = backend.describe(*place).devices
        began = time.process_time()
        for moment in range(0, device.moments, device.moments // 20):
            backend.moment(*place, 0, MemoryMomentQuery(at=moment))
        assert (time.process_time() - began) / 20 < 0.1, "seconds of CPU"
