"""Builds that fail: told in words that a person can act on, with nothing left behind."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from genops_lab.agent.build_messages import reason_of, without_passwords
from genops_lab.agent.channels import ChannelReset

from .building import (
    PLAIN,
    Following,
    built,
    environments,
    order,
    run,
)
from .hosts import attached


def environment_with_pip(folder: Path) -> str:
    """The Python of a new environment that has the pip of this one: to install pip takes 3 s of CPU."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120)
    found = importlib.util.find_spec("pip")
    assert found is not None and found.origin is not None
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "pip").symlink_to(Path(found.origin).parent)
    return str(folder / "bin" / "python")


def test_what_cannot_be_installed_is_told_in_pips_own_words(agent_home: Path, there: dict[str, str]) -> None:
    python = environment_with_pip(agent_home / "own")

    async def test() -> None:
        async with attached(agent_home, python=python, **{**there, **PLAIN}) as host:
            following = Following(host, order("goltiny", "no-such-package==3", adds=True))
            end = await following.end()
            assert end["state"] == "failed" and end["hint"]
            assert "No matching distribution found for no-such-package==3" in end["message"]
            assert any("no-such-package" in line for line in following.lines)

    run(test)
    assert subprocess.run([python, "-c", "import goltiny"], capture_output=True).returncode == 1


def test_a_python_that_cannot_make_environments_is_told_what_it_lacks(
    agent_home: Path, there: dict[str, str]
) -> None:
    site = agent_home / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import sys; sys.modules['ensurepip'] = None\n")
    python = agent_home / "python3"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} "$@"\n')
    python.chmod(0o755)

    async def test() -> None:
        async with attached(agent_home, **{**there, **PLAIN}) as host:
            end = await built(host, order(python=str(python)))
            assert end["state"] == "failed" and f"{python} cannot make environments" in end["message"]
            assert "install" in end["hint"] and "uv" in end["hint"]
            nowhere = await built(host, order(python="3.99"))
            assert (nowhere["code"], "3.99" in nowhere["message"]) == ("no_python", True)
            assert environments(agent_home) == []

    run(test)


def test_a_folder_that_cannot_be_written_is_named(agent_home: Path, there: dict[str, str]) -> None:
    async def test() -> None:
        async with attached(agent_home, **there) as host:
            end = await built(host, order(folder="/proc/genops/env"))
            assert end["state"] == "failed" and "/proc/genops" in end["message"] and end["hint"]
            for bad in ("../up", ".hidden", "a b"):
                with pytest.raises(ChannelReset) as refused:
                    await built(host, order(folder=bad) if "/" not in bad else order(folder="..//"))
                assert refused.value.code == "invalid"

    run(test)


def test_a_full_disk_is_told_and_given_back(agent_home: Path, there: dict[str, str]) -> None:
    disk = agent_home / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "none", str(disk)]
    try:
        if subprocess.run(mount, capture_output=True, timeout=60, check=False).returncode:
            pytest.skip("this user may not mount a tmpfs")
    except FileNotFoundError:
        pytest.skip("mount is missing")

    async def test() -> None:
        async with attached(agent_home, **{**there, **PLAIN}) as host:
            end = await built(host, order(folder=str(disk / "env")))
            assert end["state"] == "failed" and "full" in end["message"] and "space" in end["hint"], end
            assert list(disk.iterdir()) == []

    try:
        run(test)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], timeout=60, check=True)


def test_a_password_of_the_hosts_own_index_is_written_nowhere(
    agent_home: Path, there: dict[str, str]
) -> None:
    secret = "s3cret-token"
    index = {
        "PIP_NO_INDEX": "0",
        "PIP_INDEX_URL": f"http://ada:{secret}@127.0.0.1:1/simple",
        "PIP_RETRIES": "1",
    }
    python = environment_with_pip(agent_home / "own")

    async def test() -> None:
        async with attached(agent_home, python=python, **{**there, **PLAIN, **index}) as host:
            following = Following(host, order("unknown-package", adds=True))
            end = await following.end()
            assert end["state"] == "failed" and "cannot reach a package index" in end["message"], end
            assert secret not in json.dumps(end) + json.dumps(following.events)

    run(test)
    for file in agent_home.rglob("*"):
        assert not file.is_file() or secret.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["Collecting x", "ERROR: first", "ERROR: No matching distribution found for x"],
         "No matching distribution found for x"),
        (["error: No solution found when resolving dependencies", "  cause: Because x was not found, we cannot."],
         "No solution found when resolving dependencies: Because x was not found, we cannot."),
        (["  × No solution found when resolving dependencies:", "  ╰─▶ Because x was not found in the package",
          "      registry, your requirements are unsatisfiable."],
         "No solution found when resolving dependencies: Because x was not found in the package registry, your "
         "requirements are unsatisfiable."),
        (["something else"], "something else"),
        ([], ""),
    ],
)  # fmt: skip
def test_the_reason_is_found_in_what_was_said(lines: list[str], reason: str) -> None:
    assert reason_of(lines) == reason


def test_passwords_are_left_out_of_lines() -> None:
    line = "Looking in indexes: https://ada:secret@index.example.org/simple, https://token@b.example.org"
    assert without_passwords(line) == (
        "Looking in indexes: https://****@index.example.org/simple, https://****@b.example.org"
    )
