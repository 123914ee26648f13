"""A cell that is profiled in a notebook here, as far as its own lines."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_cell_that_is_profiled_here_leads_to_its_lines(lab: LabPage, server: LabServer) -> None:
    import nbformat

    pytest.importorskip("torch", reason="PyTorch is an extra")
    cells = ["%load_ext genops_lab\nimport torch", "%%profile\nx = torch.ones(400, 400)\ny = x @ x"]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, server.home.work / "here.ipynb")
    lab.open_notebook("here.ipynb")
    lab.run_all()
    lab.wait_for_last_cell(120_000)
    lab.page.get_by_role("link", name="Open", exact=True).last.click()
    panel = lab.page.locator(".gol-Profile:visible")
    expect(panel.get_by_role("definition").first).to_have_text(re.compile(r"^\d+ %$"))
    panel.get_by_role("tab", name="Cells and lines").click()
    expect(panel.get_by_text("Nothing ran on a device")).to_be_visible()
    row = panel.get_by_role("row").filter(has_text="y = x @ x")
    expect(row.get_by_role("cell").first).to_have_text(re.compile(r"^[\d.]+ .s$"))
    row.get_by_role("button").click()
    expect(lab.page.locator(".jp-NotebookPanel:visible .jp-Notebook")).to_be_visible()
