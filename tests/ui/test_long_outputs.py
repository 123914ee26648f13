"""Cells that put out more than a browser can hold: the page stays alive, the file small, and nothing is lost."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from genops_lab.kernels.outputs.output_limits import EXCERPT_MIME
from tests.support import exhaustive
from tests.support.browser import CLOSE_ALL, LabPage
from tests.support.lab_server import LabServer

from .test_recovery import LONG_MS, opened

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(600)]

#: 100 MB, a fiftieth of it daily; one line in red
LINES = 1_000_000 if exhaustive.ALL else 20_000
RED = LINES * 65 // 100
#: Its last lines come one by one until the file ``go`` is there: the page is used and reloaded meanwhile.
PRINT = f"""
import os, time
for i in range({LINES}):
    print(f"line {{i:07d}} " + ("\\x1b[31mred\\x1b[0m " * 9 if i == {RED} else "") + "x" * 87)
while not os.path.exists(GO):
    i += 1
    print(f"line {{i:07d}} " + "x" * 87)
    time.sleep(0.25)
f"{{i + 1}} lines"
"""
DISPLAYS = 100_000 if exhaustive.ALL else 3_000
DISPLAY = f"""
from IPython.display import display
for i in range({DISPLAYS}):
    display(f"display {{i}}")
"""
FILE_BYTES = 4_000_000
BOX = "long-box"


@pytest.fixture(scope="module")
def box(server: LabServer) -> Iterator[str]:
    """The kernelspec of a target on this machine: what such kernels put out is recorded."""
    target = {"name": BOX, "kind": "local", "python": sys.executable}
    status, answer = server.request("POST", "genops/targets", target)
    assert status in (200, 201), answer
    yield f"genops-{BOX}"
    for session in server.get("api/sessions"):
        server.request("DELETE", f"api/sessions/{session['id']}")
    server.request("DELETE", f"genops/targets/{BOX}?force=true")


def written(path: Path, kernel: str, *sources: str) -> None:
    """Write a notebook."""
    cells = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
        for i, source in enumerate(sources)
    ]  # fmt: skip
    metadata = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
    path.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))


def cell(lab: LabPage, number: int) -> Locator:
    return lab.page.locator(".jp-NotebookPanel:visible .jp-CodeCell").nth(number)


def run(lab: LabPage, number: int) -> None:
    """Run one cell."""
    lab.page.evaluate(
        "number => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = number; }", number
    )
    lab.execute("notebook:run-cell")


def finished(lab: LabPage, number: int) -> None:
    expect(cell(lab, number).locator(".jp-InputPrompt")).to_have_text(
        re.compile(r"\[\d+\]:"), timeout=3 * LONG_MS
    )


def answers(lab: LabPage) -> None:
    """A click on something is answered while the outputs come."""
    lab.page.get_by_role("menuitem", name="Help", exact=True).click()
    expect(lab.page.locator(".lm-Menu").first).to_be_visible()
    lab.page.keyboard.press("Escape")
    expect(lab.page.locator(".lm-Menu")).to_have_count(0)


def saved(lab: LabPage, path: Path, number: int) -> list[dict[str, Any]]:
    """The outputs of a cell in the file once the run's number is there."""
    lab.execute("docmanager:save")
    deadline = time.monotonic() + LONG_MS / 1000
    while True:
        try:
            found = json.loads(path.read_text())["cells"][number]
        except ValueError:  # Jupyter is writing it
            found = {}
        if found.get("execution_count"):
            assert path.stat().st_size < FILE_BYTES
            return list(found["outputs"])
        assert time.monotonic() < deadline, "the page did not save"
        time.sleep(0.2)


def wait_for_output(server: LabServer) -> None:
    """The Lab knows that the saved document has all: page and recorder agree."""
    (kernel_id,) = [each["id"] for each in server.get("api/kernels")]
    deadline = time.monotonic() + LONG_MS / 1000
    while server.get(f"genops/kernels/{kernel_id}/executions")["executions"]:
        assert time.monotonic() < deadline, "the document is not known to hold the outputs"
        time.sleep(0.2)


