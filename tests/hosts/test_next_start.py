"""The GPUs that a person chose for a notebook reach its kernel, through a real Jupyter server, and no other kernel."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kernels.outputs.notebooks import write_notebook
from tests.kernels.outputs.pages import TARGET, Page, RemoteLab, a_remote_lab, eventually
from tests.support import exhaustive
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

GPUS = {"CUDA_VISIBLE_DEVICES": "3", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
LOOK = "import json, os; print(json.dumps({n: v for n, v in os.environ.items() if n.startswith('CUDA_')}))"


def choose(
    lab: RemoteLab, notebook: str, environment: dict[str, str], target: str = TARGET
) -> tuple[int, Any]:
    body = {"notebook": notebook, "environment": environment}
    return lab.server.request("POST", f"genops/targets/{target}/next-start", body)


def seen(server: LabServer, kernel_id: str) -> dict[str, str]:
    """What the kernel's process was given."""
    page = Page(server, kernel_id)
    try:
        page.send("look", LOOK)
        said = page.until(lambda message: str(message["content"].get("text", "")).startswith("{"))
    finally:
        page.close()
    return dict(json.loads(said["content"]["text"]))


def restart(server: LabServer, kernel_id: str) -> None:
    assert server.request("POST", f"api/kernels/{kernel_id}/restart", timeout=120)[0] == 200


def remembered(home: Home, kernel_id: str) -> Any:
    with contextlib.closing(sqlite3.connect(home.data / "store.db")) as store:
        query = "SELECT chosen FROM remote_kernels WHERE kernel_id = ?"
        row = store.execute(query, (kernel_id,)).fetchone()
    return json.loads(row[0]) if row and row[0] else None


@pytest.fixture(scope="module")
def lab(module_home: Home) -> Iterator[RemoteLab]:
    with a_remote_lab(module_home) as found:
        yield found


def test_gpus_that_were_chosen(lab: RemoteLab) -> None:
    (lab.home.work / "a").mkdir()
    for name in ("a/train.ipynb", "train.ipynb"):
        write_notebook(lab.home.work / name, {"look": LOOK})
    status, answer = choose(lab, "a/train.ipynb", {"LD_PRELOAD": "/evil.so"})
    assert status == 400 and "CUDA_VISIBLE_DEVICES" in answer["error"]["hint"]
    assert choose(lab, "a/train.ipynb", GPUS, "nowhere")[0] == 404
    assert choose(lab, "a/train.ipynb", GPUS)[0] in (200, 204)

    other = lab.open("train.ipynb")["kernel"]["id"]
    assert seen(lab.server, other) == {}, "it was chosen for another notebook"
    session = lab.open("a/train.ipynb")
    kernel_id = session["kernel"]["id"]
    assert seen(lab.server, kernel_id) == GPUS
    restart(lab.server, kernel_id)
    assert seen(lab.server, kernel_id) == GPUS, "a restart keeps them"

    body = {**session, "kernel": {"name": session["kernel"]["name"]}}
    status, changed = lab.server.request("PATCH", f"api/sessions/{session['id']}", body, timeout=120)
    assert status == 200 and changed["kernel"]["id"] != kernel_id
    assert seen(lab.server, changed["kernel"]["id"]) == {}, "a new kernel has a choice of its own"


def test_a_restart_after_the_lab_was_killed_sees_the_same_gpus(lab: RemoteLab) -> None:
    write_notebook(lab.home.work / "killed.ipynb", {"look": LOOK})
    assert choose(lab, "killed.ipynb", GPUS)[0] in (200, 204)
    kernel_id = lab.open("killed.ipynb")["kernel"]["id"]
    assert seen(lab.server, kernel_id) == GPUS
    eventually(lambda: remembered(lab.home, kernel_id) == GPUS)
    for _ in range(exhaustive.times(2, 1)):  # what the second Lab remembers, the third one knows from it
        lab.kill()
        lab.start_again()
        assert seen(lab.server, kernel_id) == GPUS
        restart(lab.server, kernel_id)
        assert seen(lab.server, kernel_id) == GPUS
    other = {**GPUS, "CUDA_VISIBLE_DEVICES": "5"}
    assert choose(lab, "killed.ipynb", other)[0] in (200, 204)
    restart(lab.server, kernel_id)
    assert seen(lab.server, kernel_id) == other, "a new choice counts more than what is remembered"
    eventually(lambda: remembered(lab.home, kernel_id) == other)


def test_a_second_lab_that_takes_the_kernel_over_keeps_its_gpus(lab: RemoteLab) -> None:
    write_notebook(lab.home.work / "taken.ipynb", {"look": LOOK})
    assert choose(lab, "taken.ipynb", GPUS)[0] in (200, 204)
    kernel_id = lab.open("taken.ipynb")["kernel"]["id"]
    eventually(lambda: remembered(lab.home, kernel_id) == GPUS)
    with running_lab(lab.home) as second:
        target = f"genops/targets/{TARGET}"
        assert second.request("POST", f"{target}/connect", {})[0] == 200
        eventually(lambda: second.get(target)["state"] == "up")
        attach = f"{target}/kernels/{kernel_id}/attach"
        status, answer = second.request("POST", attach, {"take_over": True}, timeout=120)
        assert status == 200, answer
        restart(second, kernel_id)
        assert seen(second, kernel_id) == GPUS
