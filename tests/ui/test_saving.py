"""A page and the server that both save a notebook: no output and no edit is lost, and JupyterLab asks nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Route, expect

from tests.support.browser import LabPage, lab_page
from tests.support.homes import Home
from tests.support.lab_server import LabServer
from tests.support.rooms import eventually

from .test_recovery import ON_A_TARGET, Bench, offline, opened

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

LONG_MS = 120_000
SOON = "--GenOpsLab.outputs_left_to_page_s=1"
EDITED = "# the person's edit"
#: Save as autosave and the key do, and say how it went.
SAVE = """() => new Promise(done => {
  const look = () => {
    const dialog = document.querySelector('.jp-Dialog[aria-label^="File Changed"]');
    if (dialog) {
      done(dialog.innerText);
    }
  };
  new MutationObserver(look).observe(document.body, { childList: true });
  window.jupyterapp.shell.currentWidget.context.save().then(() => done('saved'), error => done(`${error}`));
  look();
})"""
EDIT = """source => {
  const { content } = window.jupyterapp.shell.currentWidget;
  content.widgets[1].model.sharedModel.setSource(source);
}"""


@pytest.fixture(scope="module")
def bench(module_home: Home) -> Iterator[Bench]:
    found = Bench(module_home, ON_A_TARGET)
    found.server.stop()
    found.restart(SOON)
    yield found
    found.end()


@pytest.fixture(scope="module")
def server(bench: Bench) -> LabServer:
    return bench.server


@pytest.fixture
def lab(module_page: LabPage) -> LabPage:
    module_page.start()
    return module_page


class Cell:
    """A cell that prints one line, waits for a file, and prints another one."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.name = f"{name}.ipynb"
        self.go = bench.home.work / f"go-{name}"
        code = (
            f"import os, time\nprint('begun')\nwhile not os.path.exists({str(self.go)!r}): time.sleep(0.05)\n"
            "print('ended')\n'all done'"
        )
        self.path = bench.notebook(self.name, code, "# more", kernel=ON_A_TARGET)

    def begin(self, lab: LabPage) -> None:
        """Open the notebook, save it with its kernel, run the cell and save what it printed."""
        opened(lab, self.name)
        assert lab.page.evaluate(SAVE) == "saved"
        lab.page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 0; }")
        lab.execute("notebook:run-cell")
        expect(lab.page.locator(".jp-CodeCell").first).to_contain_text("begun\n", timeout=LONG_MS)
        assert lab.page.evaluate(SAVE) == "saved"

    def end(self) -> None:
        self.go.touch()

    def on_disk(self) -> tuple[str, str, str]:
        """The text and the result of the cell, and the source of the one below."""
        try:
            first, second = json.loads(self.path.read_text())["cells"]
        except ValueError:  # Jupyter is writing it
            return "", "", ""
        outputs: list[dict[str, Any]] = first["outputs"]
        text = "".join("".join(each.get("text", "")) for each in outputs)
        result = "".join("".join(each.get("data", {}).get("text/plain", "")) for each in outputs)
        return text, result, "".join(second["source"])

    def is_whole(self, below: str = "# more") -> None:
        whole = ("begun\nended\n", "'all done'", below)
        assert eventually(self.on_disk, lambda found: found == whole, LONG_MS / 1000) == whole


def ends_on_page(lab: LabPage) -> None:
    cell = lab.page.locator(".jp-NotebookPanel:visible .jp-CodeCell").first
    expect(cell.locator(".jp-OutputArea-output").last).to_contain_text("'all done'", timeout=LONG_MS)


def edited_and_saved(lab: LabPage, cell: Cell) -> None:
    lab.page.evaluate(EDIT, EDITED)
    assert lab.page.evaluate(SAVE) == "saved"
    cell.is_whole(EDITED)


def test_saves_of_the_page_and_of_the_person_at_once(lab: LabPage, bench: Bench) -> None:
    cell = Cell(bench, "at-once")
    cell.begin(lab)
    lab.kept_open(f"notebook:{cell.name}")
    lab.page.reload()
    lab.ready()
    expect(lab.page.locator(".jp-CodeCell .jp-InputPrompt").first).to_have_text("[*]:", timeout=LONG_MS)
    written, begun = [False], [False]
    held: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        """The page has written the file, and does not know yet what it is like."""
        holds = route.request.method == "GET" and written[0] and not begun[0]
        response = route.fetch()
        if holds:
            held.append((route, response))
            return
        written[0] |= route.request.method == "PUT"
        route.fulfill(response=response)

    lab.page.route(f"**/api/contents/{cell.name}?**", hold)
    lab.page.route(f"**/api/contents/{cell.name}", hold)
    cell.end()
    ends_on_page(lab)
    eventually(lambda: lab.page.evaluate("() => 1") and len(held), lambda found: found > 0)
    begun[0] = True
    lab.page.evaluate(f"() => {{ window.isSaved = ({SAVE})(); }}")
    lab.page.evaluate("name => fetch(`/api/contents/${name}?content=0`).then(() => 1)", cell.name)
    for route, response in held:
        route.fulfill(response=response)
    assert lab.page.evaluate("() => window.isSaved") == "saved"
    lab.page.unroute_all()
    edited_and_saved(lab, cell)


