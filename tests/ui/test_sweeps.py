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


def the_pages_of_sweeps(lab: LabPage) -> None:
    """The list, and from it the sweep, its runs, and both again after a reload."""
    page = lab.main_page("genops:open-sweeps", "genops-sweeps")
    row = page.get_by_role("row", name=re.compile("^sweeping"))
    expect(row).to_contain_text("Done")
    expect(row.get_by_role("progressbar")).to_have_attribute("value", "3")
    expect(row).to_contain_text("loss 0.0")
    page.get_by_role("searchbox", name="Filter").fill("nothing like it")
    expect(page.get_by_text("No rows match.")).to_be_visible()
    page.get_by_role("searchbox", name="Filter").fill("sweeping done")
    lab.looks("sweeps", "#genops-sweeps")
    row.press("Enter")
    one = lab.page.locator("[id^=genops-sweep-]")
    expect(one.get_by_role("heading", name="sweeping")).to_be_visible()
    trials = one.get_by_role("table", name="Trials")
    expect(trials.get_by_role("row")).to_have_count(1 + 3)
    expect(trials.get_by_role("row", name=re.compile("^1 Failed"))).to_contain_text("too wide")
    best = trials.get_by_role("rowheader", name="(best)")
    expect(best).to_have_count(1)
    trials.get_by_role("button", name="lr").click()
    expect(trials.get_by_role("rowheader").first).to_have_text("2")
    expect(one.get_by_role("img", name=re.compile("^loss by trial"))).to_be_visible()
    lab.looks("sweep-page", "[id^=genops-sweep-]")
    identity = one.get_attribute("id")
    lab.kept_open("genops-sweeps:genops-sweeps", f"genops-sweep:{identity}")
    lab.page.reload()
    lab.ready()
    lab.page.get_by_role("tab", name="Sweeps", exact=True).click()
    expect(row).to_contain_text("Done")
    lab.page.get_by_role("tab", name="sweeping", exact=True).click()
    one.get_by_role("button", name="Show runs").click()


def one_is_deleted(lab: LabPage) -> None:
    """From the list, after a question."""
    page = lab.main_page("genops:open-sweeps", "genops-sweeps")
    page.get_by_role("searchbox", name="Filter").fill("")
    delete = page.get_by_role("button", name="Delete the sweep “halted”")
    question = lab.page.get_by_role("dialog", name="Delete the sweep “halted”?")
    for answer, left in (("Cancel", 1), ("Delete", 0)):
        delete.click()
        question.get_by_role("button", name=answer).click()
        expect(question).to_have_count(0)
        expect(page.get_by_role("row", name=re.compile("^halted"))).to_have_count(left)
    expect(page.get_by_role("row", name=re.compile("^sweeping"))).to_have_count(1)


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
    the_pages_of_sweeps(lab)
    table = lab.page.get_by_role("grid")
    expect(table.get_by_text("sweeping 2")).to_be_visible()
    expect(lab.page.get_by_text(re.compile(r"^3 (of \d+ )?runs$")).first).to_be_visible()
    lab.shot("sweep-table", width=1280, height=900)

    lab.page.locator("#jp-main-dock-panel").get_by_role("tab", name="sweeping.ipynb").click()
    lab.page.evaluate(
        "() => { const notebook = window.jupyterapp.shell.currentWidget.content;"
        " notebook.activeCellIndex = notebook.widgets.length - 1; }"
    )
    lab.execute("notebook:run-cell")
    view = lab.page.get_by_role("group", name="Sweep halted")
    view.get_by_role("button", name="Stop the sweep halted").click(timeout=60_000)
    expect(view.get_by_text("Stopped by the user.").first).to_be_visible(timeout=60_000)
    one_is_deleted(lab)
    assert lab.problems == [], lab.problems
