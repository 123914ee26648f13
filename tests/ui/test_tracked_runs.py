"""Tracked cells and what the panel shows of runs: their cards, those below them, what they printed, their notebook."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Locator, expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer

from .programs import run_script

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(180)]

RUNS = """
import genops
with genops.run("long", experiment="Panel"):
    for step in range(0, 200_001, 500):
        genops.log({"accuracy": step / 200_000}, step=step)
with genops.run("parent", experiment="Panel"):
    print("\\x1b[1mwhat the sweep printed\\x1b[0m")
    for rate in (0.1, 0.01):
        with genops.run(f"rate-{rate}", params={"rate": rate}):
            genops.log({"loss": rate})
"""


@pytest.fixture(scope="module")
def _runs(server: LabServer) -> None:
    run_script(server, RUNS)


@pytest.mark.usefixtures("_runs")
def test_the_runs_above_and_below_and_what_was_printed(lab: LabPage) -> None:
    section = lab.section("Runs")
    section.get_by_role("button", name=re.compile("^parent")).click()
    below = section.get_by_role("button", name="Child runs")
    expect(below).to_have_attribute("aria-expanded", "true")
    section.get_by_role("button", name="Output").click()
    printed = section.get_by_role("region", name="Output of the run to stdout")
    expect(printed).to_have_text("what the sweep printed\n")
    printed.scroll_into_view_if_needed()
    lab.looks("run-below", "#genops-lab-panel", (1280, 1100))
    section.get_by_role("button", name="rate-0.01", exact=True).click()
    expect(section.get_by_role("button", name="Parent run")).to_be_visible()
    section.get_by_role("button", name="parent", exact=True).click()
    expect(below).to_be_visible()
    assert lab.problems == []


#: How many dots of a chart's last column, beside its x axis, have something in them.
AT_THE_EDGE = """canvas => {
    const {width, height} = canvas;
    const {data} = canvas.getContext('2d').getImageData(width - 1, height - 16, 1, 16);
    return data.filter((value, at) => at % 4 === 3 && value > 0).length;
}"""


@pytest.mark.usefixtures("_runs")
def test_the_last_step_of_a_curve_is_written_whole(lab: LabPage) -> None:
    section = lab.section("Runs")
    section.get_by_role("button", name=re.compile("^long")).first.click()
    curve = section.get_by_role("img", name=re.compile("^accuracy by step"))
    curve.scroll_into_view_if_needed()
    expect(curve.locator("canvas")).to_be_visible()
    for width in (1280, 1920):
        lab.shot(f"curve-{width}", width=width, height=1100)
        assert curve.locator("canvas").evaluate(AT_THE_EDGE) == 0
    assert lab.problems == []


#: Trains until the file is there.
TRACKED = """%%track --name {name} --experiment Cards
import os, time, genops
api_key = 'hunter2hunter2'
step = 0
while not os.path.exists({go!r}):
    genops.log({{"loss": 1 / (1 + step)}})
    step += 1
    time.sleep(0.1)
"""
BOX = "cards-box"
LONG_MS = 120_000


@pytest.fixture(scope="module")
def box(server: LabServer) -> Iterator[str]:
    """The kernel of a target on this machine."""
    target = {"name": BOX, "kind": "local", "python": sys.executable}
    status, answer = server.request("POST", "genops/targets", target)
    assert status in (200, 201), answer
    yield f"genops-{BOX}"
    server.request("DELETE", f"genops/targets/{BOX}?force=true")


def begun(lab: LabPage, folder: Path, name: str, kernel: str, *, saved: bool = True) -> Path:
    """Track a cell in a notebook, which is ``saved`` while the cell runs; the file that ends the cell."""
    go = folder / f"{name}.go"
    sources = ["%load_ext genops_lab", TRACKED.format(name=name, go=str(go))]
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for i, source in enumerate(sources)
    ]  # fmt: skip
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
    notebook = folder / f"{name}.ipynb"
    notebook.write_text(
        json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
    )
    lab.page.evaluate("() => window.jupyterapp.serviceManager.kernelspecs.refreshSpecs()")
    lab.execute("docmanager:open", {"path": str(notebook.relative_to(lab.server.home.work))})
    expect(lab.page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle")).first).to_be_visible(
        timeout=LONG_MS
    )
    lab.run_all()
    expect(card(lab)).to_contain_text("loss", timeout=LONG_MS)
    if saved:
        lab.execute("docmanager:save")
    while saved and f"Run {name}" not in notebook.read_text():
        time.sleep(0.1)
    return go


def card(lab: LabPage) -> Locator:
    """The live card of the tracked cell."""
    return lab.page.locator(".jp-NotebookPanel .gol-run")


def no_problems(lab: LabPage) -> None:
    """Nothing but what JupyterLab itself says of a page that leaves a busy kernel."""
    lab.problems[:] = [each for each in lab.problems if "create_subshell_request" not in each]
    assert lab.problems == []


def loss(lab: LabPage) -> float:
    """The last loss that the card shows."""
    return float(card(lab).locator(".gol-run-value").first.inner_text())


def is_live_after_a_reload(lab: LabPage) -> Locator:
    """Reload the page while the cell runs; the cell's output, where its card goes on."""
    before = loss(lab)
    lab.page.reload()
    lab.ready()
    expect(card(lab).locator(".gol-view-badge")).to_have_text("Running")
    expect(card(lab).get_by_role("img", name=re.compile("^Chart of loss"))).to_be_visible()
    assert loss(lab) < before
    outputs = lab.page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output")
    expect(outputs).to_have_count(1)
    assert outputs.evaluate("node => node.scrollHeight - node.clientHeight") <= 0, (
        "it has a scrollbar of its own"
    )
    return outputs


