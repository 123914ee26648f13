"""What a cut costs: a large file goes on behind what has come of it. Both ends are the real ones, in one loop; the
connection between them breaks where the test says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Set
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest

from genops_lab.agent import folders as agent
from genops_lab.agent.channels import Channel
from genops_lab.agent.transfer import PART_BYTES
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.providers import route_of
from genops_lab.kernels.folders.before_start import Folders
from genops_lab.kernels.folders.download import Progress, Report
from genops_lab.kernels.folders.local_folder import place_of
from tests.kernels.fake_host import FakeHost
from tests.kernels.folders.scenes import always, always_pull
from tests.kernels.places import DEADLINE_S
from tests.support.rooms import eventually

CONTENT = os.urandom(60 * PART_BYTES + 5)
CUT_AT = len(CONTENT) * 3 // 4
#: What may be on its way when the connection breaks: windows and buffers of both ends.
ON_ITS_WAY = 12 * PART_BYTES


class Cutting(Progress):
    """Breaks the connection once after ``at`` bytes; ``travelled`` counts all."""

    travelled = 0

    def __init__(self, host: FakeHost, at: int) -> None:
        super().__init__()
        self._host, self._at = host, at

    def came(self, count: int) -> None:
        super().came(count)
        self.travelled += count
        if self.travelled >= self._at:
            self._at = 1 << 60
            self.cutting = asyncio.ensure_future(self._host.cut())


class Scene:
    def __init__(self, folder: Path) -> None:
        self.host = FakeHost()
        self.host.kernel = self._serve
        self.links = HostConnections(folder, Nobody(), opener=self.host.open)
        self.here = folder / "proj"
        self.here.mkdir()
        self.route = route_of("gpu", "ssh", host="gpu")
        self.folders = Folders(self.links)
        memory = self.folders.memories.get("gpu", str(self.here.resolve()))
        self.there = Path(memory.there).expanduser()

    async def _serve(self, channel: Channel) -> None:
        await agent.serve(channel, False)

    def do(self, work: Any, failed: Set[str] = frozenset()) -> Report:
        self.links.submit(self.links.link(self.route).up()).result(DEADLINE_S)
        folder = self.folders.folder(self.route, place_of(str(self.here)))
        report: Report = self.links.submit(work(folder)).result(DEADLINE_S)
        assert report.failed.keys() == failed and self.host.opened == 2
        return report


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = Scene(tmp_path)
    yield found
    found.links.close()


def test_a_pull_goes_on_within_a_file(scene: Scene) -> None:
    scene.there.mkdir(parents=True)
    (scene.there / "model.bin").write_bytes(CONTENT)
    progress = Cutting(scene.host, CUT_AT)
    report = scene.do(lambda folder: folder.pull(progress, always_pull))
    assert set(report.done) == {"model.bin"} and (scene.here / "model.bin").read_bytes() == CONTENT
    assert progress.travelled == len(CONTENT), "no part came twice"
    assert os.listdir(scene.here) == ["model.bin"]


def test_a_push_goes_on_within_a_file(scene: Scene) -> None:
    (scene.here / "model.bin").write_bytes(CONTENT)
    progress = Cutting(scene.host, CUT_AT)
    report = scene.do(lambda folder: folder.push(progress, always))
    assert set(report.done) == {"model.bin"} and (scene.there / "model.bin").read_bytes() == CONTENT
    assert len(CONTENT) < progress.travelled < len(CONTENT) + ON_ITS_WAY
    assert os.listdir(scene.there) == ["model.bin"]


def test_what_is_there_of_another_file_is_not_gone_on_with(scene: Scene) -> None:
    """Neither its length nor its time tells."""
    mine = scene.here / "model.bin"
    mine.write_bytes(CONTENT)
    os.utime(mine, (1, 1))

    class Exchanging(Cutting):
        def came(self, count: int) -> None:
            if self.travelled < CUT_AT <= self.travelled + count:
                mine.write_bytes(b"x" + CONTENT[1:])
                os.utime(mine, (1, 1))
            super().came(count)

    progress = Exchanging(scene.host, CUT_AT)
    scene.do(lambda folder: folder.push(progress, always))
    assert (scene.there / "model.bin").read_bytes() == b"x" + CONTENT[1:]
    assert progress.travelled > len(CONTENT) * 3 // 2


def test_what_is_gone_or_out_of_date_is_not_waited_for(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier connection left goes between the look at it and the file: it is said, and the rest arrives."""
    (scene.here / "model.bin").write_bytes(CONTENT)
    (scene.here / "small").write_bytes(b"x")
    real = agent.Session._put

    def put(session: agent.Session, body: dict[str, Any]) -> None:
        for left in scene.there.glob(".genops-part-*") if body.get("from") else []:
            left.unlink()
        real(session, body)

    monkeypatch.setattr(agent.Session, "_put", put)
    progress = Cutting(scene.host, CUT_AT)
    report = scene.do(lambda folder: folder.push(progress, always), failed={"model.bin"})
    assert "No such file" in report.failed["model.bin"] and "small" in report.done
    assert os.listdir(scene.there) == ["small"]
    assert scene.do(lambda folder: folder.push(Progress(), always)).done.keys() == {"model.bin"}
    assert (scene.there / "model.bin").read_bytes() == CONTENT


def test_a_cancelled_push_leaves_nothing(scene: Scene) -> None:
    (scene.here / "model.bin").write_bytes(CONTENT)

    class Cancelling(Progress):
        def came(self, count: int) -> None:
            super().came(count)
            if self.done > CUT_AT:
                task = asyncio.current_task()
                assert task is not None
                task.cancel()

    with pytest.raises(CancelledError):
        scene.do(lambda folder: folder.push(Cancelling(), always))
    eventually(lambda: os.listdir(scene.there), lambda names: names == [])
