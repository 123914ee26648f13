"""What is kept of a cell's output when its page is reloaded, or its server killed, in the middle of it.

    python -m benchmarks.output_neighbours LABEL=PYTHON ...

Each PYTHON is the interpreter of an environment with JupyterLab and this package's wheel, and beside them another
extension that keeps outputs, or none. The kernel is on a target of this machine; Chromium is the page.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Error, expect

from tests.support.browser import LabPage, chromium, lab_page
from tests.support.homes import temporary_home
from tests.support.lab_server import LabServer, start_lab

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


def kill(server: LabServer, python: str) -> LabServer:
    """kill -9, and another server at the same address."""
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    return start_lab(server.home, python=python, after=server)


def measure(label: str, python: str, what: str, act: Callable[[LabServer, LabPage], LabServer]) -> None:
    """One case, in a home of its own."""
    with temporary_home() as home:
        server = start_lab(home, python=python)
        path = home.work / "work.ipynb"
        cell = {
            "cell_type": "code", "id": "cell-0", "metadata": {}, "source": WORK, "outputs": [],
            "execution_count": None,
        }  # fmt: skip
        metadata = {"kernelspec": {"name": "genops-here", "display_name": "here", "language": "python"}}
        content = {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        path.write_text(json.dumps(content))
        server.request("POST", "genops/targets", {"name": "here", "kind": "local", "python": sys.executable})
        try:
            with chromium() as browser, lab_page(browser, server) as lab:
                open_and_run(lab)
                server = act(server, lab)
                time.sleep(LINES * 0.1 + SETTLES_S)
                on_page = shown(lab)
                lab.execute("docmanager:save")
                lab.page.wait_for_timeout(3000)
                print(f"{label:12} {what:8} page {on_page}/{LINES}  file {saved(path)}/{LINES}", flush=True)
        except Exception as error:  # one case's trouble is its result
            print(f"{label:12} {what:8} {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
        finally:
            for kernel in server.get("api/kernels"):
                server.request("DELETE", f"api/kernels/{kernel['id']}")
            server.stop()


def main() -> None:
    """All cases of all environments."""
    for given in sys.argv[1:]:
        label, _, python = given.partition("=")
        measure(label, python, "reload", reload)
        measure(label, python, "kill -9", lambda server, _lab, python=python: kill(server, python))


if __name__ == "__main__":
    main()
