"""The inline view in Notebook 7, from the installed wheel: its code travels with the message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import CHROMIUM, WHY_NOT, chromium, lab_page
from tests.support.environments import NEWEST, environment_with_wheel, find_python
from tests.support.homes import Home
from tests.support.lab_server import running_lab

CELLS = [
    "%load_ext genops_lab",
    "%%track --name seven --experiment seven\n"
    "import time\n"
    "import genops\n"
    "from pathlib import Path\n"
    "step = 0\n"
    "while not Path('seen').exists():\n"
    "    genops.log({'loss': 1 / (step + 1)}, step=step)\n"
    "    step += 1\n"
    "    time.sleep(0.2)",
]


def _notebook(path: Path) -> None:
    cells = [
        {
            "cell_type": "code",
            "id": f"c{n}",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": source,
        }
        for n, source in enumerate(CELLS)
    ]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(CHROMIUM is None, reason=WHY_NOT)
def test_a_tracked_cell_draws_its_live_view_in_notebook_7(home: Home) -> None:
    python = find_python(13)
    if python is None:
        pytest.skip("no Python 3.13 on this machine")
    interpreter = environment_with_wheel(python, *NEWEST)
    _notebook(home.work / "seven.ipynb")
    arguments = ["--JupyterNotebookApp.expose_app_in_browser=True"]
    with (
        running_lab(home, python=interpreter, application="notebook", arguments=arguments) as server,
        chromium() as browser,
        lab_page(browser, server) as lab,
    ):
        lab.page.goto(f"{server.url}notebooks/seven.ipynb?token={server.token}")
        lab.page.locator(".jp-Notebook .jp-CodeCell").nth(1).wait_for(timeout=60_000)
        lab.page.wait_for_function("() => window.jupyterapp?.commands.hasCommand('notebook:run-all-cells')")
        idle = lab.page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']")
        idle.first.wait_for(state="attached", timeout=60_000)
        # The indicator says idle before there is a session: to run cells then asks which kernel to take.
        lab.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget?.sessionContext.session?.kernel?.status === 'idle'",
            timeout=60_000,
        )
        lab.execute("notebook:run-all-cells")
        live = lab.page.locator(".gol-run")
        expect(live.get_by_text("Running").first).to_be_visible(timeout=90_000)
        expect(live.get_by_role("img", name="loss").first).to_be_visible(timeout=30_000)
        lab.shot("notebook7-live")
        (home.work / "seen").touch()
        picture = lab.page.locator(".jp-OutputArea img[src^='data:image/svg']")
        expect(picture.first).to_be_visible(timeout=60_000)
        expect(live).to_have_count(0)
