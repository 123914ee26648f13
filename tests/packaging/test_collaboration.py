"""Beside extensions that keep documents or outputs themselves: what holds, and that what does not is said."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import CHROMIUM, WHY_NOT, LabPage, chromium, lab_page
from tests.support.environments import environment_with_wheel
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab, start_lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LAB = "jupyterlab>=4.6,<5"
LINES = 300
WORK = f"import time\nfor i in range({LINES}):\n    print('line', i)\n    time.sleep(0.05)\n'all done'"
WHOLE = [f"line {i}" for i in range(LINES)]
LONG_MS = 180_000


def environment(requirement: str) -> Path:
    """The interpreter of a Lab with our wheel and another extension; skips where it cannot be installed."""
    try:
        return environment_with_wheel(Path(sys.executable), LAB, requirement)
    except AssertionError as error:
        pytest.skip(f"{requirement} cannot be installed here: {error}")


def add_target(server: LabServer) -> None:
    target = {"name": "box", "kind": "local", "python": sys.executable}
    status, answer = server.request("POST", "genops/targets", target)
    assert status in (200, 201), answer


def write_notebook(path: Path) -> None:
    cell = {
        "cell_type": "code", "id": "cell-0", "metadata": {}, "source": WORK, "outputs": [],
        "execution_count": None,
    }  # fmt: skip
    metadata = {"kernelspec": {"name": "genops-box", "display_name": "box", "language": "python"}}
    path.write_text(json.dumps({"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))


def open_notebook(lab: LabPage) -> None:
    lab.open()
    lab.execute("docmanager:open", {"path": "work.ipynb"})
    status = lab.page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle"))
    expect(status.first).to_be_visible(timeout=LONG_MS)


def eventually(look: Callable[[], object], wanted: object) -> None:
    deadline = time.monotonic() + LONG_MS / 1000
    while (found := look()) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def on_disk(path: Path) -> list[tuple[list[str], int | None]]:
    """Of each cell the lines that it printed, and its number."""
    try:
        cells = json.loads(path.read_text())["cells"]
    except ValueError:  # it is being written
        return []
    return [
        (
            "".join("".join(output.get("text", "")) for output in cell["outputs"]).splitlines(),
            cell["execution_count"],
        )
        for cell in cells
    ]


@pytest.mark.ui
@pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT)
def test_two_pages_of_one_document_a_reload_and_a_killed_server(home: Home) -> None:
    python = environment("jupyter-collaboration>=4")
    server = start_lab(home, python=python)
    path = home.work / "work.ipynb"
    write_notebook(path)
    try:
        add_target(server)
        with chromium() as browser, lab_page(browser, server) as one, lab_page(browser, server) as two:
            pages = (one, two)
            for lab in pages:
                open_notebook(lab)
            one.run_all()
            for lab in pages:
                expect(lab.page.locator(".jp-CodeCell").first).to_contain_text("line 20", timeout=LONG_MS)
            one.page.reload()
            one.ready()
            expect(one.page.locator(".jp-CodeCell").first).to_contain_text("line 20", timeout=LONG_MS)
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()
            server = start_lab(home, python=python, after=server)
            for lab in pages:
                eventually(lambda lab=lab: shown(lab), [*WHOLE, "'all done'"])
                expect(lab.page.locator(".jp-InputPrompt").first).to_have_text("[1]:", timeout=LONG_MS)
            eventually(lambda: on_disk(path), [(WHOLE, 1)])
            for lab in pages:
                assert shown(lab) == [*WHOLE, "'all done'"]
            one.execute("notebook:run-all-cells")  # and the kernel is the one that it was
            expect(two.page.locator(".jp-CodeCell").first).to_contain_text("'all done'", timeout=LONG_MS)
        assert "jupyter-collaboration is on" in server.log
    finally:
        print(server.log[-4000:])  # shown with a failure
        server.stop()


def shown(lab: LabPage) -> list[str]:
    parts = lab.page.locator(".jp-CodeCell").first.locator(".jp-RenderedText pre").all_inner_texts()
    return [line for part in parts for line in part.splitlines() if line]


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        pytest.param("jupyter-server-nbmodel==0.2.9", "jupyter-server-nbmodel", marks=pytest.mark.exhaustive),
        ("jupyter-server-documents==0.3.3", "jupyter-server-documents keeps notebooks"),
    ],
)
def test_who_else_keeps_outputs_is_seen_and_said(home: Home, requirement: str, said: str) -> None:
    with running_lab(home, python=environment(requirement)) as server:
        add_target(server)
        body = {
            "path": "work.ipynb", "name": "work.ipynb", "type": "notebook", "kernel": {"name": "genops-box"},
        }  # fmt: skip
        status, session = server.request("POST", "api/sessions", body, timeout=LONG_MS / 1000)
        assert status == 201, session
        assert server.get("genops/status")
        assert said in server.log
