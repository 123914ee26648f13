"""Pictures, histograms and tables by step: logged in a notebook, seen live in the panel, and side by side."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.support.browser import LabPage
from tests.support.lab_server import LabServer

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

LOGGED = """import genops, numpy as np
from pathlib import Path
rng = np.random.default_rng({seed})
size = 300
y, x = np.mgrid[0:size, 0:size] / size
def draw(step):
    picture = np.stack([x * step / 100, y, np.full_like(x, 0.2 + {seed} / 2)], axis=2)
    genops.log_image("val/samples", picture, step=step)
    genops.log_histogram("layer.0/weight", np.append(rng.normal({seed}, 0.1 + step / 100, 2000), [np.nan]), step=step)
    genops.log_table("answers", [{{"prompt": "<script>alert(1)</script>", "answer": f"at {{step}}"}}], step=step)
"""
CELLS = [
    "%load_ext genops_lab",
    LOGGED.format(seed=0),
    """%%track --name pictures
import time
for step in range(0, 100, 10):
    draw(step)
go_on = Path("go-on")
while not go_on.exists():
    time.sleep(0.05)
draw(100)""",
    LOGGED.format(seed=1),
    """%%track --name other
for step in range(0, 60, 20):
    draw(step)""",
]


def written(server: LabServer) -> None:
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in CELLS])
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
    }
    nbformat.write(notebook, server.home.work / "media.ipynb")


def colour(picture: Locator) -> list[int]:
    """Of the pixel at the lower right."""
    return picture.evaluate(  # type: ignore[no-any-return]
        """async image => {
          await image.decode();
          const canvas = document.createElement('canvas');
          canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
          const context = canvas.getContext('2d');
          context.drawImage(image, 0, 0);
          return [...context.getImageData(canvas.width - 1, canvas.height - 1, 1, 1).data.slice(0, 3)];
        }"""
    )


def test_media_are_seen_while_the_run_goes_on_and_side_by_side(lab: LabPage, server: LabServer) -> None:
    written(server)
    page = lab.page
    lab.open_notebook("media.ipynb")
    lab.run_all()
    experiments = lab.section("Runs")
    experiments.get_by_role("button", name="pictures").first.click()
    detail = experiments.get_by_role("region", name="Run pictures")
    slider = detail.get_by_role("slider", name="Step")
    expect(slider).to_have_attribute("aria-valuetext", "step 90")
    # Only what is seen is fetched.
    picture = detail.get_by_role("img", name="val/samples at step 90")
    slider.scroll_into_view_if_needed()
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") == 300
    assert colour(picture) == [229, 254, 51]
    detail.get_by_role("figure").last.scroll_into_view_if_needed()
    spread = detail.get_by_role("img", name=re.compile(r"layer.0.weight: step 90 · 2,000 values .* · 1 NaN"))
    expect(spread).to_be_visible()
    expect(detail.get_by_role("cell", name="at 90")).to_be_visible()
    expect(detail.get_by_role("cell", name="<script>alert(1)</script>")).to_be_visible()

    # Earlier steps by the keyboard; then what comes does not take the person away from there.
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(detail.get_by_role("img", name="val/samples at step 60")).to_be_visible()
    expect(detail.get_by_role("cell", name="at 60")).to_be_visible()
    lab.shot("media-live")
    (server.home.work / "go-on").touch()
    expect(slider).to_have_attribute("max", "10")
    lab.wait_for_last_cell(90_000)  # its row has another place in the list then
    expect(slider).to_have_attribute("aria-valuetext", "step 60")
    detail.get_by_role("figure").first.scroll_into_view_if_needed()
    slider.press("End")
    last = detail.get_by_role("img", name="val/samples at step 100")
    expect(last).to_be_visible()
    assert colour(last) == [254, 254, 51]
    slider.evaluate("node => node.scrollIntoView()")
    lab.looks("media-panel", "#genops-lab-panel", (1280, 800))

    runs = {run["name"]: run["run_id"] for run in server.get("genops/runs")["runs"]}
    lab.execute("genops:compare-runs", {"run_ids": [runs["pictures"], runs["other"]]})
    view = page.locator(".gol-Comparison:visible")
    media = view.get_by_role("region", name="Media")
    expect(media.get_by_role("img", name="val/samples of A pictures at step 100")).to_be_visible()
    expect(media.get_by_role("img", name="val/samples of B other at step 40")).to_be_visible()
    slider = media.get_by_role("slider", name="Step")
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    one, other = (
        media.get_by_role("img", name=f"val/samples of {name} at step 20")
        for name in ("A pictures", "B other")
    )
    expect(one).to_be_visible()
    expect(other).to_be_visible()
    assert (colour(one)[2], colour(other)[2]) == (51, 179)
    media.evaluate("node => node.scrollIntoView()")
    lab.looks("media-comparison", ".gol-Comparison", (1920, 1080), daily=False)
    # They are in no other section, where each would differ by its name alone.
    expect(view.get_by_text(re.compile(r"\+step\+"))).to_have_count(0)
    # Beside the table, too.
    lab.execute("genops:open-runs")
    table = page.locator(".gol-RunTable-host:visible")
    table.get_by_role("gridcell", name="pictures").first.dblclick()
    table.get_by_role("slider", name="Step").scroll_into_view_if_needed()
    expect(table.get_by_role("img", name="val/samples at step 100")).to_be_visible()
    lab.shot("media-table", width=1920, height=1080)
    assert lab.problems == []
