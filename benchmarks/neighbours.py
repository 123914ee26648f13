"""What is kept of a cell's output when its page is reloaded, or its server killed, in the middle of it: by JupyterLab
alone, with another extension that keeps outputs, with this package, and with both. Chromium is the page.

Named explicitly: it makes five environments.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, expect

from tests.support.browser import LabPage, chromium, lab_page
from tests.support.environments import environment_with_wheel, environment_without_lab
from tests.support.homes import temporary_home
from tests.support.lab_server import LabServer, start_lab

from .figure import Figure

LINES = 150
WORK = f"import time\nfor i in range({LINES}):\n    print('line', i)\n    time.sleep(0.1)\n'all done'"
SETTLES_S = 30


def shown(lab: LabPage) -> int:
    """How many of the lines the page shows (of the doubled ones, each)."""
    try:
        parts = lab.page.locator(".jp-CodeCell").first.locator(".jp-RenderedText pre").all_inner_texts()
    except Error:
        return -1
    return len(re.findall(r"^line \d+$", "\n".join(parts), re.MULTILINE))


def saved(path: Path) -> int:
    """How many of the lines the file has."""
    try:
        return len(re.findall(r"line \d+\\n", json.dumps(json.loads(path.read_text())["cells"])))
    except ValueError:
        return -1


def open_and_run(lab: LabPage) -> None:
    """The notebook, its kernel, its cell in the middle."""
    lab.open()
    lab.execute("docmanager:open", {"path": "work.ipynb"})
    status = lab.page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle"))
    expect(status.first).to_be_visible(timeout=120_000)
    lab.execute("docmanager:save")
    lab.page.wait_for_timeout(1500)
    lab.run_all()
    lab.page.wait_for_timeout(6000)  # in the middle; some show nothing before the cell's end


def reload(server: LabServer, lab: LabPage) -> LabServer:
    """The page is loaded anew."""
    lab.page.reload()
    lab.ready()
    return server


def kill(server: LabServer, _lab: LabPage, python: str) -> LabServer:
    """kill -9, and another server at the same address."""
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    return start_lab(server.home, python=python, after=server)


@dataclass(frozen=True)
class Case:
    """A JupyterLab; ``with_us``: with this package, and then the kernel is on a target, else it is a local one."""

    name: str
    with_us: bool
    requirements: tuple[str, ...] = ()

    def python(self) -> Path:
        """The interpreter of its environment, which is made once."""
        if self.with_us:
            return environment_with_wheel(Path(sys.executable), *self.requirements)
        return environment_without_lab("jupyterlab>=4.4,<5", "ipykernel", *self.requirements)


NBMODEL, DOCUMENTS = "jupyter-server-nbmodel==0.2.9", "jupyter-server-documents==0.3.3"
CASES = (
    Case("stock", False),
    Case("stock_and_nbmodel", False, (NBMODEL,)),
    Case("genops", True),
    Case("genops_and_nbmodel", True, (NBMODEL,)),
    Case("genops_and_documents", True, (DOCUMENTS,)),
)


def figures() -> Iterator[Figure]:
    """After a reload, and with this package (whose kernels outlive it) after kill -9 of the server as well."""
    for case in CASES:
        python = case.python()
        yield _kept(case, python, "reload", reload)
        if case.with_us:
            yield _kept(case, python, "kill", partial(kill, python=str(python)))


def _kept(case: Case, python: Path, what: str, act: Callable[[LabServer, LabPage], LabServer]) -> Figure:
    """In a home of its own."""
    with temporary_home(debugger=True) as home:
        server = start_lab(home, python=python)
        path = home.work / "work.ipynb"
        try:
            _prepare(server, path, on_target=case.with_us)
            with chromium() as browser, lab_page(browser, server) as lab:
                open_and_run(lab)
                server = act(server, lab)
                time.sleep(LINES * 0.1 + SETTLES_S)
                on_page = shown(lab)
                lab.execute("docmanager:save")
                lab.page.wait_for_timeout(3000)
                return Figure(
                    name=f"lines_kept_{what}_{case.name}", unit="lines in the file", values=[saved(path)],
                    target=LINES if case.name == "genops" else None, notes={"of": LINES, "on_page": on_page},
                )  # fmt: skip
        finally:
            for kernel in server.get("api/kernels"):
                server.request("DELETE", f"api/kernels/{kernel['id']}")
            server.stop()


def _prepare(server: LabServer, path: Path, *, on_target: bool) -> None:
    cell: dict[str, Any] = {
        "cell_type": "code", "id": "cell-0", "metadata": {}, "source": WORK, "outputs": [], "execution_count": None,
    }  # fmt: skip
    name = "genops-here" if on_target else "python3"
    metadata = {"kernelspec": {"name": name, "display_name": name, "language": "python"}}
    path.write_text(json.dumps({"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    if on_target:
        server.request("POST", "genops/targets", {"name": "here", "kind": "local", "python": sys.executable})
