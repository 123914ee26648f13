"""``genops targets build`` and ``genops targets install`` with a running Lab and a real sshd."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environments import index_variables, uv_folder
from tests.support.packages import package_folder
from tests.support.sshd import Sshd
from tests.support.warm import program

from .conftest import RunningLab

DEADLINE_S = 120.0


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package_folder(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module")
def host(lab: RunningLab, packages: Path) -> Iterator[Sshd]:
    """A host with uv and an index, added as the target gpu1. Skips where no index can be reached."""
    uv = uv_folder()
    if uv is None:
        pytest.skip("no package index can be reached")
    links = {name: str(packages) for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS")}
    variables = {
        **index_variables(),
        **links,
        "GOL_GATE": str(packages / "gate"),
        "PATH": f"{uv}:/usr/bin:/bin",
    }
    with Sshd(environment=variables) as found, pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        folder = lab.home.path / ".ssh"
        folder.mkdir(mode=0o700)
        (folder / "config").write_text(f"Include {found.config}\n")
        added = lab.call("targets", "add", "gpu1", "--ssh", found.alias, "--python", sys.executable)
        assert added.code == 0, added.err
        try:
            yield found
        finally:  # the home is the package's
            assert lab.call("targets", "delete", "gpu1", "--force").code == 0
            shutil.rmtree(folder)
            for file in lab.home.work.glob("*.txt"):
                file.unlink()


def environments(host: Sshd) -> list[str]:
    root = host.home / ".local" / "share" / "genops-lab" / "envs"
    return sorted(each.name for each in root.iterdir()) if root.is_dir() else []


def test_an_environment_that_cannot_be_built_is_refused_at_once(lab: RunningLab, host: Sshd) -> None:
    for arguments, code, said in (
        (("build", "gpu1", "--with", "torch"), 2, "requirements file"),
        (("build", "gpu1", "--from", "nothing.txt"), 3, "nothing.txt"),
        (("build", "nobody", "--from", "none"), 3, "nobody"),
        (("install", "gpu1", "torch"), 2, "requirements file"),
    ):
        found = lab.call("targets", *arguments)
        assert (found.code, said in found.err) == (code, True), found.err
    assert environments(host) == []


def test_ctrl_c_cancels_and_leaves_nothing(lab: RunningLab, host: Sshd, packages: Path) -> None:
    (lab.home.work / "slow.txt").write_text("golslow\n")
    command = [*program("genops_lab.commands.main"), "targets", "build", "gpu1", "--from", "slow.txt"]
    with subprocess.Popen(
        command,
        cwd=lab.home.work,
        env=lab.home.environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + DEADLINE_S
        while not (packages / "gate.begun").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        assert len(environments(host)) == 1
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130, err
    assert "slow.txt and ipykernel" in err and "Interrupted." in err
    assert environments(host) == []


def test_an_environment_is_built_from_the_folder_and_tested(lab: RunningLab, host: Sshd) -> None:
    (lab.home.work / "requirements.txt").write_text("goltiny==1.0\n")
    built = lab.call("targets", "build", "gpu1", "--json")
    assert built.code == 0, built.err
    assert "requirements.txt" in built.err and "ipykernel: ok" in built.err
    (name,) = environments(host)
    assert built.json["target"]["python"].endswith(f"/envs/{name}/bin/python")
    assert built.json["report"]["state"] == "ok"
    tested = lab.call("targets", "test", "gpu1")
    assert "optional" in tested.out and "pip install" in tested.out.replace("\n", " ")
