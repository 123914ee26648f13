"""A host that lies about its files: nothing leaves the folder, nothing grows without end, and it is said."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.agent.channels import Channel
from genops_lab.agent.transfer import DOCUMENT, HEADER, TransferReader, data, document, outgoing
from genops_lab.core.errors import GenOpsError
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.questions import Nobody
from genops_lab.hosts.providers import route_of
from genops_lab.kernels.folders import channel as talk
from genops_lab.kernels.folders.before_start import Folders
from genops_lab.kernels.folders.download import Progress, Report
from genops_lab.kernels.folders.local_folder import place_of
from genops_lab.kernels.folders.transfer import Folder
from tests.kernels.fake_host import FakeHost
from tests.kernels.folders.scenes import always, always_pull, write
from tests.kernels.places import DEADLINE_S

END = document({"end": "list", "whole": True, "links": [], "free": 1})


class Scene:
    """``lists`` is what the host answers for ``list``; ``gets`` for each ``get``."""

    def __init__(self, folder: Path) -> None:
        self.host = FakeHost()
        self.links = HostConnections(folder, Nobody(), opener=self.host.open)
        self.host.kernel = self._serve
        self.lists: list[bytes] = [END]
        self.gets: Callable[[dict[str, Any]], list[bytes]] = lambda body: []
        self.done: list[bytes] = [document({"end": "done"})]
        self.here = folder / "proj"
        self.here.mkdir()
        self.outside = folder / "outside"
        self.outside.mkdir()
        self.route = route_of(target="gpu", host="gpu")

    async def _serve(self, channel: Channel) -> None:
        channel.write(document({"root": "/there", "running": False}))
        reader = TransferReader()
        while portion := await channel.read():
            for kind, payload in reader.feed(portion):
                if kind != DOCUMENT:
                    continue
                body = json.loads(payload)
                answers = {
                    "list": lambda _: self.lists,
                    "get": self.gets,
                    "look": lambda _: [document({"end": "look"})],
                    "done": lambda _: self.done,
                }.get(body.get("op"))  # a part's has none
                for answer in answers(body) if answers else []:
                    channel.write(answer)
                    await channel.drain()

    def _do(self, work: Callable[[Folder], Any]) -> Report:
        link = self.links.link(self.route)
        self.links.submit(link.up()).result(DEADLINE_S)
        folder = Folders(self.links).folder(self.route, place_of(str(self.here)))
        report: Report = self.links.submit(work(folder)).result(DEADLINE_S)
        return report

    def pull(self) -> Report:
        return self._do(lambda folder: folder.pull(Progress(), always_pull))

    def push(self) -> Report:
        return self._do(lambda folder: folder.push(Progress(), always))

    def everything(self) -> list[str]:
        return sorted(str(path.relative_to(self.here)) for path in self.here.rglob("*"))


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    found = Scene(tmp_path)
    yield found
    found.links.close()


def files(*entries: list[Any]) -> bytes:
    return document({"files": list(entries)})


def whole(content: bytes) -> Callable[[dict[str, Any]], list[bytes]]:
    return lambda body: list(outgoing(io.BytesIO(content), len(content)))


EVIL = [
    "../outside/x", "/etc/cron.d/x", "a/../../outside/x", "", ".", "..", "a//b", "a/./b", "x\0y", "\ud800", "a/",
    ".git/hooks/pre-commit", "sub/.git/config", ".GIT/config", ".genops-part-1", "a" * 5000, "/".join("d" * 100),
    ".env", "linked/x", 7, None, ["a"],
]  # fmt: skip


@pytest.mark.parametrize("path", EVIL, ids=lambda path: repr(path)[:30])
def test_paths_that_lead_elsewhere_are_not_taken(scene: Scene, path: Any) -> None:
    (scene.here / "linked").symlink_to(scene.outside)
    scene.lists = [files([path, 1, 1, 0o644], ["ok", 1, 1, 0o4777]), END]
    scene.gets = whole(b"x")
    report = scene.pull()
    assert set(report.done) == {"ok"} and scene.everything() == ["linked", "ok"]
    assert list(scene.outside.iterdir()) == [] and (scene.here / "ok").stat().st_mode & 0o7000 == 0


def test_a_link_that_is_put_in_the_way_meanwhile_is_not_followed(scene: Scene) -> None:
    scene.lists = [files(["sub/x", 1, 1, 0o644]), END]

    def get(body: dict[str, Any]) -> list[bytes]:
        (scene.here / "sub").symlink_to(scene.outside)
        return whole(b"x")(body)

    scene.gets = get
    assert set(scene.pull().failed) == {"sub/x"} and list(scene.outside.iterdir()) == []


def test_a_file_that_is_edited_meanwhile_is_not_overwritten(scene: Scene) -> None:
    scene.lists = [files(["x", 1, 1, 0o644]), END]

    def get(body: dict[str, Any]) -> list[bytes]:
        (scene.here / "x").write_text("mine")
        return whole(b"x")(body)

    scene.gets = get
    assert scene.pull().failed == {"x": "It was changed on this machine meanwhile."}
    assert scene.everything() == ["x"] and (scene.here / "x").read_text() == "mine"


NONSENSE: dict[str, Callable[[dict[str, Any]], list[bytes]]] = {
    "a file without end": lambda body: [*[data(b"x" * 1000)] * 50],
    "another answer": lambda body: [document({"file": "other"}), data(b"x")],
    "a part of another hash": lambda body: [data(b"x" * 10), document({"to": 10, "sha256": "0" * 64})],
    "empty parts for ever": lambda body: [document({"to": 0, "sha256": hashlib.sha256().hexdigest()})] * 50,
    "empty pieces for ever": lambda body: [data(b"")] * 50,
    "no parcel": lambda body: [b"\xff" * 50],
    "a parcel too large": lambda body: [HEADER.pack(2, 1 << 30)],
    "no document": lambda body: [HEADER.pack(1, 3) + b"[1]"],
    "half a document amid a file": lambda body: [data(b"x"), HEADER.pack(1, 1) + b"{"],
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_ends_it_and_leaves_nothing(scene: Scene, name: str) -> None:
    scene.lists = [files(["x", 10, 1, 0o644]), END]
    scene.gets = NONSENSE[name]
    with pytest.raises(GenOpsError, match="sent an invalid answer about the folder"):
        scene.pull()
    assert scene.everything() == []


def test_a_list_without_end_is_cut_off(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "MAX_LISTED", 1000)
    scene.lists = [files(*([f"{part}-{n}", 1, 1, 0o644] for n in range(200))) for part in range(10)]
    with pytest.raises(GenOpsError, match="more files than were requested"):
        scene.pull()


@pytest.mark.parametrize("size", [-1, 1 << 60, "1", 1.5, True, None])
def test_sizes_that_are_none(scene: Scene, size: Any) -> None:
    scene.lists = [files(["x", size, 1, 0o644]), END]
    assert scene.pull().done == {} and scene.everything() == []


def test_more_than_the_disk_holds_is_not_begun(scene: Scene) -> None:
    scene.lists = [files(["x", 1 << 49, 1, 0o644]), END]
    with pytest.raises(GenOpsError, match="The files have"):
        scene.pull()


def test_a_host_cannot_have_files_here_deleted_or_forgotten(scene: Scene) -> None:
    write(scene.here, {"a": "a"})
    scene.done = [
        document({"did": [["a", 1, 1, ""], ["../x", 0, 0, ""], ["other", 0, 0, ""], "?"]}),
        *scene.done,
    ]
    assert set(scene.push().done) == {"a"}
    scene.lists = [END]
    scene.pull()
    assert scene.everything() == ["a"]


def test_words_of_a_host_are_text(scene: Scene) -> None:
    write(scene.here, {"a": "a"})
    scene.done = [document({"did": [["a", -1, -1, "\ud800" + "y" * 9999]]}), *scene.done]
    why = scene.push().failed["a"]
    assert len(why) < 500 and why.encode()
