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

from tests.support import exhaustive
from tests.support.browser import CHROMIUM, WHY_NOT, LabPage, chromium, lab_page
from tests.support.environments import environment_with_wheel
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab, start_lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LAB = "jupyterlab>=4.6,<5"
#: Prints until a file is there, and keeps in it how many lines these were.
WORK = """import pathlib, time
enough, i = pathlib.Path({enough!r}), 0
while not enough.exists():
    print("line", i)
    time.sleep(0.2)
    i += 1
enough.write_text(str(i))
'all done'"""
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


def write_notebook(path: Path, enough: Path) -> None:
    cell = {
        "cell_type": "code", "id": "cell-0", "metadata": {}, "source": WORK.format(enough=str(enough)),
        "outputs": [], "execution_count": None,
    }  # fmt: skip
    metadata = {"kernelspec": {"name": "genops-box", "display_name": "box", "language": "python"}}
    path.write_text(json.dumps({"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))


def open_notebook(lab: LabPage, state: str = "Idle") -> None:
    lab.open()
    lab.execute("docmanager:open", {"path": "work.ipynb"})
    status = lab.page.locator("#jp-main-statusbar").get_by_text(re.compile(rf"\| {state}"))
    expect(status.first).to_be_visible(timeout=LONG_MS)


def eventually(look: Callable[[], object], wanted: object) -> None:
    deadline = time.monotonic() + LONG_MS / 1000
    while (found := look()) != wanted:
        assert time.monotonic() < deadline, f"{found!r}, and not {wanted!r}"
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
def test_two_pages_of_one_document_and_a_killed_server(home: Home) -> None:
    python = environment("jupyter-collaboration>=4")
    server = start_lab(home, python=python)
    path, enough = home.work / "work.ipynb", home.work / "enough"
    write_notebook(path, enough)
    try:
        add_target(server)
        with chromium() as browser, lab_page(browser, server) as one, lab_page(browser, server) as two:
            pages = (one, two)
            open_notebook(one)
            one.run_all()
            expect(one.page.locator(".jp-CodeCell").first).to_contain_text("line 5", timeout=LONG_MS)
            open_notebook(two, "Busy")
            expect(two.page.locator(".jp-CodeCell").first).to_contain_text("line 20", timeout=LONG_MS)
            if exhaustive.ALL:  # a page that comes is daily the second one
                one.page.reload()
                one.ready()
                expect(one.page.locator(".jp-CodeCell").first).to_contain_text("line 20", timeout=LONG_MS)
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()
            if exhaustive.ALL:  # the cell ends while no server hears of it
                time.sleep(1)
                enough.touch()
                eventually(lambda: enough.read_text() != "", True)
            unheard = len(shown(two)) + 10
            server = start_lab(home, python=python, after=server)
            if not exhaustive.ALL:
                for lab in pages:
                    expect(lab.page.locator(".jp-CodeCell").first).to_contain_text(
                        f"line {unheard}", timeout=LONG_MS
                    )
                enough.touch()
                eventually(lambda: enough.read_text() != "", True)
            whole = [f"line {i}" for i in range(int(enough.read_text()))]
            for lab in pages:
                eventually(lambda lab=lab: shown(lab), [*whole, "'all done'"])
                expect(lab.page.locator(".jp-InputPrompt").first).to_have_text("[1]:", timeout=LONG_MS)
            eventually(lambda: on_disk(path), [(whole, 1)])
            for lab in pages:
                assert shown(lab) == [*whole, "'all done'"]
            one.execute("notebook:run-all-cells")  # and the kernel is the one that it was
            expect(two.page.locator(".jp-InputPrompt").first).to_have_text("[2]:", timeout=LONG_MS)
        assert "jupyter-collaboration is on" in server.log
    finally:
        print(server.log[-4000:])  # shown with a failure
        server.stop()


def shown(lab: LabPage) -> list[str]:
    parts = lab.page.locator(".jp-CodeCell").first.locator(".jp-RenderedText pre").all_inner_texts()
    return [line for part in parts for line in part.splitlines() if line]


@pytest.mark.exhaustive  # daily tests/kernels/outputs/test_documents.py has a stand-in
@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("jupyter-server-nbmodel==0.2.9", "jupyter-server-nbmodel"),
        ("jupyter-server-documents==0.3.3", "jupyter-server-documents manages notebooks"),
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