def test_a_card_goes_on_after_a_reload_and_its_run_ends_while_no_page_is_there_and_is_restored(
    lab: LabPage, folder: Path, server: LabServer
) -> None:
    go = begun(lab, folder, "away", "python3")
    is_live_after_a_reload(lab)
    lab.looks("card-reloaded", ".jp-NotebookPanel .gol-run", (1280, 800))
    lab.page.goto("about:blank")
    go.touch()
    asked = quote("attributes.run_name = 'away' AND status = 'FINISHED'")
    while not (found := server.get(f"genops/runs?filter={asked}")["runs"]):
        time.sleep(0.2)
    lab.open(reset=False)
    expect(card(lab).locator(".gol-view-badge")).to_have_text("Finished")
    expect(card(lab).get_by_role("img", name=re.compile("^Chart of loss: loss"))).to_be_visible()

    # The notebook again, from the run, by keyboard.
    experiments = lab.section("Runs")
    experiments.get_by_role("button", name="away").first.click()
    experiments.get_by_role("button", name="Restore notebook").press("Enter")
    name = f"away-{found[0]['run_id'][:8]}.ipynb"
    tab = lab.page.locator(".lm-DockPanel-tabBar").get_by_role("tab", name=name)
    expect(tab).to_have_attribute("aria-selected", "true")
    shown = lab.page.locator(".jp-NotebookPanel:visible")
    expect(shown.get_by_role("heading", name="away")).to_be_visible()
    expect(shown.get_by_role("strong").filter(has_text="The next cell is incomplete:")).to_be_visible()
    expect(shown.locator(".jp-CodeCell")).to_have_count(2)
    expect(lab.page.get_by_text("A mark replaces 1 secret")).to_be_visible()
    written = json.loads((folder / name).read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in written["cells"] if cell["cell_type"] == "code"]
    cells = ["%load_ext genops_lab", TRACKED.format(name="away", go=str(go)).rstrip()]
    assert sources == [each.replace("hunter2hunter2", "[redacted: secret variable]") for each in cells]
    no_problems(lab)


@pytest.mark.exhaustive
@pytest.mark.parametrize("place", ["here", "there", "unsaved"])
def test_a_tracked_cells_card_lives_through_a_reload_to_its_end(
    lab: LabPage, folder: Path, request: pytest.FixtureRequest, place: str
) -> None:
    kernel = request.getfixturevalue("box") if place == "there" else "python3"
    go = begun(lab, folder, f"reload-{place}", kernel, saved=place != "unsaved")
    outputs = is_live_after_a_reload(lab)
    lab.looks(f"card-reloaded-{place}", ".jp-NotebookPanel .gol-run", (1280, 800))
    go.touch()
    expect(
        outputs.get_by_role("img", name=re.compile("^Chart of loss")).and_(lab.page.locator("img"))
    ).to_be_visible()
    expect(outputs).to_contain_text("Finished")
    no_problems(lab)


CREATE = """() => fetch('ajax-api/2.0/mlflow/experiments/create', {
    method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{"name": "x"}'
}).then(answer => answer.status)"""


@pytest.mark.usefixtures("_runs")
def test_mlflows_own_page_of_a_run_opens_in_a_tab_and_changes_nothing(lab: LabPage) -> None:
    section = lab.section("Runs")
    section.get_by_role("button", name=re.compile("^long")).first.click()
    with lab.page.expect_popup() as popup:
        section.get_by_role("button", name="Open in MLflow").click()
    page = popup.value
    expect(
        page.get_by_role("heading", name="long").or_(page.get_by_text("long", exact=True)).first
    ).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("accuracy").first).to_be_visible()
    address = page.evaluate("() => document.baseURI")
    assert re.match(r"http://127\.0\.0\.1:\d+/#/experiments/\d+/runs/\w{32}", address), "no key in it"
    assert page.evaluate("() => window.opener") is None
    assert page.evaluate(CREATE) == 403
    page.close()
    no_problems(lab)
