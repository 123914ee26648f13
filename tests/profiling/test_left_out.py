"""A folder of traces in which some files are none."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.profiling import analyze, diff
from genops_lab.profiling.engine.reading import files as reading
from genops_lab.profiling.engine.reading.helpers import Processes, Threads
from genops_lab.profiling.memory_timeline.service import MemoryService
from genops_lab.profiling.models import ComparedProfiles, OpenedFile
from tests.support.homes import Home
from tests.support.ncu_reports import kernel, report

from .snapshots import block, segment, snapshot
from .test_service import TRACE, room

ZIPPED = "Left out: worker1.json is not a trace: it is a zip archive."
PAGE = "Left out: worker10.json is not a trace: it is an HTML page."


@pytest.fixture
def ranks(tmp_path: Path) -> Path:
    """Ranks 0, 2 and 3, and two files that are no traces."""
    return filled(tmp_path / "ranks")


def filled(folder: Path) -> Path:
    folder.mkdir()
    for rank in (0, 2, 3):
        (folder / f"worker{rank}.json").write_text(json.dumps({**TRACE, "distributedInfo": {"rank": rank}}))
    (folder / "worker1.json").write_bytes(b"PK\x03\x04 and more")
    (folder / "worker10.json").write_text("<html>")
    return folder


@pytest.fixture(params=[None, Threads, Processes])
def _read_as(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param is not None:
        monkeypatch.setattr(reading, "worth", lambda _size: True)
        monkeypatch.setattr(reading, "helpers", request.param)
        monkeypatch.setattr(reading, "cores", lambda: 2)


@pytest.mark.usefixtures("_read_as")
def test_the_other_ranks_are_read(ranks: Path) -> None:
    (ranks / "worker4.json").write_text('{"no": "trace"}')
    summary = analyze(ranks)
    assert summary.ranks == [0, 2, 3]
    assert [each.busy_us for each in summary.devices] == [20, 20, 20]
    assert summary.damaged == " ".join(
        [ZIPPED, PAGE, "Left out: worker4.json is not a trace: it has no list of events."]
    )


def test_what_nsight_compute_measured_is_no_rank_beside_traces(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.ncu-rep").write_bytes(report([kernel(name)]))
    assert analyze(tmp_path).ranks == [0, 1]
    trace = tmp_path / "t.json"
    trace.write_text(json.dumps(TRACE))
    summary = analyze(tmp_path)
    assert (summary.ranks, summary.measured) == ([0], None)
    assert summary.damaged == " ".join(
        f"Left out: {name}.ncu-rep is a report of Nsight Compute, not a rank of the run of t.json."
        for name in ("a", "b")
    )
    with pytest.raises(InvalidRequest, match=r"a\.ncu-rep .* not a rank of the run of t\.json") as raised:
        analyze([trace, tmp_path / "a.ncu-rep"])
    assert raised.value.hint == "Read the report alone: genops profiles analyze a.ncu-rep"
    with pytest.raises(InvalidRequest, match="not a rank of the run"):
        diff([trace, tmp_path / "a.ncu-rep"], trace)


def test_a_file_that_was_named_is_refused(ranks: Path) -> None:
    good = ranks / "worker0.json"
    for paths in (ranks / "worker1.json", [good, ranks / "worker1.json"], [ranks, ranks / "worker1.json"]):
        with pytest.raises(InvalidRequest, match=r"^worker1\.json is not a trace: it is a zip archive"):
            analyze(paths)
    with pytest.raises(NotFound):
        analyze([ranks, ranks / "none.json"])


@pytest.mark.usefixtures("_read_as")
def test_a_folder_without_any_that_can_be_read_is_refused(ranks: Path) -> None:
    for rank in (0, 2, 3):
        (ranks / f"worker{rank}.json").unlink()
    with pytest.raises(
        InvalidRequest, match=r"^None of the 2 files in .*ranks could be read\. worker1\.json is"
    ):
        analyze(ranks)
    (ranks / "worker10.json").unlink()
    with pytest.raises(InvalidRequest, match=r"^worker1\.json is not a trace") as refused:
        analyze(ranks)
    assert refused.value.hint == "Unpack it, and give a file from it."


def test_many_are_counted(ranks: Path) -> None:
    for number in range(100):
        (ranks / f"page{number}.json").write_text("<html>")
    reason = analyze(ranks).damaged
    assert reason.count("Left out") == 8
    assert reason.endswith(" 94 more files were left out.")


def test_a_snapshot_that_is_none_does_not_cost_the_others(ranks: Path) -> None:
    (ranks / "memory.json").write_text(json.dumps(snapshot([segment(block(0, 512))])))
    (ranks / "bad.json").write_bytes(pickle.dumps({"segments": print}))
    summary = analyze(ranks)
    assert summary.ranks == [0, 2, 3]
    assert summary.memory is not None
    assert "Left out: bad.json " in summary.damaged


def test_folders_are_compared_without_them(ranks: Path) -> None:
    found = diff(ranks, ranks / "worker0.json")
    assert [each.before_us for each in found.kernels] == [60]
    assert f"The trace before could not be read completely. {ZIPPED} {PAGE}" in found.warnings
    with pytest.raises(InvalidRequest, match="is not a trace"):
        diff(ranks / "worker0.json", [ranks / "worker1.json"])


async def test_the_lab_shows_the_ranks_that_can_be_read(home: Home) -> None:
    folder = filled(home.work / "ranks")
    (folder / "memory.json").write_text(json.dumps(snapshot([segment(block(0, 512))])))
    async with room(home, home.work) as lab:
        kept = await lab.kept((await lab.service.open_profile(OpenedFile(path="ranks"))).id)
        assert (kept.state, kept.message) == ("ready", "")
        assert kept.summary is not None
        assert (kept.summary.ranks, kept.summary.damaged) == ([0, 2, 3], f"{ZIPPED} {PAGE}")
        compared = ComparedProfiles(before=kept.id, after=kept.id)
        assert {each.state for each in (await lab.service.difference(compared)).kernels} == {"both"}
        # What was kept of ranks by an older version is read again.
        (lab.root / kept.id / "ranks" / "ranks.json").unlink()
        assert (await lab.service.difference(compared)).kernels[0].after_us == 60
        assert [each.number for each in (await MemoryService(lab.service).get_memory(kept.id)).devices] == [0]
