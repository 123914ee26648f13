"""What was left on a host is listed, measured and removed, and nothing else: real files, processes and kernels."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.agent import environments, removal, storage
from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.state_file import FolderLock

from .building import built, order, run
from .building import environments as environments_in
from .hosts import attached

COPY = "digits-0123abcd"
GONE = {"left": False, "trouble": ""}


@pytest.fixture
def home(agent_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process lives there, as an agent would."""
    monkeypatch.setenv("HOME", str(agent_home))
    monkeypatch.setenv("XDG_DATA_HOME", "")
    monkeypatch.setenv("GENOPS_AGENT_STATE", str(agent_home / "state"))
    return agent_home.resolve()


def environment(home: Path, name: str, mark: str = environments.WHOLE) -> Path:
    folder = home / ".local/share/genops-lab/envs" / name
    (folder / "lib").mkdir(parents=True)
    (folder / mark).write_text("{}")
    (folder / "lib/module.py").write_text("x" * 10_000)
    return folder


def copy(home: Path, name: str = COPY) -> Path:
    folder = home / "genops" / name
    (folder / "results").mkdir(parents=True)
    (folder / "results/loss.csv").write_text("1\n" * 5_000)
    return folder


def listed() -> dict[str, dict[str, Any]]:
    return {item["path"]: item for item in storage.listing()["items"]}


def refused(path: Path | str) -> str:
    with pytest.raises(ChannelReset) as caught:
        removal.remove(str(path))
    return caught.value.code


@pytest.fixture
def sleeper() -> Iterator[Callable[..., None]]:
    begun: list[subprocess.Popen[bytes]] = []

    def begin(*command: str, cwd: Path) -> None:
        process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE)
        begun.append(process)
        assert process.stdout is not None and process.stdout.readline() == b"up\n"

    yield begin
    for process in begun:
        process.kill()
        process.wait()


def test_what_is_ours_is_listed_measured_and_removed(home: Path) -> None:
    outside = home / "precious"
    outside.mkdir()
    (outside / "thesis.txt").write_text("years")
    whole, unfinished = environment(home, "whole"), environment(home, "begun", environments.UNFINISHED)
    folder = copy(home)
    (folder / "elsewhere").symlink_to(outside)
    (folder / "thesis").symlink_to(outside / "thesis.txt")
    (folder / "shut").mkdir()
    (folder / "shut/file").write_text("x")
    (folder / "shut").chmod(0o555)
    os.link(folder / "results/loss.csv", folder / "results/linked.csv")

    assert set(listed()) == {str(whole), str(unfinished), str(folder)}
    found = storage.measured(str(folder))
    assert found["whole"] and found["files"] == 5 and found["unused_s"] < 3600
    assert found["bytes"] < 10_000, "what is linked from elsewhere is not freed"
    os.utime(whole / environments.WHOLE, (1, time.time() - 90 * 86400))
    assert storage.measured(str(whole))["unused_s"] > 89 * 86400
    assert storage.measured(str(whole))["bytes"] >= 10_000

    for path in (whole, unfinished, folder):
        assert removal.remove(str(path)) == GONE
        assert not path.exists()
        assert [each.name for each in path.parent.iterdir() if "removed" in each.name] == []
    assert listed() == {} and (outside / "thesis.txt").read_text() == "years"


def test_nothing_else_is_listed_or_removed(home: Path) -> None:
    outside = home / "precious"
    outside.mkdir()
    (outside / environments.WHOLE).write_text("{}")
    for parent in (copy(home).parent, environment(home, "one").parent):
        (parent / "link-0123abcd").symlink_to(outside)
        (parent / "file-0123abcd").write_text("x")
        (parent / "own").mkdir()
    others = copy(home, "others-0123abcd")
    if os.getuid() == 0:
        os.chown(others, 12345, 12345)
    before = listed()
    assert len(before) == (2 if os.getuid() == 0 else 3)
    for path in [
        home / "genops/link-0123abcd",
        home / "genops/own",
        home / "genops/file-0123abcd",
        f"{home}/genops/{COPY}/../own",
        f"{home}/genops/{COPY}/results",
        home / "genops",
        outside,
        "/etc",
        "",
    ]:
        assert refused(path) == "not_found"
    assert outside.exists() and others.exists() and listed() == before


def test_what_a_process_uses_is_not_removed(home: Path, sleeper: Callable[..., None]) -> None:
    used, named, made = copy(home), copy(home, "named-0123abcd"), environment(home, "made")
    written = copy(home, "written-0123abcd")
    say = "import time; print('up', flush=True); time.sleep(600)"
    (made / "bin").mkdir()
    (made / "bin/python").symlink_to(sys.executable)
    sleeper(sys.executable, "-c", say, cwd=used / "results")
    sleeper(sys.executable, "-c", say, str(named / "results/loss.csv"), cwd=home)
    sleeper(str(made / "bin/python"), "-c", say, cwd=home)
    sleeper(sys.executable, "-c", f"log = open('{written}' + '/log', 'w'); {say}", cwd=home)
    for path in (used, named, made, written):
        assert listed()[str(path)]["used_by"][0]["name"].startswith("python")
        assert refused(path) == "in_use" and path.exists()


