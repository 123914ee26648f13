"""What an older GenOps Lab left is gone on with by this one."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator

import pytest

from genops_lab.links.payload import payload
from genops_lab.remote.finding import Keys
from tests.agent.hosts import attached
from tests.outputs.notebooks import cells_of, text_of
from tests.outputs.pages import Page, eventually
from tests.support.environments import older_wheel, thin_environment
from tests.support.homes import Home
from tests.support.lab_server import LabServer, start_lab
from tests.support.mlflow_file import kept_run
from tests.sweeps.conftest import Sweeper

from .older import AGENT_STATE, COUNTED, COUNTING, GO, NOTEBOOK, TARGET, killed, lived_in, opened, unpack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

#: The commit before GenOps Lab was tested by upgrades: the oldest that is promised to be gone on with.
OLDEST = "e5158fe"


def went_on(home: Home, server: LabServer, sweep_id: str) -> None:
    """The store, the runs, the target and the sweep of before are there and go on."""
    assert server.get("genops/status")["notices"] == []
    (run,) = server.get("genops/runs?experiment=before")["runs"]
    assert (run["name"], run["status"], run["params"]) == ("older", "FINISHED", {"rate": "0.5"})
    (loss,) = server.get(f"genops/runs/{run['run_id']}/metrics")["series"]
    assert loss["steps"] == list(range(50))
    assert (kept_run(home, "older").artifacts / "note.txt").read_text() == "kept"
    assert [each["name"] for each in server.get("genops/targets")] == [TARGET]
    (home.work / GO).touch()
    sweeper = Sweeper(home, server)
    done = sweeper.ended({"id": sweep_id})
    assert [(each["state"], each["value"]) for each in done["trials"]] == [
        ("finished", 1),
        ("finished", 2),
        ("finished", 3),
    ], done
    assert [each.info.status for each in sweeper.runs(done)] == ["FINISHED"] * 3


def counted(home: Home) -> None:
    """The cell on the target has each line once, in order."""
    eventually(lambda: text_of(cells_of(home.work / NOTEBOOK)[0]), lambda found: found == COUNTED)


@pytest.fixture(scope="module")
def older(module_home: Home) -> tuple[Home, str]:
    """A home that an older Lab left, and its sweep. The kernel of its notebook runs, under the agent of then."""
    sweep_id = unpack(module_home)
    kernel_id, _session, client = remembered(module_home)
    asyncio.run(asyncio.wait_for(counting(module_home, kernel_id, client), 120))
    return module_home, sweep_id


def remembered(home: Home) -> tuple[str, str, str]:
    """Of the kernel on the target: its id, its session's, and the name under which the older Lab was its client."""
    with contextlib.closing(sqlite3.connect(home.data / "store.db")) as store:
        (row,) = store.execute("SELECT kernel_id, session_id, owner FROM remote_kernels").fetchall()
    kernel_id, session_id, owner = row
    return kernel_id, session_id, owner


async def counting(home: Home, kernel_id: str, client: str) -> None:
    """Start the kernel with the agent's file that the older Lab put there, and a cell that counts."""
    (agent,) = home.path.rglob("agent-*.pyz")
    assert payload()[1] not in agent.name, "the fixture's agent is no older one"
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
def server(older: tuple[Home, str]) -> Iterator[LabServer]:
    found = start_lab(older[0])
    try:
        yield found
    finally:
        found.stop()


def test_a_home_of_an_older_lab_is_gone_on_with(older: tuple[Home, str], server: LabServer) -> None:
    home, sweep_id = older
    went_on(home, server, sweep_id)


def test_a_kernel_of_an_older_agent_is_attached_and_nothing_is_lost(
    older: tuple[Home, str], server: LabServer
) -> None:
    home, _ = older
    kernel_id, session_id, _client = remembered(home)
    (session,) = [each for each in server.get("api/sessions") if each["path"] == NOTEBOOK]
    assert (session["id"], session["kernel"]["id"]) == (session_id, kernel_id)
    counted(home)
    page = Page(server, kernel_id)
    page.send("cell2", "print('i is', i)")
    page.printed("i is 99")
    page.close()
    assert server.request("DELETE", f"api/sessions/{session_id}")[0] == 204


@pytest.mark.exhaustive
def test_a_really_installed_older_lab_is_replaced_while_its_kernels_run(home: Home) -> None:
    server, sweep = lived_in(home, thin_environment(older_wheel(OLDEST)))
    try:
        session = opened(server)
        page = Page(server, session["kernel"]["id"])
        page.send("cell1", COUNTING)
        page.printed("2\n")
        page.close()
        killed(server)
        server = start_lab(home, after=server)
        assert [each["id"] for each in server.get("api/sessions")] == [session["id"]]
        went_on(home, server, sweep["id"])
        counted(home)
        assert server.request("DELETE", f"api/sessions/{session['id']}")[0] == 204
    finally:
        server.stop()
