"""What an older GenOps Lab left is gone on with by this one."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from genops_lab.kernels.client.client import Keys
from tests.agent.hosts import attached
from tests.kernels.outputs.notebooks import cells_of, text_of
from tests.kernels.outputs.pages import Page, eventually
from tests.support.environments import older_wheel, thin_environment
from tests.support.homes import Home, temporary_home
from tests.support.lab_server import LabServer, start_lab
from tests.support.mlflow_file import kept_run
from tests.sweeps.conftest import Sweeper

from .older import (
    AGENT_STATE,
    COMMITS,
    COUNTED,
    COUNTING,
    GO,
    NOTEBOOK,
    TARGET,
    fixture,
    killed,
    lived_in,
    opened,
    unpack,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

#: A cell of a kernel that began before the upgrade, and a script whose kernel side is of before it.
TRACKED_AFTERWARDS = "%%track --name afterwards --experiment after --no-system --no-source\nrate = 0.25"
SCRIPT = """from genops_lab.kernel import api
with api.run("script", "after", system_metrics=False, source=False):
    api.log({"loss": 0.5}, step=0)
"""


@dataclass(frozen=True)
class Older:
    """A home that an older Lab left, and what was made there."""

    home: Home
    made: dict[str, Any]


def went_on(home: Home, server: LabServer, made: dict[str, Any]) -> None:
    """The store, the runs, the profiles, the target and the sweep of before are there and go on."""
    assert server.get("genops/status")["notices"] == []
    (run,) = server.get("genops/runs?experiment=before")["runs"]
    assert (run["name"], run["status"], run["params"]) == ("older", "FINISHED", {"rate": "0.5"})
    (loss,) = server.get(f"genops/runs/{run['run_id']}/metrics")["series"]
    assert loss["steps"] == list(range(50))
    assert (kept_run(home, "older").artifacts / "note.txt").read_text() == "kept"
    assert [each["name"] for each in server.get("genops/targets")] == [TARGET]
    assert [each["id"] for each in server.get("genops/profiles")] == made["profiles"]
    for profile_id in made["profiles"]:
        profile = server.get(f"genops/profiles/{profile_id}")
        assert (profile["state"], profile["title"], profile["summary"]["events"]) == ("ready", "before", 10)
    (home.work / GO).touch()
    sweeper = Sweeper(home, server)
    done = sweeper.ended({"id": made["sweep"]})
    assert [(each["state"], each["value"]) for each in done["trials"]] == [
        ("finished", 1),
        ("finished", 2),
        ("finished", 3),
    ], done
    assert [each.status for each in sweeper.runs(done)] == ["FINISHED"] * 3


def counted(home: Home) -> None:
    """The cell on the target has each line once, in order."""
    eventually(lambda: text_of(cells_of(home.work / NOTEBOOK)[0]), lambda found: found == COUNTED)


@pytest.fixture(scope="module", params=COMMITS)
def older(request: pytest.FixtureRequest) -> Iterator[Older]:
    """A home that an older Lab left. The kernel of its notebook runs, under the agent of then."""
    with temporary_home() as home:
        made = unpack(home, request.param)
        kernel_id, _session, client = remembered(home)
        asyncio.run(asyncio.wait_for(counting(home, kernel_id, client), 120))
        yield Older(home, made)


def remembered(home: Home) -> tuple[str, str, str]:
    """Of the kernel on the target: its id, its session's, and the name under which the older Lab was its client."""
    with contextlib.closing(sqlite3.connect(home.data / "store.db")) as store:
        (row,) = store.execute("SELECT kernel_id, session_id, owner FROM remote_kernels").fetchall()
    kernel_id, session_id, owner = row
    return kernel_id, session_id, owner


async def counting(home: Home, kernel_id: str, client: str) -> None:
    """Start the kernel with the agent's file that the older Lab put there, and a cell that counts."""
    (agent,) = home.path.rglob("agent-*.pyz")
    command = [str(thin_environment(None)), str(agent), "attach"]
    state = str(home.path / AGENT_STATE)
    async with attached(
        home.path, command=command, **{**home.environment(), "GENOPS_AGENT_STATE": state}
    ) as host:
        notebook = str(home.work / NOTEBOOK)
        key = Keys(home.data).of(kernel_id).decode()
        named = {"name": f"genops-{TARGET}", "notebook": notebook, "cwd": str(home.work)}
        await host.start(kernel_id, key=key, **named)
        kernel = await host.kernel(kernel_id, client=client, key=key).welcomed()
        kernel.execute(COUNTING, "cell1")
        await kernel.until(lambda: kernel.messages)


@pytest.fixture(scope="module")
def server(older: Older) -> Iterator[LabServer]:
    found = start_lab(older.home)
    try:
        yield found
    finally:
        found.stop()