def test_a_kernel_keeps_its_folder_also_when_it_left_it(home: Path) -> None:
    folder = copy(home)

    async def test() -> None:
        async with attached(home, HOME=str(home)) as host:
            info = await host.start(cwd=str(folder / "results"))
            kernel = await host.kernel(info["kernel_id"]).welcomed()
            await kernel.done(kernel.execute("import os; os.chdir('/')"))
            [item] = (await host.call("storage.list"))["items"]
            assert item["used_by"] == [{"kernel_id": info["kernel_id"], "notebook": "a.ipynb"}]
            with pytest.raises(ChannelReset, match=info["kernel_id"]):
                await host.call("storage.remove", path=item["path"])
            assert (await host.call("storage.measure", path=item["path"]))["files"] == 1
            await host.call("kernels.stop", kernel_id=info["kernel_id"], grace_s=0)
            assert await host.call("storage.remove", path=item["path"]) == GONE
        assert not folder.exists()

    run(test)


def test_an_environment_that_was_built_is_removed_with_its_log_once_nobody_uses_it(
    home: Path, there: dict[str, str]
) -> None:
    elsewhere = home / "scratch/train"

    async def test() -> None:
        async with attached(home, **there) as host:
            first = await built(host, order())
            second = await built(host, order(folder=str(elsewhere)))
        old = time.time() - 90 * 86400
        os.utime(Path(first["folder"]) / environments.WHOLE, (old, old))
        async with attached(home, python=first["interpreter"], **there) as host:
            found = {item["path"]: item for item in (await host.call("storage.list"))["items"]}
            assert set(found) == {first["folder"], second["folder"]} == {first["folder"], str(elsewhere)}
            measure = await host.call("storage.measure", path=first["folder"])
            assert measure["unused_s"] < 86400, "this connection uses it"
            with pytest.raises(ChannelReset, match="is used by python"):
                await host.call("storage.remove", path=first["folder"])
        async with attached(home, **there) as host:
            for made in (first, second):
                assert await host.call("storage.remove", path=made["folder"]) == GONE
            assert environments_in(home) == []
            assert list((home / "state/builds").iterdir()) == [] and list(elsewhere.parent.iterdir()) == []
            again = await built(host, order())
            assert again["interpreter"] == first["interpreter"] and not again["reused"]

    run(test)


def test_one_that_is_being_built_is_left_alone(home: Path) -> None:
    folder = environment(home, "begun", environments.UNFINISHED)
    lock = FolderLock(environments.work_folder(str(folder)))
    assert lock.take()
    assert listed()[str(folder)]["building"] and refused(folder) == "building"
    lock.release()
    assert not listed()[str(folder)]["building"] and folder.exists()


def test_a_removal_that_was_cut_goes_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, other = copy(home), copy(home, "other-0123abcd")
    with monkeypatch.context() as patch:
        patch.setattr(removal, "_PORTION_S", -1.0)
        assert removal.remove(str(folder))["left"]
    assert set(listed()) == {str(other)}, "it has no name any more"
    assert removal.sweep() == GONE
    assert list(other.parent.iterdir()) == [other]


def test_what_cannot_be_deleted_is_said_and_holds_up_nothing_else(home: Path) -> None:
    deep, other = copy(home, "a-0123abcd"), copy(home)
    below = deep
    for _ in range(storage.MAX_DEPTH + 5):
        below = below / "d"
        below.mkdir()
    assert not storage.measured(str(deep))["whole"]
    found = removal.remove(str(deep))
    assert not found["left"] and "too deep" in found["trouble"]
    assert "too deep" in removal.remove(str(other))["trouble"] and not other.exists()
    assert listed() == {}


def test_more_than_is_looked_at_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy(home)
    (folder / "mlruns").mkdir()
    found = storage.measured(str(folder))
    assert found["whole"] and found["own"] == ["mlruns"]
    monkeypatch.setattr(storage, "_MAX_ENTRIES", 1)
    assert not storage.measured(str(folder))["whole"]


def test_what_is_mounted_in_a_folder_is_not_entered(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Mounting needs rights that tests seldom have: what the mount table says is replaced.
    folder = copy(home)
    point = f"{folder}/with\\040space"
    table = home / "mounts"
    table.write_text(f"disk {point} ext4 rw 0 0\ndisk {folder}er ext4 rw 0 0\n")
    real = removal.mounts_below
    monkeypatch.setattr(removal, "mounts_below", lambda path: real(path, str(table)))
    assert refused(folder) == "in_use" and folder.exists()
