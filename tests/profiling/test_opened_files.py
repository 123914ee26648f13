"""Trace files, and folders of them, opened where they lie below the server's folder."""

from __future__ import annotations

import json

import pytest

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.profiling.models import ComparedProfiles, OpenedFile
from genops_lab.profiling.timeline.service import TimelineService
from tests.support.homes import Home

from .test_service import room
from .test_timeline_service import TRACE


async def test_a_file_is_opened_where_it_lies(home: Home) -> None:
    root = home.work
    (root / "traces").mkdir()
    file = root / "traces" / "one trace.json"
    file.write_text(json.dumps(TRACE))
    async with room(home, root) as lab:
        timelines = TimelineService(lab.service)
        opened = await lab.service.open_profile(OpenedFile(path="traces/one trace.json"))
        assert opened.title == "one trace.json"
        if opened.state == "analyzing":
            with pytest.raises(Conflict):
                await timelines.get_timeline(opened.id)
        kept = await lab.kept(opened.id)
        assert kept.state == "ready"
        assert (await timelines.get_timeline(opened.id)).span_us == 290
        assert file.read_text() == json.dumps(TRACE)
        again = await lab.service.open_profile(OpenedFile(path="/traces/one trace.json"))
        assert again == kept

        file.write_text(json.dumps({"traceEvents": TRACE["traceEvents"][:2]}))
        changed = await lab.service.open_profile(OpenedFile(path="traces/one trace.json"))
        assert changed.id != kept.id
        await lab.kept(changed.id)
        await lab.service.delete_profile(kept.id)
        assert file.exists()


async def test_a_folder_is_opened_as_the_traces_of_all_ranks(home: Home) -> None:
    folder = home.work / "ranks"
    folder.mkdir()
    for rank in (0, 1):
        trace = {**TRACE, "distributedInfo": {"rank": rank}}
        (folder / f"worker{rank}.json").write_text(json.dumps(trace))
    async with room(home, home.work) as lab:
        opened = await lab.service.open_profile(OpenedFile(path="ranks"))
        kept = await lab.kept(opened.id)
        assert (kept.title, kept.state) == ("ranks", "ready")
        assert kept.summary is not None
        assert kept.summary.ranks == [0, 1]
        assert await lab.service.open_profile(OpenedFile(path="ranks/")) == kept
        one = await lab.service.open_profile(OpenedFile(path="ranks/worker1.json"))
        await lab.kept(one.id)
        difference = await lab.service.difference(ComparedProfiles(before=one.id, after=kept.id))
        assert {each.state for each in difference.kernels} == {"both"}
        assert difference.kernels[0].after_us == 2 * difference.kernels[0].before_us

        (folder / "worker2.json").write_text(json.dumps({**TRACE, "distributedInfo": {"rank": 2}}))
        changed = await lab.service.open_profile(OpenedFile(path="ranks"))
        assert changed.id != kept.id
        await lab.kept(changed.id)
        (home.work / "empty").mkdir()
        with pytest.raises(NotFound, match="no trace in"):
            await lab.service.open_profile(OpenedFile(path="empty"))


async def test_only_files_below_the_servers_folder_are_opened(home: Home) -> None:
    root = home.work / "served"
    root.mkdir()
    outside = home.work / "trace.json"
    outside.write_text(json.dumps(TRACE))
    (root / "link.json").symlink_to(outside)
    (root / "links").mkdir()
    (root / "links" / "link.json").symlink_to(outside)
    async with room(home, root) as lab:
        for path in ("../trace.json", "link.json", "links", "..", "a/../../trace.json"):
            with pytest.raises(InvalidRequest):
                await lab.service.open_profile(OpenedFile(path=path))
        for path in ("", "missing.json", str(outside)):
            with pytest.raises((NotFound, InvalidRequest)):
                await lab.service.open_profile(OpenedFile(path=path))
        (root / "no trace.json").write_text("{}")
        opened = await lab.service.open_profile(OpenedFile(path="no trace.json"))
        failed = await lab.kept(opened.id)
        assert failed.state == "failed"
        assert "is not a trace" in failed.message
        assert (await lab.service.list_profiles()).items == [failed]


async def test_without_a_server_no_file_is_opened(home: Home) -> None:
    async with room(home) as lab:
        with pytest.raises(InvalidRequest):
            await lab.service.open_profile(OpenedFile(path="trace.json"))
