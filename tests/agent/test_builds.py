"""Environments that the agent builds: real venv and pip, packages that need no index; cut, cancelled and killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from genops_lab.agent.channels import ChannelReset
from tests.support.environments import index_variables, uv_folder
from tests.support.processes import runs

from .building import (
    PATH,
    PLAIN,
    SOURCE,
    Following,
    built,
    environments,
    let_through,
    order,
    printed,
    run,
    until,
)
from .hosts import attached


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_an_environment_is_built_from_requirements(
    agent_home: Path, there: dict[str, str], tool: str
) -> None:
    if tool == "uv" and there["PATH"] == PATH:
        pytest.skip("uv cannot be fetched here")

    async def test() -> tuple[Following, dict[str, Any]]:
        async with attached(agent_home, **{**there, **(PLAIN if tool == "pip" else {})}) as host:
            following = Following(host, order("goltiny", source=SOURCE, project="my project"))
            return following, await following.end()

    following, end = asyncio.run(asyncio.wait_for(test(), 170))
    assert (end["state"], end["reused"], end["tool"]) == ("done", False, tool), end
    folder = Path(end["folder"])
    assert environments(agent_home) == [folder] and folder.name.startswith("my-project-")
    assert printed(end["interpreter"], "import goltiny; print(goltiny.version)") == "1.0"
    steps = [event for event in following.events if "step" in event]
    assert [step["share"] for step in steps] == sorted({step["share"] for step in steps})
    assert any("requirements.txt" in step["step"] for step in steps)
    assert any("goltiny" in line for line in following.lines)
    assert not list((agent_home / "state").rglob("requirements.txt")), "the project's files are gone"


def test_the_same_is_built_once_and_nothing_else_is_touched(agent_home: Path, there: dict[str, str]) -> None:
    async def test() -> tuple[dict[str, Any], ...]:
        async with attached(agent_home, **there) as host:
            ordered = order("goltiny", source=SOURCE)
            first = await built(host, ordered)
            again = await built(host, {**ordered, "id": "another"})
            other = await built(host, order("goltiny"))
            for folder in (Path(first["folder"]).name, str(agent_home / "packages")):
                build = await built(host, order("goltiny", folder=folder))
                assert (build["state"], build["code"]) == ("failed", "exists")
            return first, again, other

    first, again, other = asyncio.run(asyncio.wait_for(test(), 170))
    assert (again["reused"], again["interpreter"]) == (True, first["interpreter"])
    assert other["folder"] != first["folder"] and len(environments(agent_home)) == 2
    assert (agent_home / "packages" / "golslow-1.0.tar.gz").exists() and Path(first["interpreter"]).exists()


def test_lock_files_are_followed_also_where_the_host_has_no_uv(agent_home: Path) -> None:
    uv = uv_folder()
    if uv is None:
        pytest.skip("no package index can be reached")
    project = agent_home / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "mine"\nversion = "1"\nrequires-python = ">=3.10"\ndependencies = ["six==1.16.0"]\n'
    )
    variables = {"HOME": str(agent_home), **index_variables(), **PLAIN, "XDG_DATA_HOME": ""}
    for arguments in (["lock"], ["export", "--format", "pylock.toml", "-o", "pylock.toml"]):
        command = [uv / "uv", *arguments, "-q", "--python", sys.executable]
        subprocess.run(command, cwd=project, env=variables, check=True, timeout=120)
    texts = {name: (project / name).read_text() for name in ("uv.lock", "pyproject.toml", "pylock.toml")}

    async def test() -> list[dict[str, Any]]:
        ends = []
        for kind, main, path in (("uv", "uv.lock", PATH), ("pylock", "pylock.toml", f"{uv}:{PATH}")):
            async with attached(agent_home, **{**variables, "PATH": path}) as host:
                source = {"kind": kind, "main": main, "files": texts}
                ends.append(await built(host, order("iniconfig", source=source, python=sys.executable)))
        return ends

    for end in asyncio.run(asyncio.wait_for(test(), 170)):
        assert (end["state"], end["tool"]) == ("done", "uv"), end
        assert printed(end["interpreter"], "import six, iniconfig; print(six.__version__)") == "1.16.0"
    assert not list((agent_home / "state").rglob("tools")), "what was fetched for it is gone"


def test_cancelling_leaves_nothing(agent_home: Path, there: dict[str, str]) -> None:
    async def test() -> None:
        begun = Path(there["GOL_GATE"]).with_suffix(".begun")
        async with attached(agent_home, **there) as host:
            ordered = order("golslow", folder="mine")
            following = Following(host, ordered)
            await until(begun.exists)
            assert [folder.name for folder in environments(agent_home)] == ["mine"]
            assert await host.call("builds.cancel", id=ordered["id"]) == {"cancelled": True}
            assert (await following.end())["state"] == "cancelled"
            assert environments(agent_home) == []
            await until(lambda: not runs(int(begun.read_text())))
            assert await host.call("builds.cancel", id=ordered["id"]) == {"cancelled": False}
            let_through(there)
            assert (await built(host, order("golslow", folder="mine")))["state"] == "done"

    run(test)


def test_a_cut_connection_does_not_end_it(agent_home: Path, there: dict[str, str]) -> None:
    async def test() -> None:
        ordered = order("golslow")
        async with attached(agent_home, **there) as host:
            first = Following(host, ordered)
            await first.until(lambda line: "golslow" in str(line.get("progress", {}).get("line")))
            await until(Path(there["GOL_GATE"]).with_suffix(".begun").exists)
            at = first.events[-1]["at"]
        async with attached(agent_home, **there) as host:
            second = Following(host, ordered, after=at)
            let_through(there)
            assert (await second.end())["state"] == "done"
            whole = Following(host, ordered)
            await whole.end()
            assert whole.events == first.events + second.events, "each once, in order"

    run(test)


def test_one_that_was_killed_is_found_out_and_cleaned_up(agent_home: Path, there: dict[str, str]) -> None:
    async def test() -> None:
        gate = Path(there["GOL_GATE"])
        async with attached(agent_home, **there) as host:
            following = Following(host, order("golslow", folder="mine"))
            await until(gate.with_suffix(".begun").exists)
            (state,) = (agent_home / "state" / "builds").glob("*/build.json")
            os.kill(json.loads(state.read_text())["pid"], signal.SIGKILL)
            end = await following.end()
            assert (end["state"], end["code"]) == ("failed", "gone") and "killed" in end["message"]
            assert environments(agent_home) == []
            await until(lambda: not runs(int(gate.with_suffix(".begun").read_text())))
            let_through(there)
            assert (await built(host, order("golslow", folder="mine")))["state"] == "done"

    run(test)


def test_a_second_one_of_the_same_name_is_refused_unless_it_is_the_same(
    agent_home: Path, there: dict[str, str]
) -> None:
    async def test() -> None:
        async with attached(agent_home, **there) as host, attached(agent_home, **there) as other:
            first = Following(host, order("golslow", folder="mine"))
            await until(Path(there["GOL_GATE"]).with_suffix(".begun").exists)
            with pytest.raises(ChannelReset, match="Another build at") as refused:
                await built(other, order("goltiny", folder="mine"))
            assert refused.value.code == "building" and refused.value.hint
            joined = Following(other, order("golslow", folder="mine"))
            await joined.until(lambda line: "golslow" in str(line.get("progress", {}).get("line")))
            let_through(there)
            ends = await asyncio.gather(first.end(), joined.end())
            assert ends[0] == ends[1] and ends[0]["state"] == "done"

    run(test)


def test_something_is_added_to_the_environment_of_the_agent(agent_home: Path, there: dict[str, str]) -> None:
    pip = ["--without-pip"] if there["PATH"] != PATH else []
    subprocess.run([sys.executable, "-m", "venv", *pip, str(agent_home / "own")], check=True, timeout=120)
    python = str(agent_home / "own" / "bin" / "python")

    async def test() -> None:
        async with attached(agent_home, python=python, **there) as host:
            probe = await host.call("probe")
            assert probe["mlflow"] == "" and probe["environment"]["fixed"] == ""
            assert (await built(host, order("goltiny", adds=True)))["interpreter"] == python
            assert (await host.call("probe"))["environment"]["prefix"] == str(agent_home / "own")
            failed = await built(host, order("golasker", adds=True))
            assert failed["state"] == "failed" and "nowhere" in failed["message"]
            with pytest.raises(ChannelReset):
                await built(host, order("--target=/tmp", adds=True))

    run(test)
    assert printed(python, "import goltiny; print(goltiny.version)") == "2.0"
