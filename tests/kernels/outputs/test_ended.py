"""A kernel that its target's policy has ended, as a page sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.agent.hosts import attached
from tests.support.homes import Home

from .pages import TARGET, RemoteLab, a_remote_lab, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

SOON = {"policy": {"idle_minutes": 1}}


@pytest.fixture
def lab(home: Home) -> Iterator[RemoteLab]:
    with a_remote_lab(home) as found:
        yield found


async def shortened(lab: RemoteLab, kernel_id: str) -> None:
    """The agent has the target's minute, the least that a person can ask for; make it 4 s."""
    path = lab.home.path
    state = str(path / ".local" / "state" / "genops-lab")
    async with attached(path, HOME=str(path), GENOPS_AGENT_STATE=state) as host:
        while (policy := (await host.call("kernels.info", kernel_id=kernel_id))["idle"]) is None:
            await asyncio.sleep(0.05)
        assert policy["seconds"] == 60
        await host.call("kernels.policy", kernel_id=kernel_id, idle={**policy, "seconds": 4})


def test_it_is_dead_with_its_reason_and_its_pages_restart_it(lab: RemoteLab) -> None:
    lab.write_notebook({"a": "held = 1"})
    kernel_id = lab.open()["kernel"]["id"]
    page = lab.page(kernel_id, browser=True)
    assert page.run("a", "held = 1")["status"] == "ok"
    assert lab.server.request("PUT", f"genops/targets/{TARGET}", SOON)[0] == 200
    asyncio.run(shortened(lab, kernel_id))
    eventually(lambda: lab.server.get(f"genops/targets/{TARGET}")["ended"])
    path = f"api/kernels/{kernel_id}"
    eventually(lambda: lab.server.get(path)["execution_state"], lambda state: state == "dead")
    (ended,) = lab.server.get(f"genops/targets/{TARGET}")["ended"]
    assert ended["kernel_id"] == kernel_id and "without work" in ended["reason"]

    msg_id = page.send("a", "open('never', 'w')")
    page.printed("This cell was not run")
    refused = page.reply(msg_id)
    assert (refused["status"], refused["ename"]) == ("error", "KernelEnded")
    assert refused["evalue"].startswith("Ended after 4 s without work")
    assert lab.server.get(path)["execution_state"] == "dead", "it is so for everybody"

    assert lab.server.request("PUT", f"genops/targets/{TARGET}", {})[0] == 200
    again = lab.page(kernel_id, browser=True)
    status, answer = lab.server.request("POST", f"{path}/restart", {}, timeout=90)
    assert status == 200, answer
    check = "import os; assert 'held' not in dir() and not os.path.exists('never')"
    assert again.run("a", check)["status"] == "ok"
    assert lab.server.get(f"genops/targets/{TARGET}")["ended"] == []
    page.close()
    again.close()