def test_more_text_and_displays_than_a_page_holds(
    lab: LabPage, server: LabServer, folder: Path, box: str
) -> None:
    go, path = folder / "go", folder / "long.ipynb"
    written(path, box, f"GO = {str(go)!r}\n{PRINT}", DISPLAY)
    name = str(path.relative_to(server.home.work))
    lab.page.evaluate("() => window.jupyterapp.serviceManager.kernelspecs.refreshSpecs()")
    opened(lab, name)

    # Text, with a reload while it is printed.
    run(lab, 0)
    excerpt = cell(lab, 0).locator(".gol-Excerpt")
    expect(excerpt).to_contain_text("not shown so far", timeout=LONG_MS)
    answers(lab)
    lab.page.reload()
    lab.ready()
    expect(excerpt).to_contain_text("not shown so far", timeout=LONG_MS)
    go.touch()
    expect(excerpt).to_contain_text("not shown here", timeout=LONG_MS)
    finished(lab, 0)
    expect(excerpt).to_have_count(1)
    outputs = saved(lab, path, 0)
    assert [each["output_type"] for each in outputs] == [
        "stream", "display_data", "stream", "execute_result",
    ]  # fmt: skip
    head, notice, tail, result = outputs
    lines = int("".join(result["data"]["text/plain"]).strip("'").split()[0])
    assert lines >= LINES
    assert notice["data"][EXCERPT_MIME]["lines"] == lines - sum(
        "".join(each["text"]).count("\n") for each in (head, tail)
    )
    wait_for_output(server)

    # Displays.
    run(lab, 1)
    expect(cell(lab, 1)).to_contain_text("display 0")
    answers(lab)
    finished(lab, 1)
    outputs = saved(lab, path, 1)
    at = next(index for index, each in enumerate(outputs) if EXCERPT_MIME in each.get("data", {}))
    shown = ["".join(each["data"]["text/plain"]) for each in outputs]
    assert shown[:at] == [f"'display {number}'" for number in range(at)]
    last = len(outputs) - at - 1
    assert shown[at + 1 :] == [f"'display {number}'" for number in range(DISPLAYS - last, DISPLAYS)]
    assert outputs[at]["data"][EXCERPT_MIME]["displays"] == DISPLAYS - len(outputs) + 1
    wait_for_output(server)

    # The notebook opened again, from its file, and the whole text beside it.
    words = excerpt.locator(".gol-Excerpt-words").inner_text()
    lab.page.evaluate(CLOSE_ALL)
    opened(lab, name)
    expect(excerpt.locator(".gol-Excerpt-words")).to_have_text(words, timeout=LONG_MS)
    for text in ("line 0000000", f"line {lines - 1:07d}", f"'{lines} lines'"):
        expect(cell(lab, 0)).to_contain_text(text)
    excerpt.get_by_role("button", name="Open full output").click()
    view = lab.page.locator(".gol-FullOutput")
    shown_lines = view.locator(".gol-FullOutput-lines")
    expect(view).to_contain_text(f"{lines + 1:,} lines")
    expect(shown_lines).to_contain_text("line 0000000")
    assert shown_lines.locator(".gol-FullOutput-line").count() < 200
    goto = view.get_by_role("textbox", name="Go to line")
    goto.fill(str(RED + 1))
    goto.press("Enter")
    line = shown_lines.locator(".gol-mod-found")
    expect(line.locator("pre")).to_have_text(f"line {RED:07d} {'red ' * 9}{'x' * 87}")
    expect(line.locator(".gol-FullOutput-number")).to_have_text(f"{RED + 1:,}")
    expect(line.locator(".ansi-red-fg").first).to_have_text("red")
    find = view.get_by_role("searchbox", name="Find in the output")
    find.fill(f"LINE {LINES - 12_346:07d}")
    find.press("Enter")
    expect(line.locator("pre")).to_contain_text(f"line {LINES - 12_346:07d}")
    shown_lines.focus()
    lab.page.keyboard.press("End")
    expect(shown_lines).to_contain_text(f"'{lines} lines'")
    lab.page.keyboard.press("Home")
    expect(shown_lines.locator("pre").first).to_contain_text("line 0000000")
    lab.page.keyboard.press("PageDown")
    expect(shown_lines.locator("pre").first).not_to_contain_text("line 0000000")
    lab.looks("full-output", ".gol-FullOutput")
    with lab.page.expect_download() as download:
        view.get_by_role("link", name="Download").click()
    assert download.value.path().stat().st_size > lines * 90
