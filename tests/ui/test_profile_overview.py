"""What a profile's overview shows without a scroll: where the time went, and the advice that saves most."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab
from tests.support.real_traces import real_trace

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

TRACE = real_trace("v100_2rank_nccl.json.gz")
HEIGHT = 900
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


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    with running_lab(module_home) as found:
        yield found


@pytest.fixture(scope="module")
def lab(browser: Browser, server: LabServer) -> Iterator[LabPage]:
    """One page for all."""
    with lab_page(browser, server) as page:
        page.open()
        yield page


def first_screen(lab: LabPage, panel: Locator, name: str) -> None:
    """Both come first, at each width, beside an open file browser and without it, in both themes."""
    for width in (1000, 1280, 1920):
        for around in ("browser", "alone"):
            for theme in ("dark", "light"):
                lab.theme(theme)
                lab.shot(f"profile-first-{name}-{width}-{around}-{theme}", width=width, height=HEIGHT)
            time, advice, steps = (
                panel.get_by_role("region", name=title, exact=True).bounding_box()
                for title in ("Where the time went", "Advice", "Steps")
            )
            best = panel.get_by_role("article").first.bounding_box()
            assert time and advice and steps and best
            assert time["y"] + time["height"] < HEIGHT, (width, around)
            assert best["y"] + min(best["height"], 120) < HEIGHT, (width, around)
            assert advice["y"] < steps["y"] and time["y"] < steps["y"], (width, around)
            beside = width > 1000 or around == "alone"
            assert (advice["x"] > time["x"]) == beside, "else they stand below each other"
            lab.execute("application:toggle-left-area")
            lab.page.wait_for_timeout(300)


@pytest.mark.skipif(not TRACE.is_file(), reason=f"the real trace {TRACE.name} is not here")
def test_of_a_real_trace(lab: LabPage, server: LabServer) -> None:
    shutil.copy(TRACE, server.home.work / "t.json.gz")
    lab.execute("genops:open-profile", {"path": "t.json.gz"})
    panel = lab.page.locator(".gol-Profile:visible")
    expect(panel.get_by_text("216,092 events")).to_be_visible(timeout=60_000)
    first_screen(lab, panel, "real")


def test_of_a_cell_on_the_host(lab: LabPage, server: LabServer) -> None:
    import nbformat

    pytest.importorskip("torch", reason="PyTorch is an extra")
    cells = ["%load_ext genops_lab\nimport torch", CELL]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, server.home.work / "cell.ipynb")
    lab.open_notebook("cell.ipynb")
    lab.run_all()
    lab.wait_for_last_cell(120_000)
    lab.page.get_by_role("link", name="Open", exact=True).last.click()
    panel = lab.page.locator(".gol-Profile:visible")
    expect(panel.get_by_role("article").first).to_be_visible(timeout=60_000)
    first_screen(lab, panel, "cell")
