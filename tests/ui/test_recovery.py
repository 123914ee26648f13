"""Outputs outlive a reloaded page, a killed server and a page that was closed: in the browser and on disk."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import LabPage
from tests.support.homes import Home
from tests.support.lab_server import LabServer, start_lab
from tests.support.rooms import eventually

pytestmark = [pytest.mark.ui, pytest.mark.slow, pytest.mark.timeout(300)]

LINES = 400
#: prints for some eight seconds
WORK = f"import time\nfor i in range({LINES}):\n    print('line', i)\n    time.sleep(0.02)\n'all done'"
WHOLE = "".join(f"line {i}\n" for i in range(LINES))
LONG_MS = 120_000
KEPT = ["--GenOpsLab.keep_local_kernels=True"]


class Bench:
    """A Lab whose server can be killed and started again: kernels outlive it, on a target on this machine (``box``) and
    here. Its notebooks' kernel is ``kernel_name``, unless they say."""

    def __init__(self, home: Home, kernel_name: str = "") -> None:
        self.home = home
        self.kernel_name = kernel_name
        self.server: LabServer = start_lab(home, arguments=KEPT)
        target = {"name": "box", "kind": "local", "python": sys.executable}
        status, answer = self.server.request("POST", "genops/targets", target)
        assert status in (200, 201), answer

    def kill(self) -> None:
        os.killpg(self.server.process.pid, signal.SIGKILL)
        self.server.process.wait()

    def restart(self, *arguments: str) -> None:
        self.server = start_lab(self.home, after=self.server, arguments=[*KEPT, *arguments])

    def kernels(self) -> list[str]:
        """Those that live: one that was ended right before the server was killed is told as dead by the next one."""
        found = self.server.get("api/kernels")
        return sorted(kernel["id"] for kernel in found if kernel["execution_state"] != "dead")

    def notebook(self, name: str, *sources: str, kernel: str = "") -> Path:
        cells = [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "source": source,
                "outputs": [],
                "execution_count": None,
            }
            for number, source in enumerate(sources)
        ]
        metadata = {
            "kernelspec": {"name": kernel or self.kernel_name, "display_name": "box", "language": "python"}
        }
        path = self.home.work / name
        path.write_text(
            json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
        )
        return path

    def end(self) -> None:
        if self.server.process.poll() is not None:
            self.restart()
        for kernel in self.kernels():
            self.server.request("DELETE", f"api/kernels/{kernel}")
        self.server.stop()


ON_A_TARGET, HERE = "genops-box", "python3"


def kernels(daily: str) -> pytest.MarkDecorator:
    """A bad day with a kernel on a target and one of this machine's own, of which one comes daily."""
    rare = HERE if daily == ON_A_TARGET else ON_A_TARGET
    return pytest.mark.parametrize("kernel", [daily, pytest.param(rare, marks=pytest.mark.exhaustive)])


@pytest.fixture(scope="module")
def bench(module_home: Home) -> Iterator[Bench]:
    found = Bench(module_home)
    yield found
    found.end()


@pytest.fixture(scope="module")
def server(bench: Bench) -> LabServer:
    return bench.server


@pytest.fixture
def lab(module_page: LabPage) -> LabPage:
    """The page, whose server may have been another one before."""
    module_page.start()
    return module_page


def opened(lab: LabPage, name: str) -> None:
    lab.execute("docmanager:open", {"path": name})
    lab.page.locator(".jp-NotebookPanel:visible .jp-Notebook").wait_for(timeout=LONG_MS)
    expect(lab.page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle")).first).to_be_visible(
        timeout=LONG_MS
    )


def shown(lab: LabPage, cell: int = 0) -> list[str]:
    """The lines that a cell shows."""
    parts = lab.page.locator(".jp-CodeCell").nth(cell).locator(".jp-RenderedText pre").all()
    return [line for part in parts for line in part.inner_text().splitlines() if line]


def has_all(lab: LabPage, cell: int = 0) -> None:
    """Every line once and in order, the result after them, and the cell's number in its prompt.

    What was printed while nobody heard may come after what is printed now.
    """
    outputs = lab.page.locator(".jp-CodeCell").nth(cell).locator(".jp-OutputArea")
    expect(outputs).to_contain_text("'all done'", timeout=LONG_MS)
    expect(lab.page.locator(".jp-CodeCell").nth(cell).locator(".jp-InputPrompt")).to_have_text(
        re.compile(r"\[\d+\]:"), timeout=LONG_MS
    )
    whole = [*WHOLE.splitlines(), "'all done'"]
    eventually(lambda: shown(lab, cell), lambda found: found == whole)