@pytest.mark.exhaustive
def test_a_page_that_is_reloaded_while_a_cell_runs(lab: LabPage, bench: Bench) -> None:
    cell = Cell(bench, "reloaded")
    cell.begin(lab)
    lab.kept_open(f"notebook:{cell.name}")
    lab.page.reload()
    lab.ready()
    expect(lab.page.locator(".jp-CodeCell .jp-InputPrompt").first).to_have_text("[*]:", timeout=LONG_MS)
    cell.end()
    ends_on_page(lab)
    edited_and_saved(lab, cell)


@pytest.mark.exhaustive
def test_a_page_that_was_closed(lab: LabPage, bench: Bench) -> None:
    cell = Cell(bench, "closed")
    cell.begin(lab)
    lab.page.goto("about:blank")
    cell.end()
    cell.is_whole()
    lab.open()
    opened(lab, cell.name)
    ends_on_page(lab)
    edited_and_saved(lab, cell)


def test_the_server_writes_after_the_page_has_read(lab: LabPage, bench: Bench) -> None:
    cell = Cell(bench, "read")
    cell.begin(lab)
    lab.page.goto("about:blank")
    was = cell.path.read_text()

    def hold(route: Route) -> None:
        response = route.fetch()
        if cell.path.read_text() == was:
            cell.end()
            cell.is_whole()
        route.fulfill(response=response)

    lab.page.route(f"**/api/contents/{cell.name}?*content=1**", hold)
    lab.open()
    lab.execute("docmanager:open", {"path": cell.name})
    ends_on_page(lab)
    lab.page.unroute_all()
    edited_and_saved(lab, cell)


def test_a_page_that_sleeps_with_an_edit(lab: LabPage, bench: Bench) -> None:
    cell = Cell(bench, "asleep")
    cell.begin(lab)
    with offline(lab):
        lab.page.evaluate(EDIT, "# before the sleep")
        cell.end()
        cell.is_whole()
    ends_on_page(lab)
    edited_and_saved(lab, cell)


@pytest.mark.exhaustive
def test_a_page_whose_server_was_replaced_since_it_wrote(lab: LabPage, bench: Bench) -> None:
    cell = Cell(bench, "replaced")
    cell.begin(lab)
    with offline(lab):
        lab.page.evaluate(EDIT, "# before the sleep")
        cell.end()
        cell.is_whole()
        bench.kill()
        bench.restart(SOON)
    ends_on_page(lab)
    edited_and_saved(lab, cell)


def test_a_kernel_that_is_shut_down_under_a_page(lab: LabPage, bench: Bench) -> None:
    cell = Cell(bench, "shut-down")
    cell.begin(lab)
    lab.page.evaluate(EDIT, "# unsaved")
    lab.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.reconnect()")
    cell.end()
    ends_on_page(lab)
    lab.end_kernels()
    # The server writes the outputs, unless the page that connects again was first, with the edit.
    eventually(cell.on_disk, lambda found: found[1] != "" or found[2] == "# unsaved", LONG_MS / 1000)
    edited_and_saved(lab, cell)


def test_two_pages(lab: LabPage, bench: Bench) -> None:
    cell = Cell(bench, "two")
    cell.begin(lab)
    browser = lab.page.context.browser
    assert browser is not None
    with lab_page(browser, bench.server) as other:
        other.open("lab/workspaces/other")
        opened_busy(other, cell.name)
        lab.kept_open(f"notebook:{cell.name}")
        lab.page.reload()
        lab.ready()
        expect(lab.page.locator(".jp-CodeCell .jp-InputPrompt").first).to_have_text("[*]:", timeout=LONG_MS)
        cell.end()
        ends_on_page(lab)
        ends_on_page(other)
        cell.is_whole()
        assert other.page.evaluate(SAVE) == "saved"
        assert lab.page.evaluate(SAVE) == "saved"
        expect(other.page.locator(".jp-Dialog")).to_have_count(0)
        edited_and_saved(lab, cell)


def opened_busy(lab: LabPage, name: str) -> None:
    lab.execute("docmanager:open", {"path": name})
    expect(lab.page.locator(".jp-CodeCell .jp-InputPrompt").first).to_have_text("[*]:", timeout=LONG_MS)
