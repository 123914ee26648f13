"""Sweeps in the browser: the live table, both themes, the picture that is left, the stop button."""

from __future__ import annotations

import json
import re
import time

import pytest
from playwright.sync_api import expect

from tests.support import exhaustive
from tests.support.browser import LabPage
from tests.support.lab_server import LabServer

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(400)]

SWEEP = """%%sweep lr=0.1,0.2,0.4 width=8 --metric loss --parallel 2
import os, time, genops
lr = 0.1
for step in range(5):
    genops.log({"loss": (lr - 0.15) ** 2 + width / 1000 + 1 / (step + 10)}, step=step)
if lr == 0.2:
    raise ValueError("too wide")
while lr == 0.4 and not os.path.exists("go"):
    time.sleep(0.05)
"""


STOPPED = "%%sweep n=1,2,3 --name halted\nimport time\nwhile n:\n    time.sleep(0.05)"
#: Says in a file when the notebook's kernel follows the sweep no more.
WATCH = """import pathlib, threading
def watch():
    [one.join() for one in threading.enumerate() if one.name == "genops-sweep"]
    pathlib.Path("over").touch()
threading.Thread(target=watch).start()"""


def notebook(server: LabServer, name: str, *sources: str) -> None:
    cells = [
        {
            "cell_type": "code",
            "id": f"c{n}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for n, source in enumerate(sources)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    found = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (server.home.work / name).write_text(json.dumps(found))


def test_a_sweep_is_followed_to_its_end_and_another_one_is_stopped(lab: LabPage, server: LabServer) -> None:
    notebook(server, "sweeping.ipynb", "%load_ext genops_lab", SWEEP, WATCH, STOPPED)
    lab.open_notebook("sweeping.ipynb")
    lab.run_all_but_the_last()
    view = lab.page.get_by_role("group", name="Sweep sweeping")
    expect(view.get_by_text("2 of 3 trials (1 failed)")).to_be_visible(timeout=120_000)
    expect(view.get_by_role("cell", name="best")).to_be_visible()
    lab.looks("sweep", ".gol-sweep", (1280, 900))
    if exhaustive.ALL:  # a tracked cell's card proves daily that cards go on
        lab.execute("docmanager:save")
        lab.page.reload()
        expect(view.get_by_text("2 of 3 trials (1 failed)")).to_be_visible(timeout=60_000)
    (server.home.work / "go").touch()
    expect(view.get_by_text("3 of 3 trials (1 failed)")).to_be_visible(timeout=60_000)
    expect(lab.page.get_by_role("button", name="Stop the sweep")).to_have_count(0)
    deadline = time.monotonic() + 60
    while not (server.home.work / "over").exists():
        assert time.monotonic() < deadline
        lab.page.wait_for_timeout(100)
    expect(view).to_contain_text("done")
    expect(view.locator("img")).to_be_visible()
    section = lab.section("Sweeps")
    section.get_by_role("button", name="sweeping").click()
    expect(section.get_by_text("Done")).to_be_visible()
    lab.looks("sweep-done", "#genops-lab-section-sweeps-body", (1280, 900), daily=False)
    section.get_by_role("button", name="Show runs").click()
    table = lab.page.get_by_role("grid")
    expect(table.get_by_text("sweeping 2")).to_be_visible()
    expect(lab.page.get_by_text(re.compile(r"^3 (of \d+ )?runs$")).first).to_be_visible()
    lab.shot("sweep-table", width=1280, height=900)
    assert lab.serious_findings("#genops-lab-panel") == []

    lab.page.locator("#jp-main-dock-panel").get_by_role("tab", name="sweeping.ipynb").click()
    lab.page.evaluate(
        "() => { const notebook = window.jupyterapp.shell.currentWidget.content;"
        " notebook.activeCellIndex = notebook.widgets.length - 1; }"
    )
    lab.execute("notebook:run-cell")
    view = lab.page.get_by_role("group", name="Sweep halted")
    view.get_by_role("button", name="Stop the sweep halted").click(timeout=60_000)
    expect(view.get_by_text("Stopped by the user.").first).to_be_visible(timeout=60_000)
    assert lab.problems == [], lab.problems
