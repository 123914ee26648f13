"""A tracked cell, the notebook gone, and the notebook again from the panel."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

CELLS = [
    "%load_ext genops_lab",
    "width = 2  # ünï",
    "%%track --name restorable\nimport genops\nlr = 0.1\napi_key = 'hunter2hunter2'\ngenops.log({'loss': 1.0})",
]


def test_a_tracked_cell_comes_back_as_a_notebook(lab: LabPage, server: LabServer) -> None:
    import nbformat

    work = server.home.work / "lessons"
    work.mkdir(exist_ok=True)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS])
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    nbformat.write(notebook, work / "first.ipynb")
    lab.open_notebook("lessons/first.ipynb")
    lab.run_all()
    lab.wait_for_last_cell(90_000)

    experiments = lab.section("Experiments")
    row = experiments.get_by_role("button", name="restorable")
    row.first.click()
    restore = experiments.get_by_role("button", name="Restore notebook")
    expect(restore).to_be_visible()
    restore.focus()
    lab.page.keyboard.press("Enter")

    (run,) = [each for each in server.get("genops/runs")["runs"] if each["name"] == "restorable"]
    name = f"restorable-{run['run_id'][:8]}.ipynb"
    tab = lab.page.locator(".lm-DockPanel-tabBar").get_by_role("tab", name=name)
    expect(tab).to_have_attribute("aria-selected", "true")
    shown = lab.page.locator(".jp-NotebookPanel:visible")
    expect(shown.get_by_role("heading", name="restorable")).to_be_visible()
    expect(shown.get_by_role("strong").filter(has_text="The next cell is not whole:")).to_be_visible()
    expect(shown.locator(".jp-CodeCell")).to_have_count(len(CELLS))
    expect(lab.page.get_by_text("1 secret was taken out before it was kept")).to_be_visible()
    written = json.loads((work / name).read_text(encoding="utf-8"))
    sources = ["".join(cell["source"]) for cell in written["cells"] if cell["cell_type"] == "code"]
    assert sources[:2] == CELLS[:2]
    assert sources[2] == CELLS[2].replace("hunter2hunter2", "[redacted: secret variable]")
    lab.looks("restored", "#genops-lab-panel", (1400, 900), daily=False)

    # A second time: another name, and nothing is written over.
    restore.click()
    again = lab.page.locator(".lm-DockPanel-tabBar").get_by_role(
        "tab", name=name.replace(".ipynb", "-1.ipynb")
    )
    expect(again).to_have_attribute("aria-selected", "true")
    assert (work / name).exists()
    assert lab.problems == []