def test_a_home_of_an_older_lab_is_gone_on_with(older: Older, server: LabServer) -> None:
    went_on(older.home, server, older.made)


def test_a_kernel_of_an_older_agent_is_attached_and_nothing_is_lost(older: Older, server: LabServer) -> None:
    kernel_id, session_id, _client = remembered(older.home)
    (session,) = [each for each in server.get("api/sessions") if each["path"] == NOTEBOOK]
    assert (session["id"], session["kernel"]["id"]) == (session_id, kernel_id)
    counted(older.home)
    page = Page(server, kernel_id)
    page.send("cell2", "print('i is', i)")
    page.printed("i is 99")
    # Its kernel side, of the older agent, writes its runs through this Lab.
    page.run("cell3", "%load_ext genops_lab")
    assert page.run("cell4", TRACKED_AFTERWARDS)["status"] == "ok"
    page.close()
    run = ended_run(server, "afterwards")
    assert (run["status"], run["params"]) == ("FINISHED", {"rate": "0.25"})
    assert server.request("DELETE", f"api/sessions/{session_id}")[0] == 204


def test_an_older_kernel_side_on_this_machine_writes_its_runs(older: Older, server: LabServer) -> None:
    (site,) = older.home.path.glob(f"{AGENT_STATE}/site/*/genops_lab/kernel/site")
    command = [str(thin_environment(None)), "-c", SCRIPT]
    env = older.home.environment(PYTHONPATH=str(site))
    subprocess.run(command, env=env, cwd=older.home.work, check=True, timeout=120)
    run = ended_run(server, "script")
    assert run["status"] == "FINISHED"
    (loss,) = server.get(f"genops/runs/{run['run_id']}/metrics")["series"]
    assert (loss["key"], loss["values"]) == ("loss", [0.5])


def ended_run(server: LabServer, name: str) -> dict[str, Any]:
    """The run, once it has ended."""

    def look() -> list[dict[str, Any]]:
        status, found = server.request("GET", "genops/runs?experiment=after")
        runs = found["runs"] if status == 200 else []  # 400 until the first run has made the experiment
        return [run for run in runs if run["name"] == name and run["status"] != "RUNNING"]

    (run,) = eventually(look)
    return run


@pytest.mark.parametrize("commit", COMMITS)
def test_an_older_agent_and_this_one_serve_the_same_host(commit: str) -> None:
    """A Lab brings its own agent; two of one user may be of different age."""

    async def both(home: Home, older_agent: str) -> None:
        command = [str(thin_environment(None)), older_agent, "attach"]
        async with attached(home.path) as host, attached(home.path, command=command) as older_host:
            await host.call("commands.start", command_id="c", argv=["sleep", "600"])
            await host.start("new")
            await older_host.start("old")
            for each in (host, older_host):
                assert {info["kernel_id"] for info in await each.call("kernels.list")} == {"new", "old"}
            units = await host.call("units.list")
            assert sorted((unit["kind"], unit[f"{unit['kind']}_id"]) for unit in units) == [
                ("command", "c"),
                ("kernel", "new"),
                ("kernel", "old"),
            ]
            for each, kernel_id in ((host, "old"), (older_host, "new")):
                client = await each.kernel(kernel_id).welcomed()
                await client.done(client.execute("1"))
                stopped = await each.call("kernels.stop", kernel_id=kernel_id, grace_s=5)
                assert (stopped["state"], stopped["exit_code"], stopped["execution_state"]) == (
                    "ended",
                    0,
                    "dead",
                )
                await each.call("kernels.forget", kernel_id=kernel_id)
            assert (await host.call("commands.info", command_id="c"))["state"] == "running"
            await host.call("commands.stop", command_id="c", grace_s=0)

    with temporary_home() as home, tarfile.open(fixture(commit)) as archive:
        (agent,) = [each for each in archive.getmembers() if each.name.endswith(".pyz")]
        archive.extract(agent, home.path, filter="data")
        asyncio.run(asyncio.wait_for(both(home, str(home.path / agent.name)), 120))


@pytest.mark.exhaustive
@pytest.mark.parametrize("commit", COMMITS)
def test_a_really_installed_older_lab_is_replaced_while_its_kernels_run(home: Home, commit: str) -> None:
    server, made = lived_in(home, thin_environment(older_wheel(commit)))
    try:
        session = opened(server)
        page = Page(server, session["kernel"]["id"])
        page.send("cell1", COUNTING)
        page.printed("2\n")
        page.close()
        killed(server)
        server = start_lab(home, after=server)
        assert [each["id"] for each in server.get("api/sessions")] == [session["id"]]
        went_on(home, server, made)
        counted(home)
        assert server.request("DELETE", f"api/sessions/{session['id']}")[0] == 204
    finally:
        server.stop()
