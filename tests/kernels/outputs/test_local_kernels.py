"""Kernels of this machine that the agent owns: a server that is killed leaves them, one that is stopped ends them."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.homes import Home
from tests.support.processes import runs

from .notebooks import text_of
from .pages import Labs, ended_afterwards, eventually
from .test_restart import CODE, NUMBERS, begin, code_cells, ids, numbers, pid_in, sessions, wait_for
from .test_websocket import all_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

KEEP = "--GenOpsLab.keep_local_kernels=True"


@pytest.fixture(scope="module")
def module_lab(module_home: Home) -> Iterator[Labs]:
    found = Labs(module_home, "python3", KEEP)
    with ended_afterwards(found):
        yield found


@pytest.fixture
def lab(module_lab: Labs) -> Iterator[Labs]:
    yield module_lab
    module_lab.tidy()
    without_journals(module_lab.home)


def pid_of(lab: Labs, kernel_id: str) -> int:
    """The process behind a cell that runs."""
    (run,) = lab.executions(kernel_id)["executions"]
    return pid_in(run["outputs"][0]["text"])


def journals(home: Home) -> list[Path]:
    """What the agent has of kernels."""
    return [path for path in home.path.rglob("genops-lab/kernels/*") if path.is_dir()]


def without_journals(home: Home) -> None:
    """Wait until the agent has nothing of any kernel; fails with what is left."""
    eventually(lambda: [sorted(path.rglob("*")) for path in journals(home)], lambda left: not left)


def test_killed_in_the_middle_of_a_cell(lab: Labs) -> None:
    lab.write_notebook({"cell1": CODE, "cell2": "mine"})
    session = begin(lab, "work.ipynb")
    kernel_id = session["kernel"]["id"]
    pid = pid_of(lab, kernel_id)
    eventually(lambda: lab.has_seen(lab.notebook))
    lab.kill()
    lab.start_again()
    assert sessions(lab) == {"work.ipynb": ids(session)}  # in the very first answer
    (cell, _other) = wait_for(lab.notebook)  # each number exactly once, in order
    assert [output.output_type for output in cell.outputs] == ["stream", "execute_result"]
    assert cell.execution_count == 1 and pid_in(text_of(cell)) == pid

    page = lab.page(kernel_id)
    page.send("cell2", "print('kept is', kept)")
    page.printed("kept is 7")
    shown = all_of(page, page.send("cell2", "for number in range(400):\n    display(number)"))
    # Jupyter's own connection drops what comes as fast.
    assert [each["content"]["data"]["text/plain"] for each in shown] == [str(number) for number in range(400)]
    page.send("cell2", "import time\nprint('sleeps', flush=True)\ntime.sleep(600)")
    page.printed("sleeps")
    assert lab.server.request("POST", f"api/kernels/{kernel_id}/interrupt")[0] == 204
    page.until(lambda message: message["content"].get("ename") == "KeyboardInterrupt")
    assert lab.server.request("POST", f"api/kernels/{kernel_id}/restart", timeout=120)[0] == 200
    page.close()
    page = lab.page(kernel_id)
    page.send("cell2", "import os; print('kept' in dir(), os.environ['JPY_SESSION_NAME'])")
    page.printed(f"False {lab.notebook}")
    page.close()
    assert not runs(pid)


def test_a_setting_that_was_switched_off_meanwhile(home: Home) -> None:
    lab = Labs(home, "python3", KEEP)
    with ended_afterwards(lab):
        is_switched_off_meanwhile(lab)


def is_switched_off_meanwhile(lab: Labs) -> None:
    lab.write_notebook({"cell1": CODE})
    session = begin(lab, "work.ipynb")
    eventually(lambda: lab.has_seen(lab.notebook))
    lab.kill()
    lab.arguments.remove(KEEP)
    lab.start_again()
    assert sessions(lab) == {"work.ipynb": ids(session)}
    wait_for(lab.notebook)
    lab.write_notebook({"cell1": CODE})
    other = lab.open("other.ipynb")["kernel"]["id"]
    assert other not in [path.name for path in journals(lab.home)]


def printed_so_far(lab: Labs, pid: int) -> str:
    """What the notebook on disk has of a cell that did not come to its end."""
    cells = code_cells(lab.notebook)
    if not cells:  # it is being written
        return ""
    (cell,) = cells
    printed = numbers(text_of(cell)).partition("The kernel has ended")[0] if cell.outputs else ""
    assert NUMBERS.startswith(printed) and printed != NUMBERS
    return printed if printed and pid_in(text_of(cell)) == pid else ""


@pytest.mark.parametrize(
    "how",
    [
        "SIGTERM",
        pytest.param("the menu", marks=pytest.mark.exhaustive),
        pytest.param("Ctrl-C without a terminal", marks=pytest.mark.exhaustive),
    ],
)
def test_a_server_that_is_stopped_ends_them(lab: Labs, how: str) -> None:
    lab.write_notebook({"cell1": CODE})
    session = begin(lab, "work.ipynb")
    pid = pid_of(lab, session["kernel"]["id"])
    console = lab.server.request("POST", "api/kernels", {"name": "python3"}, timeout=90)[1]
    assert {path.name for path in journals(lab.home)} == {session["kernel"]["id"], console["id"]}
    eventually(lambda: lab.has_seen(lab.notebook))
    if how == "the menu":
        assert lab.server.request("POST", "api/shutdown")[0] == 200
    else:
        lab.server.process.send_signal(signal.SIGTERM if how == "SIGTERM" else signal.SIGINT)
    lab.server.process.wait(60)
    assert not runs(pid) and "Traceback" not in lab.server.log
    at_once = how != "Ctrl-C without a terminal"  # Jupyter itself ends without a word then
    assert bool(printed_so_far(lab, pid)) == at_once  # no page was there to save it
    lab.start_again()
    # Those that ended with the process are found, and let go once their outputs are safe.
    eventually(lambda: lab.server.get("api/sessions") == [] and lab.server.get("api/kernels") == [])
    eventually(lambda: printed_so_far(lab, pid))
    without_journals(lab.home)


def test_a_kernel_that_is_shut_down_is_over(lab: Labs) -> None:
    lab.write_notebook({"cell1": CODE})
    session = begin(lab, "work.ipynb")
    pid = pid_of(lab, session["kernel"]["id"])
    assert lab.server.request("DELETE", f"api/sessions/{session['id']}", timeout=90)[0] == 204
    assert not runs(pid)
    without_journals(lab.home)


def test_what_the_panel_and_targets_say_of_them(lab: Labs) -> None:
    """They use this machine, and are no target's."""
    status, answer = lab.server.request("POST", "genops/targets", {"name": "box", "kind": "local"})
    assert status == 200, answer
    lab.write_notebook({"cell1": CODE})
    session = begin(lab, "work.ipynb")
    kernel_id = session["kernel"]["id"]
    (kernel,) = lab.server.get("genops/compute/kernels")
    assert (kernel["kernel_id"], kernel["pid"]) == (kernel_id, pid_of(lab, kernel_id))
    assert lab.server.request("POST", "genops/targets/box/connect")[0] == 200
    there = eventually(lambda: lab.server.get("genops/targets/box/kernels"), lambda found: found["connected"])
    assert there["kernels"] == []
    assert [target["name"] for target in lab.server.get("genops/targets")] == ["box"]
    (check,) = [each for each in diagnosis(lab) if each["id"] == "local-kernels"]
    assert check["state"] == "ok"


