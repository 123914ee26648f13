"""What a cut costs: a large file goes on behind what has come of it. Both ends are the real ones, in one loop; the
connection between them breaks where the test says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.agent import folders as agent
from genops_lab.agent.channels import Channel
from genops_lab.agent.transfer import PART_BYTES
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.link.route import Route
from genops_lab.kernels.folders.before_start import Folders
from genops_lab.kernels.folders.download import Progress, Report
from genops_lab.kernels.folders.local_folder import place_of
from tests.kernels.fake_host import FakeHost
from tests.kernels.folders.scenes import always, always_pull
from tests.kernels.places import DEADLINE_S

CONTENT = os.urandom(60 * PART_BYTES + 5)
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
            asyncio.ensure_future(self._host.cut())


class Scene:
    def __init__(self, folder: Path) -> None:
        self.host = FakeHost()
        self.host.kernel = self._serve
        self.links = HostConnections(folder, Nobody(), opener=self.host.open)
        self.here = folder / "proj"
        self.here.mkdir()
        self.route = Route(target="gpu", host="gpu")
        self.folders = Folders(self.links)
        memory = self.folders.memories.get("gpu", str(self.here.resolve()))
        self.there = Path(memory.there).expanduser()

    async def _serve(self, channel: Channel) -> None:
        await agent.serve(channel, False)

    def do(self, work: Any) -> Report:
        self.links.submit(self.links.link(self.route).up()).result(DEADLINE_S)
        folder = self.folders.folder(self.route, place_of(str(self.here)))
        report: Report = self.links.submit(work(folder)).result(DEADLINE_S)
        assert report.failed == {} and self.host.opened == 2
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
    progress = Cutting(scene.host, len(CONTENT) // 2)
    report = scene.do(lambda folder: folder.pull(progress, always_pull))
    assert set(report.done) == {"model.bin"} and (scene.here / "model.bin").read_bytes() == CONTENT
    assert progress.travelled == len(CONTENT), "no part came twice"
    assert os.listdir(scene.here) == ["model.bin"]
