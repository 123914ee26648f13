"""Cells that put out more than a browser can hold: the page stays alive, the file small, and nothing is lost."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from genops_lab.outputs.excerpt import MIME
from tests.support import exhaustive
from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home

from .test_recovery import LONG_MS, Bench, opened

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(600)]

#: 100 MB, a fiftieth of it daily; one line in red, and a figure's stand-in at the end
LINES = 1_000_000 if exhaustive.ALL else 20_000
RED = LINES * 65 // 100
#: Its last part waits for the file ``go``: what is said while it goes on can be looked at.
PRINT = f"""
import os, time
for i in range({LINES}):
    print(f"line {{i:07d}} " + ("\\x1b[31mred\\x1b[0m " * 9 if i == {RED} else "") + "x" * 87)
while not os.path.exists(GO):
    time.sleep(0.05)
"the result"
"""
DISPLAYS = 100_000 if exhaustive.ALL else 3_000
DISPLAY = f"""
from IPython.display import display
for i in range({DISPLAYS}):
    display(f"display {{i}}")
"""
FILE_BYTES = 4_000_000


@pytest.fixture(scope="module")
def bench(module_home: Home) -> Iterator[Bench]:
    found = Bench(module_home, "genops-box")
    yield found
    found.end()


def cell(lab: LabPage) -> Locator:
    return lab.page.locator(".jp-NotebookPanel:visible .jp-CodeCell").first


def finished(lab: LabPage) -> None:
    expect(cell(lab).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"), timeout=3 * LONG_MS)


def answers(lab: LabPage) -> None:
    """A click on something is answered while the outputs come."""
    lab.page.get_by_role("menuitem", name="Help", exact=True).click()
    expect(lab.page.locator(".lm-Menu").first).to_be_visible()
    lab.page.keyboard.press("Escape")
    expect(lab.page.locator(".lm-Menu")).to_have_count(0)


def saved(lab: LabPage, path: Path) -> list[dict[str, Any]]:
    """The outputs in the file once the run's number is there."""
    lab.execute("docmanager:save")
    deadline = time.monotonic() + LONG_MS / 1000
    while True:
        try:
            found = json.loads(path.read_text())["cells"][0]
        except ValueError:  # Jupyter is writing it
            found = {}
        if found.get("execution_count"):
            return list(found["outputs"])
        assert time.monotonic() < deadline, "the page did not save"
        time.sleep(0.2)


def told(lab: LabPage, bench: Bench) -> None:
    """The Lab knows that the saved document has all: page and recorder agree."""
    (kernel_id,) = [each["id"] for each in bench.server.get("api/kernels")]
    deadline = time.monotonic() + LONG_MS / 1000
    while bench.server.get(f"genops/kernels/{kernel_id}/executions")["executions"]:
        assert time.monotonic() < deadline, "the document is not known to hold the outputs"
        time.sleep(0.2)


def close(lab: LabPage, bench: Bench) -> None:
    """Shut the notebook's kernel down."""
    for session in bench.server.get("api/sessions"):
        bench.server.request("DELETE", f"api/sessions/{session['id']}")