def test_a_kernel_of_another_language(home: Home) -> None:
    """Its own command, environment and folder, and interrupts by message."""
    folder = home.path / "data" / "kernels" / "other"
    folder.mkdir(parents=True)
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--Other.at={resource_dir}"],
        "display_name": "Other", "language": "other", "interrupt_mode": "message", "env": {"MINE": "${HOME}/mine"},
    }  # fmt: skip
    (folder / "kernel.json").write_text(json.dumps(spec))
    lab = Labs(home, "other", KEEP)
    with ended_afterwards(lab):
        lab.write_notebook({"cell1": "1"})
        kernel_id = lab.open()["kernel"]["id"]
        page = lab.page(kernel_id)
        page.send("cell1", "import os; print(os.environ['MINE'], get_ipython().config.Other.at, os.getcwd())")
        page.printed(f"{home.path}/mine {folder} {home.work}")
        page.send("cell1", "import time\nprint('sleeps', flush=True)\ntime.sleep(600)")
        page.printed("sleeps")
        assert lab.server.request("POST", f"api/kernels/{kernel_id}/interrupt")[0] == 204
        page.until(lambda message: message["content"].get("ename") == "KeyboardInterrupt")
        page.close()


@pytest.mark.parametrize(
    "variable", ["GENOPS_AGENT_STATE", pytest.param("GENOPS_AGENT_DIR", marks=pytest.mark.exhaustive)]
)
def test_where_the_agent_cannot_work_jupyter_starts_them(
    home: Home, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.homes.LEAKING", ("MLFLOW_", "JUPYTER", "JPY_", "XDG_"))
    monkeypatch.setenv(variable, os.devnull + "/x")
    lab = Labs(home, "python3", KEEP)
    with ended_afterwards(lab):
        lab.write_notebook({"cell1": "1"})
        kernel_id = lab.open()["kernel"]["id"]
        page = lab.page(kernel_id)
        page.send("cell1", "import os; print('GENOPS_SOCKET' in os.environ, os.getppid())")
        page.printed(f"True {lab.server.process.pid}")
        page.close()
        assert journals(home) == []
        assert "Jupyter itself starts the kernels" in lab.server.log
        (check,) = [each for each in diagnosis(lab) if each["id"] == "local-kernels"]
        assert check["state"] == "warning" and os.devnull in check["detail"]


def diagnosis(lab: Labs) -> list[dict[str, Any]]:
    """What the doctor finds."""
    return list(lab.server.get("genops/doctor")["checks"])