def on_disk(path: Path) -> tuple[str, int | None]:
    """The text that the first cell printed, and its number."""
    try:
        cell = json.loads(path.read_text())["cells"][0]
    except ValueError:  # Jupyter is writing it
        return "", None
    printed = [output for output in cell["outputs"] if output["output_type"] == "stream"]
    return "".join("".join(output["text"]) for output in printed), cell["execution_count"]


def save(lab: LabPage, path: Path) -> None:
    lab.execute("docmanager:save")
    deadline = time.monotonic() + LONG_MS / 1000
    while "language_info" not in path.read_text():
        assert time.monotonic() < deadline, "the page did not save"
        time.sleep(0.1)


def saved(path: Path) -> None:
    """All is in the file."""
    deadline = time.monotonic() + LONG_MS / 1000
    while on_disk(path) != (WHOLE, 1):
        assert time.monotonic() < deadline, on_disk(path)
        time.sleep(0.2)


@kernels(HERE)
def test_a_page_that_is_reloaded_in_the_middle_of_a_cell(lab: LabPage, bench: Bench, kernel: str) -> None:
    go = (
        bench.home.work / f"go-{kernel}"
    )  # its last line waits for it: a reload may take longer than the lines
    waits = (
        f"import os\n    while i == {LINES - 1} and not os.path.exists({str(go)!r}): time.sleep(0.1)\n    "
    )
    code = WORK.replace("print('line', i)", f"{waits}print('line', i)")
    path = bench.notebook("reload.ipynb", code, kernel=kernel)
    opened(lab, "reload.ipynb")
    save(lab, path)  # with the kernel's metadata, so that the reloaded page has nothing of its own to save
    lab.run_all()
    expect(lab.page.locator(".jp-CodeCell").first).to_contain_text("line 20")
    lab.page.reload()
    lab.ready()
    first = lab.page.locator(".jp-CodeCell").first
    expect(first).to_contain_text("line 20", timeout=LONG_MS)
    expect(first.locator(".jp-InputPrompt")).to_have_text("[*]:")
    go.touch()
    has_all(lab)
    saved(path)
    assert lab.problems == []


@kernels(ON_A_TARGET)
def test_a_server_that_is_killed_in_the_middle_of_a_cell(lab: LabPage, bench: Bench, kernel: str) -> None:
    path = bench.notebook("killed.ipynb", WORK, kernel=kernel)
    opened(lab, "killed.ipynb")
    kernels = bench.kernels()
    lab.run_all()
    expect(lab.page.locator(".jp-CodeCell").first).to_contain_text("line 20")
    bench.kill()
    bench.restart()
    assert bench.kernels() == kernels
    has_all(lab)
    lab.execute("docmanager:save")  # it had unsaved changes before, so that is left to the person
    saved(path)
    lab.execute("notebook:run-all-cells")
    expect(lab.page.locator(".jp-CodeCell .jp-InputPrompt").first).to_have_text("[2]:", timeout=LONG_MS)


@contextmanager
def offline(lab: LabPage) -> Iterator[None]:
    """The page alone has no network; its context's other pages have."""
    session = lab.page.context.new_cdp_session(lab.page)
    conditions = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    session.send("Network.emulateNetworkConditions", {"offline": True, **conditions})
    try:
        yield
    finally:
        session.send("Network.emulateNetworkConditions", {"offline": False, **conditions})
        session.detach()


def test_a_page_that_was_away_for_longer_than_its_document_is_left_to_it(lab: LabPage, bench: Bench) -> None:
    path = bench.notebook("away.ipynb", WORK, kernel=ON_A_TARGET)
    opened(lab, "away.ipynb")
    save(lab, path)
    lab.run_all()
    expect(lab.page.locator(".jp-CodeCell").first).to_contain_text("line 20")
    with offline(lab):
        bench.kill()
        bench.restart("--GenOpsLab.outputs_left_to_page_s=0.5")
        saved(path)
    has_all(lab)


@kernels(HERE)
def test_a_page_and_a_server_that_are_gone(lab: LabPage, bench: Bench, kernel: str) -> None:
    path = bench.notebook("gone.ipynb", WORK, kernel=kernel)
    opened(lab, "gone.ipynb")
    kernels = bench.kernels()
    lab.run_all()
    expect(lab.page.locator(".jp-CodeCell").first).to_contain_text("line 20")
    lab.page.goto("about:blank")
    bench.kill()
    bench.restart()
    saved(path)
    assert bench.kernels() == kernels
    lab.open()
    opened(lab, "gone.ipynb")
    has_all(lab)
