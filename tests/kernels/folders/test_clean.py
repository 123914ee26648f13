"""``genops targets free-space`` with a real sshd: what nobody uses goes, what only lies there stays."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genops_lab.agent.environments import WHOLE
from tests.commands.conftest import RunningLab, genops
from tests.kernels.folders.scenes import write
from tests.support.homes import temporary_home
from tests.support.sshd import Sshd

from .desks import Desk, a_world

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def world() -> Iterator[tuple[RunningLab, Sshd]]:
    with a_world() as found:
        yield found


@pytest.fixture
def desk(world: tuple[RunningLab, Sshd], request: pytest.FixtureRequest) -> Iterator[Desk]:
    found = Desk(*world, request.node.name)
    yield found
    shutil.rmtree(found.host.home / "genops", ignore_errors=True)
    shutil.rmtree(environments(found), ignore_errors=True)


def environments(desk: Desk) -> Path:
    return desk.host.home / ".local/share/genops-lab/envs"


def environment(desk: Desk, name: str, age_days: float) -> Path:
    """As a build leaves one."""
    folder = environments(desk) / name
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python").symlink_to(sys.executable)
    (folder / WHOLE).write_text("{}")
    then = time.time() - age_days * 86400
    os.utime(folder / WHOLE, (then, then))
    return folder


def clean(desk: Desk, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = desk.ok("targets", "free-space", "gpu1", *arguments, cwd=desk.lab.home.work)
    return found


def stays(found: dict[str, Any]) -> dict[str, str]:
    return {item["path"]: item["stays"] for item in found["stays"]}


def test_environments_that_nobody_used_for_long_go(desk: Desk) -> None:
    old, new, own = (environment(desk, name, days) for name, days in (("old", 40), ("new", 3), ("own", 40)))
    add = ("targets", "add", "other", "--ssh", desk.host.alias, "--python", str(own / "bin/python"))
    assert desk.genops(*add).code == 0
    assert desk.genops("targets", "disconnect", "gpu1").code == 0, "clean connects by itself"

    would = clean(desk, "--dry-run")
    assert [item["path"] for item in would["removable"]] == [str(old)] and would["removed"] == []
    assert old.exists()
    shown = desk.genops("targets", "free-space", "gpu1", "--dry-run").out
    assert "would be removed" in shown and "40 d" in shown and "it has the interpreter of other" in shown

    done = clean(desk)
    assert [item["path"] for item in done["removed"]] == [str(old)] and not old.exists()
    assert new.exists() and stays(done)[str(own)] == "it has the interpreter of other"
    assert [item["path"] for item in clean(desk, "--older-than", "1")["removed"]] == [str(new)]
    assert clean(desk, "--older-than", "0", "--force")["removed"] == [] and own.exists()
    assert desk.genops("targets", "delete", "other").code == 0
    assert [item["path"] for item in clean(desk)["removed"]] == [str(own)]
    assert "has no environments or folders on this target" in desk.genops("targets", "free-space", "gpu1").out


def test_a_folder_with_results_that_are_only_there_stays(desk: Desk) -> None:
    write(desk.here, {"train.py": "print(1)"})
    desk.ok("push", "--target", "gpu1")
    there = desk.there
    assert stays(clean(desk)) == {str(there): "it was used within this time"}

    (there / "results").mkdir()
    (there / "results/loss.csv").write_text("1,2")
    now = ("--older-than", "0")
    assert stays(clean(desk, *now)) == {str(there): "1 file on the host was not pulled"}
    assert (there / "results/loss.csv").exists()
    assert "genops pull" in desk.genops("targets", "free-space", "gpu1", *now).out
    desk.ok("pull", "--target", "gpu1")
    (there / "mlruns").mkdir()
    assert "mlruns" in stays(clean(desk, *now))[str(there)]
    (there / "mlruns").rmdir()
    (there / "train.py").write_text("print(2)")
    write(desk.here, {"train.py": "print(3)"})
    assert stays(clean(desk, *now)) == {str(there): "1 file on the host was not pulled"}, "a conflict"

    desk.ok("push", "--target", "gpu1", "--ours", "train.py")
    kept = [file for file in there.iterdir() if file.name.startswith("train.theirs") or "there-" in file.name]
    assert kept, "what was replaced there lies beside it"
    assert str(there) in stays(clean(desk, *now))
    desk.ok("pull", "--target", "gpu1")
    assert [item["here"] for item in clean(desk, *now)["removed"]] == [str(desk.here)]
    assert not there.exists() and (desk.here / "results/loss.csv").read_text() == "1,2"
    assert desk.genops("folders", "status").code == 3, "it is on no target any more"
    desk.ok("push", "--target", "gpu1")
    assert (there / "results/loss.csv").read_text() == "1,2", "it is sent anew"


def test_what_this_lab_does_not_know_or_has_no_original_of_needs_force(desk: Desk) -> None:
    write(desk.here, {"train.py": "print(1)"})
    desk.ok("push", "--target", "gpu1")
    there = desk.there
    others = there.parent / "theirs-0123abcd"
    others.mkdir()
    shutil.rmtree(desk.here)
    now = ("--older-than", "0")
    found = stays(clean(desk, *now))
    assert "last copy" in found[str(there)] and "another Lab" in found[str(others)]
    forced = clean(desk, *now, "--force")
    assert {item["path"] for item in forced["removed"]} == {str(there), str(others)}
    assert list(there.parent.iterdir()) == []


def test_a_running_kernels_folder_stays_even_when_forced(desk: Desk) -> None:
    write(desk.here, {"train.py": "print(1)"})
    with desk.kernel() as kernel:
        assert kernel.ok("import os; print(os.getcwd()); os.chdir('/')").strip() == str(desk.there)
        found = stays(clean(desk, "--older-than", "0", "--force"))
        assert found[str(desk.there)].startswith("the kernel ")
        assert kernel.ok(f"print(open('{desk.there}/train.py').read())") == "print(1)\n"
    assert [item["path"] for item in clean(desk, "--older-than", "0")["removed"]] == [str(desk.there)]


def test_what_is_off_is_said(desk: Desk) -> None:
    assert desk.genops("targets", "free-space", "nowhere").code == 3
    assert desk.genops("targets", "free-space", "gpu1", "--older-than", "-1").code == 2
    assert desk.genops("targets", "free-space", "gpu1", "--older-than", "nan").code == 2


def test_without_a_lab_it_works_in_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with Sshd() as host, temporary_home() as home:
        (home.path / ".ssh").mkdir(mode=0o700)
        (home.path / ".ssh" / "config").write_text(f"Include {host.config}\n")
        add = ("targets", "add", "gpu1", "--ssh", host.alias, "--python", sys.executable)
        assert genops(home, *add).code == 0
        copy = host.home / "genops/theirs-0123abcd"
        copy.mkdir(parents=True)
        kept = genops(home, "targets", "free-space", "gpu1", "--older-than", "0", "--json")
        assert kept.code == 0, kept.err
        assert [item["path"] for item in kept.json["stays"]] == [str(copy)]
        forced = genops(home, "targets", "free-space", "gpu1", "--older-than", "0", "--force", "--json")
        assert [item["path"] for item in forced.json["removed"]] == [str(copy)] and not copy.exists()