def test_many_megabytes_of_text(browser: Browser, bench: Bench) -> None:
    go = bench.home.work / "go"
    path = bench.notebook("print.ipynb", f"GO = {str(go)!r}\n{PRINT}")
    with lab_page(browser, bench.server) as lab:
        lab.open()
        opened(lab, "print.ipynb")
        lab.run_all()
        excerpt = cell(lab).locator(".gol-Excerpt")
        expect(excerpt).to_contain_text("not shown so far", timeout=LONG_MS)
        answers(lab)
        go.touch()
        finished(lab)
        expect(excerpt).to_contain_text("not shown here")
        expect(cell(lab)).to_contain_text("'the result'")
        outputs = saved(lab, path)
        assert path.stat().st_size < FILE_BYTES
        head, notice, tail, _result = outputs
        assert [each["output_type"] for each in outputs] == [
            "stream", "display_data", "stream", "execute_result",
        ]  # fmt: skip
        assert notice["data"][MIME]["lines"] == LINES - sum(
            "".join(each["text"]).count("\n") for each in (head, tail)
        )
        told(lab, bench)

        words = excerpt.locator(".gol-Excerpt-words").inner_text()
        lab.page.reload()
        lab.ready()
        expect(excerpt.locator(".gol-Excerpt-words")).to_have_text(words, timeout=LONG_MS)
        expect(cell(lab)).to_contain_text("line 0000000")
        expect(cell(lab)).to_contain_text(f"line {LINES - 1:07d}")
        expect(cell(lab)).to_contain_text("'the result'")

        excerpt.get_by_role("button", name="Open full output").click()
        view = lab.page.locator(".gol-FullOutput")
        lines = view.locator(".gol-FullOutput-lines")
        expect(view).to_contain_text(f"{LINES + 1:,} lines")
        expect(lines).to_contain_text("line 0000000")
        assert lines.locator(".gol-FullOutput-line").count() < 200
        goto = view.get_by_role("textbox", name="Go to line")
        goto.fill(str(RED + 1))
        goto.press("Enter")
        line = lines.locator(".gol-mod-found")
        expect(line.locator("pre")).to_have_text(f"line {RED:07d} {'red ' * 9}{'x' * 87}")
        expect(line.locator(".gol-FullOutput-number")).to_have_text(f"{RED + 1:,}")
        expect(line.locator(".ansi-red-fg").first).to_have_text("red")
        find = view.get_by_role("searchbox", name="Find in the output")
        find.fill(f"LINE {LINES - 12_346:07d}")
        find.press("Enter")
        expect(lines.locator(".gol-mod-found pre")).to_contain_text(f"line {LINES - 12_346:07d}")
        lines.focus()
        lab.page.keyboard.press("End")
        expect(lines).to_contain_text("'the result'")
        lab.page.keyboard.press("Home")
        expect(lines.locator("pre").first).to_contain_text("line 0000000")
        lab.page.keyboard.press("PageDown")
        expect(lines.locator("pre").first).not_to_contain_text("line 0000000")
        lab.looks("full-output", ".gol-FullOutput")
        with lab.page.expect_download() as download:
            view.get_by_role("link", name="Download").click()
        assert download.value.path().stat().st_size > LINES * 100
        assert lab.problems == []
        close(lab, bench)


def test_many_thousands_of_displays(browser: Browser, bench: Bench) -> None:
    path = bench.notebook("display.ipynb", DISPLAY)
    with lab_page(browser, bench.server) as lab:
        lab.open()
        opened(lab, "display.ipynb")
        lab.run_all()
        expect(cell(lab)).to_contain_text("display 0")
        answers(lab)
        finished(lab)
        outputs = saved(lab, path)
        assert path.stat().st_size < FILE_BYTES
        notice = next(index for index, each in enumerate(outputs) if MIME in each.get("data", {}))
        shown = ["".join(each["data"]["text/plain"]) for each in outputs]
        assert shown[:notice] == [f"'display {number}'" for number in range(notice)]
        last = len(outputs) - notice - 1
        assert shown[notice + 1 :] == [f"'display {number}'" for number in range(DISPLAYS - last, DISPLAYS)]
        assert outputs[notice]["data"][MIME]["displays"] == DISPLAYS - len(outputs) + 1
        told(lab, bench)
        assert lab.problems == []
        close(lab, bench)


def test_a_page_that_is_reloaded_while_much_is_printed(browser: Browser, bench: Bench) -> None:
    go = (
        bench.home.work / "go-on"
    )  # its last thousand lines wait for it: a reload may take longer than all lines
    slow = (
        f"import os, time\nfor i in range(6000):\n    while i == 5000 and not os.path.exists({str(go)!r}): "
        "time.sleep(0.05)\n    print(f'line {i:06d} ' + 'x' * 1000)\n    time.sleep(0.002)"
    )
    path = bench.notebook("reload-long.ipynb", slow)
    with lab_page(browser, bench.server) as lab:
        lab.open()
        opened(lab, "reload-long.ipynb")
        lab.run_all()
        words = cell(lab).locator(".gol-Excerpt-words")
        expect(words).to_contain_text("not shown so far", timeout=LONG_MS)
        lab.page.reload()
        lab.ready()
        expect(words).to_contain_text("not shown so far", timeout=LONG_MS)
        go.touch()
        expect(words).to_contain_text("not shown here", timeout=LONG_MS)
        expect(cell(lab).locator(".gol-Excerpt")).to_have_count(1)
        expect(cell(lab)).to_contain_text("line 005999")
        finished(lab)
        (head, notice, tail) = saved(lab, path)
        text = "".join(head["text"]).count("\n") + "".join(tail["text"]).count("\n")
        assert text + notice["data"][MIME]["lines"] == 6000
        assert path.stat().st_size < FILE_BYTES
        told(lab, bench)
        assert lab.problems == []
        close(lab, bench)
