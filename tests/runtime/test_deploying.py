"""A deployment's live view: a stand-in Lab tells its states, a stand-in program is the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from genops_lab.runtime.cards import deployment_card
from genops_lab.runtime.live import VIEW_MIME, script
from tests.support.homes import Home

from .forked import ForkServer
from .kernels import Cell, RunningKernel, running_kernel
from .stand_in import LabStandIn

#: It waits as ``genops deploy --wait`` does; what it waits for is a file that the test makes.
PROGRAM = """
import json, os, sys, time
base = json.loads(os.environ["STATE"])
if "--wait" in sys.argv:
    print("digits: preparing", file=sys.stderr, flush=True)
    while not os.path.exists("go"): time.sleep(0.02)
    print("digits: starting", file=sys.stderr, flush=True)
    base["state"] = "running"
print(json.dumps({"text": "the text", "html": "<b>the html</b>", "data": base, "view": "deployment"}))
"""
STARTING = {
    "name": "digits", "model": "digits", "version": "3", "state": "preparing", "url": "", "key": "SECRET",
    "message": "Building", "hint": "", "requests": 0, "errors": 0, "latency_ms": None, "lease_until": 5.0,
}  # fmt: skip
RUNNING = {**STARTING, "state": "running", "message": "", "url": "http://127.0.0.1:1", "requests": 4}
STOPPED = {**RUNNING, "state": "stopped"}


@pytest.fixture
def requests(lab: LabStandIn, home: Home) -> list[dict[str, Any]]:
    """The states that the Lab tells, one an asking, the last again and again; the second lets the program go on."""
    states: list[dict[str, Any]] = []

    def answer(_body: Any) -> tuple[int, Any]:
        if len(states) == 1:
            return 200, states[0]
        if len(states) == 2:
            (home.work / "go").touch()
        return 200, states.pop(0)

    lab.answers["GET", "/genops/deployments/digits"] = answer
    return states


@pytest.fixture
def kernel(home: Home, lab: LabStandIn, ipykernels: ForkServer) -> Iterator[RunningKernel]:
    program = home.path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    env = home.environment(
        GENOPS_CLI=json.dumps([sys.executable, str(program)]),
        GENOPS_SOCKET=str(lab.path),
        STATE=json.dumps(STARTING),
    )
    with running_kernel(sys.executable, env, home.work, forks=ipykernels) as found:
        found.ok("%load_ext genops_lab")
        yield found


def widget_states(cell: Cell) -> list[dict[str, Any]]:
    if script("deployment") is None:
        pytest.skip("the front end is not built")
    (opened,) = [one for one in cell.of("comm_open") if one["target_name"] == "jupyter.widget"]
    (shown,) = cell.of("display_data")
    assert shown["data"][VIEW_MIME]["model_id"] == opened["comm_id"]
    changes = [one["data"]["state"] for one in cell.of("comm_msg") if one["comm_id"] == opened["comm_id"]]
    return [opened["data"]["state"], *changes]


def last_picture(cell: Cell) -> dict[str, Any]:
    last = cell.of("update_display_data")[-1]
    assert last["transient"]["display_id"] == cell.of("display_data")[0]["transient"]["display_id"]
    return dict(last["data"])


def test_while_the_command_waits_the_view_follows(
    kernel: RunningKernel, requests: list[dict[str, Any]]
) -> None:
    requests += [
        STARTING,
        {**STARTING, "state": "starting"},
        STARTING | {"state": "starting", "message": "Loading"},
    ]
    cell = kernel.ok("%genops deployments add digits --wait")
    assert cell.stream("stdout") == "", "the view says what the lines would"
    states = widget_states(cell)
    assert [one["state"] for one in states if "state" in one] == ["preparing", "starting", "running"]
    assert last_picture(cell) == {"text/plain": "the text", "text/html": "<b>the html</b>"}
    assert "SECRET" not in json.dumps([message["content"] for message in cell.messages])


def test_an_assignment_leaves_a_line_and_gives_the_data(
    kernel: RunningKernel, requests: list[dict[str, Any]]
) -> None:
    requests += [STARTING, STARTING, STARTING]
    cell = kernel.ok("service = %genops deploy digits --wait")
    assert last_picture(cell)["text/plain"] == "digits: running"
    assert kernel.ok("service.state, service['key']").result == "('running', 'SECRET')"


def test_without_waiting_it_is_followed_after_the_cell(
    kernel: RunningKernel, requests: list[dict[str, Any]]
) -> None:
    requests += [RUNNING, STOPPED]
    cell = kernel.ok("service = %genops deploy digits")
    first = widget_states(cell)[0]
    assert first["state"] == "preparing" and "key" not in first
    final = kernel.wait_for("update_display_data")["content"]
    assert final["transient"]["display_id"] == cell.of("display_data")[0]["transient"]["display_id"]
    assert final["data"]["text/html"] == deployment_card(STOPPED)
    assert set(final["data"]) == {"text/html", "text/plain"}


def test_a_command_that_is_interrupted_leaves_a_picture(
    kernel: RunningKernel, requests: list[dict[str, Any]]
) -> None:
    requests += [STARTING]
    sent = kernel.send("%genops deploy digits --wait")
    shown = kernel.wait_for("display_data")["content"]
    kernel.manager.interrupt_kernel()
    cell = kernel.finish(sent)
    assert cell.reply["ename"] == "KeyboardInterrupt"
    last = cell.of("update_display_data")[-1]
    assert last["transient"] == shown["transient"] and VIEW_MIME not in last["data"]
    assert "preparing" in last["data"]["text/plain"]
