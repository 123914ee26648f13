"""What a profile's overview shows without a scroll: where the time went, and the advice that saves most."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.support import exhaustive
from tests.support.browser import PICTURES_ASKED, LabPage
from tests.support.lab_server import LabServer

from .timeline_page import SOURCE, overview, put_trace

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

HEIGHT = 900
SHORT = "%%profile\nx = torch.ones(400, 400)\ny = x @ x"
#: Training on the host that waits for its data: it has steps, and something to advise.
CELL = """%%profile --title cell --warmup 1 --steps 10
import time
from torch.utils.data import DataLoader, Dataset
class Slow(Dataset):
    def __len__(self):
        return 64
    def __getitem__(self, index):
        time.sleep(0.004)
        return torch.ones(64)
model = torch.nn.Linear(64, 1)
optimizer = torch.optim.SGD(model.parameters(), 0.01)
for batch in DataLoader(Slow(), batch_size=4):
    loss = model(batch).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    loss.item()
"""


def first_screen(lab: LabPage, panel: Locator, name: str) -> None:
    """Both come first, at each width, beside an open file browser and without it; no theme moves anything."""
    pictures = PICTURES_ASKED or exhaustive.ALL
    for width in (1000, 1280, 1920):
        for around in ("browser", "alone"):
            for theme in ("dark", "light") if pictures else ("light",):
                lab.theme(theme)
                lab.shot(f"profile-first-{name}-{width}-{around}-{theme}", width=width, height=HEIGHT)
            time, advice, steps = (
                panel.get_by_role("region", name=title, exact=True).bounding_box()
                for title in ("Where the time was spent", "Advice", "Steps")
            )
            best = panel.get_by_role("article").first.bounding_box()
            assert time and advice and steps and best
            assert time["y"] + time["height"] < HEIGHT, (width, around)
            assert best["y"] + min(best["height"], 120) < HEIGHT, (width, around)
            assert advice["y"] < steps["y"] and time["y"] < steps["y"], (width, around)
            beside = width > 1000 or around == "alone"
            assert (advice["x"] > time["x"]) == beside, "else they stand below each other"
            lab.execute("application:toggle-left-area")
            lab.still()


@pytest.mark.skipif(not SOURCE.is_file(), reason=f"the real trace {SOURCE.name} is not here")
def test_of_a_real_trace(lab: LabPage, server: LabServer) -> None:
    put_trace(server)
    overview(lab)
    panel = lab.page.locator(".gol-Profile:visible")
    expect(panel.get_by_text("216,092 events")).to_be_visible(timeout=60_000)
    first_screen(lab, panel, "real")


@pytest.mark.exhaustive
def test_of_cells_on_the_host(lab: LabPage, server: LabServer) -> None:
    import nbformat

    pytest.importorskip("torch", reason="PyTorch is an extra")
    cells = ["%load_ext genops_lab\nimport torch", SHORT, CELL]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, server.home.work / "profiled.ipynb")
    lab.open_notebook("profiled.ipynb")
    lab.run_all()
    lab.wait_for_last_cell(120_000)
    links = lab.page.locator(".jp-NotebookPanel").get_by_role("link", name="Open", exact=True)
    links.first.click()
    panel = lab.page.locator(".gol-Profile:visible")
    expect(panel.get_by_role("definition").first).to_have_text(re.compile(r"^\d+ %$"))
    panel.get_by_role("tab", name="Cells and lines").click()
    expect(panel.get_by_text("Nothing ran on a device")).to_be_visible()
    row = panel.get_by_role("row").filter(has_text="y = x @ x")
    expect(row.get_by_role("cell").first).to_have_text(re.compile(r"^[\d.]+ .s$"))
    row.get_by_role("button").click()
    expect(lab.page.locator(".jp-NotebookPanel:visible .jp-Notebook")).to_be_visible()

    links.last.click()
    expect(panel.get_by_role("heading", name="cell", exact=True)).to_be_visible()
    expect(panel.get_by_role("article").first).to_be_visible(timeout=60_000)
    first_screen(lab, panel, "cell")
