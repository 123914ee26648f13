"""The pictures of the README, made from the real thing: the quickstart run in a real JupyterLab, and a notebook
whose kernel runs on a host behind a real sshd."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser  # noqa: E402

from tests.support.browser import CHROMIUM, WHY_NOT, LabPage, chromium, lab_page  # noqa: E402
from tests.support.homes import temporary_home  # noqa: E402
from tests.support.lab_server import running_lab  # noqa: E402
from tests.support.many_runs import fill  # noqa: E402
from tests.support.sshd import Sshd  # noqa: E402

PICTURES = ROOT / "docs" / "images"
WIDTH, HEIGHT = 1440, 900


def _look(lab: LabPage) -> None:
    """The sidebar at a useful width, the notebook at its tracked cell."""
    separator = lab.page.locator("#jp-main-split-panel > .lm-SplitPanel-handle").first
    box = separator.bounding_box()
    assert box is not None
    lab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 300)
    lab.page.mouse.down()
    lab.page.mouse.move(410, box["y"] + 300, steps=8)
    lab.page.mouse.up()


def quickstart(browser: Browser) -> None:
    """The quickstart, run."""
    with temporary_home() as home:
        shutil.copy(ROOT / "examples" / "quickstart.ipynb", home.work)
        with running_lab(home) as server, lab_page(browser, server, width=WIDTH, height=HEIGHT) as lab:
            lab.open()
            lab.open_notebook("quickstart.ipynb")
            for name in ("Compute", "Runs", "Profiles", "Models", "Deployments"):
                lab.section(name)
            _look(lab)
            lab.run_all()
            deployments = lab.section("Deployments")
            deployments.get_by_text("Running").first.wait_for(timeout=180_000)
            lab.wait_for_last_cell(240_000)
            lab.page.locator(".jp-Cell", has_text="%%track --name").last.scroll_into_view_if_needed()
            _in_both_themes(lab, "quickstart")


def targets(browser: Browser) -> None:
    """A notebook that runs on another host, with what can be done about it."""
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    with Sshd(alias="gpu-box", environment={"PATH": path}) as host, temporary_home() as home:
        folder = home.path / ".ssh"
        folder.mkdir(mode=0o700)
        (folder / "config").write_text(host.write_config(IdentityAgent=None).read_text())
        cells = [
            "import platform\nplatform.node()",
            'import time\n\nfor step in range(1000):\n    print(f"step {step}")\n    time.sleep(1)',
        ]
        notebook = {
            "cells": [
                {"cell_type": "code", "id": f"cell-{number}", "source": source, "metadata": {}, "outputs": [],
                 "execution_count": None}
                for number, source in enumerate(cells)
            ],
            "metadata": {"kernelspec": {"name": "genops-gpu-box", "display_name": "Python 3 (gpu-box)"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }  # fmt: skip
        (home.work / "train.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
        with running_lab(home) as server, lab_page(browser, server, width=WIDTH, height=HEIGHT) as lab:
            body = {"name": "gpu-box", "host": "gpu-box", "price_per_hour": 2.1}
            status, answer = server.request("POST", "genops/targets", body)
            assert status == 200, answer
            lab.open()
            compute = lab.section("Compute")
            lab.execute("docmanager:open", {"path": "train.ipynb"})
            _look(lab)
            compute.get_by_role("meter", name="Memory").nth(1).wait_for(timeout=90_000)
            lab.run_all()
            lab.page.get_by_text("step 5").wait_for(timeout=90_000)
            compute.get_by_role("button", name="Running kernels").click()
            for theme in ("light", "dark"):
                lab.theme(theme)
                item = lab.page.locator(".gol-TargetItem-button:visible")
                item.click()
                lab.page.wait_for_timeout(1500)
                lab.page.screenshot(path=PICTURES / f"targets-{theme}.png")
                lab.page.keyboard.press("Escape")


def runs(browser: Browser) -> None:
    """The run table on 10,000 runs."""
    with temporary_home() as home, running_lab(home) as server:
        server.get("genops/runs")
        fill(home.data / "mlflow" / "mlflow.db", 10_000)
        with lab_page(browser, server, width=1720, height=760) as lab:
            lab.open()
            lab.execute("application:toggle-left-area")
            lab.execute("genops:open-runs")
            table = lab.page.locator(".gol-RunTable")
            query = table.get_by_role("combobox", name="Query")
            query.fill("metrics.accuracy > 0.9 AND params.model = 'cnn'")
            query.press("Enter")
            table.get_by_text("of 10,000 runs").wait_for()
            table.get_by_role("button", name="Run ANALYZE").click()
            column = table.get_by_role("columnheader", name="accuracy metric")
            column.click(button="right")
            lab.page.get_by_role("menuitem", name="Colour by Value").click()
            column.click(modifiers=["Shift"])
            column.click(modifiers=["Shift"])
            rows = table.locator(".rdg-row")
            rows.nth(1).get_by_role("checkbox").click()
            rows.nth(3).get_by_role("checkbox").click(modifiers=["Shift"])
            table.get_by_text("3 selected").wait_for()
            _in_both_themes(lab, "runs")


def _in_both_themes(lab: LabPage, name: str) -> None:
    for theme in ("light", "dark"):
        lab.theme(theme)
        lab.page.wait_for_timeout(1500)
        lab.page.screenshot(path=PICTURES / f"{name}-{theme}.png")


def main() -> None:
    if CHROMIUM is None:
        sys.exit(WHY_NOT)
    chosen = sys.argv[1:] or list(MADE)
    PICTURES.mkdir(parents=True, exist_ok=True)
    with chromium() as browser:
        for name in chosen:
            MADE[name](browser)
    print("\n".join(str(path.relative_to(ROOT)) for path in sorted(PICTURES.glob("*.png"))))


MADE = {"quickstart": quickstart, "targets": targets, "runs": runs}

if __name__ == "__main__":
    main()
