"""Whether kernels outlive a login, by what systems say. There is no systemd to ask in most test machines: what would
be asked is answered by a stand-in, and the command line that would run is recorded, not run."""

from __future__ import annotations

import getpass
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from genops_lab.agent import survival


class System:
    """A root of files, and answers to commands."""

    def __init__(self, root: Path, *, systemd: bool = True, kills: str = "", lingers: bool = False) -> None:
        self.root = root
        self.asked: list[list[str]] = []
        self.kills = kills
        self.may_linger = False
        self._write("proc/self/cgroup", "0::/user.slice/user-1000.slice/session-1.scope\n")
        if systemd:
            (root / "run/systemd/system").mkdir(parents=True)
            self._write(f"run/user/{os.getuid()}/systemd/private", "")
        if lingers:
            self._write(f"var/lib/systemd/linger/{getpass.getuser()}", "")

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, command: Sequence[str]) -> tuple[int, str]:
        self.asked.append(list(command))
        if command[0] == "busctl":
            return (0, f"b {self.kills}") if self.kills else (1, "")
        if command[0] == "loginctl":
            return (0 if self.may_linger else 1), ""
        return -1, ""

    def look(self, *, prepare: bool = False) -> survival.Survival:
        return survival.look(self.run, str(self.root), prepare=prepare)


@pytest.fixture(autouse=True)
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``systemd-run`` that records how it was called and runs what it was given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    path = folder / "systemd-run"
    path.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"json.dump(sys.argv[1:], open({str(tmp_path / 'called.json')!r}, 'w'))\n"
        "rest = sys.argv[sys.argv.index('--') + 1:]\nos.execvp(rest[0], rest)\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return path


def test_without_systemd_nothing_ends_processes(tmp_path: Path) -> None:
    found = System(tmp_path / "root", systemd=False).look()
    assert (found.survives, found.through_systemd) == ("yes", False)


def test_a_user_that_lingers_gets_units(tmp_path: Path) -> None:
    found = System(tmp_path / "root", kills="true", lingers=True).look()
    assert (found.survives, found.through_systemd) == ("yes", True)


def test_lingering_is_asked_for_by_a_kernel_and_by_nothing_else(tmp_path: Path) -> None:
    system = System(tmp_path / "root", kills="true")
    assert system.look().survives == "unknown"
    assert [command[0] for command in system.asked] == ["busctl"]
    found = system.look(prepare=True)
    assert (found.survives, found.through_systemd) == ("no", False) and "enable-linger" in found.reason
    assert system.asked[-1] == ["loginctl", "--no-ask-password", "enable-linger"]
    system.may_linger = True
    assert system.look(prepare=True).through_systemd


def test_a_systemd_that_leaves_processes_alone_is_not_troubled(tmp_path: Path) -> None:
    system = System(tmp_path / "root", kills="false")
    found = system.look()
    assert (found.survives, found.through_systemd) == ("yes", False)
    assert [command[0] for command in system.asked] == ["busctl"]


def test_what_cannot_be_seen_is_not_claimed(tmp_path: Path) -> None:
    assert System(tmp_path / "root").look().survives == "unknown"


def test_a_slurm_job_ends_what_runs_in_it(tmp_path: Path) -> None:
    system = System(tmp_path / "root", kills="false")
    system._write("proc/self/cgroup", "0::/system.slice/slurmstepd.scope/job_42/step_extern\n")
    found = system.look()
    assert found.survives == "no" and "Slurm" in found.reason


def test_a_slurm_job_without_a_control_group_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    found = System(tmp_path / "root", kills="false").look()
    assert found.survives == "no" and not found.through_systemd


def test_a_unit_gets_the_streams_and_no_secret(tmp_path: Path) -> None:
    import json

    command = survival.in_own_unit([sys.executable, "-c", "print(input())"], "genops-kernel-abc")
    done = subprocess.run(command, input=b"the order\n", capture_output=True, timeout=60, check=True)
    assert done.stdout == b"the order\n"
    called = json.loads((tmp_path / "called.json").read_text())
    assert called[:4] == ["--user", "--quiet", "--collect", "--pipe"]
    assert "--unit=genops-kernel-abc" in called
    assert "the order" not in " ".join(called)


def test_this_machine_is_looked_at_without_harm() -> None:
    found = survival.look()
    assert found.survives in ("yes", "no", "unknown") and found.reason
