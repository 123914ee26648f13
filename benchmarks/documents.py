"""What reaches a page's websocket and the notebook on disk when connections, processes and the Lab itself are cut in
the middle of cells, through a real sshd. ``GENOPS_BENCH_CUTS`` sets how many cuts there are (40),
``GENOPS_BENCH_FAULTS`` of which kinds, separated by commas (all)."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from nbformat.reader import NotJSONError

from tests.kernels.outputs.notebooks import cells_of, write_notebook
from tests.kernels.outputs.pages import Page
from tests.support.faults import FaultProxy
from tests.support.homes import Home, temporary_home
from tests.support.lab_server import LabServer, start_lab
from tests.support.sshd import Sshd

from .figure import Figure
from .remote_measures import Tally

CUTS = int(os.environ.get("GENOPS_BENCH_CUTS", "40"))
COUNT, PAUSE_S = 300, 0.005
PATIENCE_S = 90.0
TARGET, LOCAL = "far", "python3"
_CODE = """import time
from IPython.display import display
for number in range({count}):
    display({{"text/plain": str(number)}}, raw=True)
    time.sleep({pause})"""


@dataclass
class Scene:
    """A Lab whose target lies behind a proxy."""

    home: Home
    host: Sshd
    proxy: FaultProxy
    server: LabServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = start_lab(self.home, arguments=["--GenOpsLab.outputs_left_to_page_s=1"])

    def add_target(self) -> None:
        folder = self.home.path / ".ssh"
        folder.mkdir(mode=0o700)
        (folder / "config").write_text(self.host.write_config(port=self.proxy.port).read_text())
        new = {"name": TARGET, "host": self.host.alias, "python": sys.executable}
        status, answer = self.server.request("POST", "genops/targets", new)
        if status != 200:
            raise RuntimeError(f"the target was not added: {answer}")

    def begin(self, path: str, kernel: str, cells: int) -> str:
        """A notebook with so many cells, and its kernel's id."""
        code = _CODE.format(count=COUNT, pause=PAUSE_S)
        write_notebook(self.home.work / path, {f"cell{number}": code for number in range(cells)})
        body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": kernel}}
        status, session = self.server.request("POST", "api/sessions", body, timeout=90)
        if status != 201:
            raise RuntimeError(f"no session: {session}\n{self.server.log[-2000:]}")
        return str(session["kernel"]["id"])

    # What is done to it

    def hole(self) -> None:
        """The connection that is there is dead for good; a new one gets through."""
        self.proxy.hole(existing=True, new=False)

    def kill_child(self) -> None:
        """The process that carries the stream."""
        for child in psutil.Process(self.server.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "genops_lab.hosts.providers.ssh.paramiko_child" in " ".join(child.cmdline()):
                    child.kill()

    def kill_lab(self) -> None:
        """kill -9, and the next one at the same address."""
        self.server.process.kill()
        self.server.process.wait(30)
        self.server = start_lab(
            self.home, after=self.server, arguments=["--GenOpsLab.outputs_left_to_page_s=1"]
        )

    def faults(self) -> dict[str, Callable[[], object]]:
        return {
            "reset": self.proxy.reset,
            "black_hole": self.hole,
            "child_killed": self.kill_child,
            "sshd_killed": self.host.kill_sessions,
            "lab_killed": self.kill_lab,
        }

    def close(self) -> None:
        self.server.stop()
        for process in psutil.process_iter(["environ"]):
            with suppress(psutil.Error):
                home = (process.info["environ"] or {}).get("HOME")
                if home in (str(self.home.path), str(self.host.home)) and process.pid != os.getpid():
                    process.kill()


def figures() -> Iterator[Figure]:
    with ExitStack() as stack:
        home = stack.enter_context(temporary_home(debugger=True))
        host = stack.enter_context(Sshd(debugger=True))
        proxy = stack.enter_context(FaultProxy(host.port))
        scene = Scene(home, host, proxy)
        stack.callback(scene.close)
        scene.add_target()
        faults = scene.faults()
        each = max(1, CUTS // (2 * len(faults) - 1))
        wanted = [kind for kind in os.environ.get("GENOPS_BENCH_FAULTS", "").split(",") if kind] or list(
            faults
        )
        for kind in wanted:
            fault = faults[kind]
            if kind != "lab_killed":  # a websocket ends with its server: what counts then is the document
                yield _figure(f"websocket_{kind}", _at_the_websocket(scene, f"w-{kind}", fault, each), each)
            yield _figure(
                f"document_{kind}", _in_the_document(scene, f"d-{kind}", fault, each), each, target=True
            )
        stock = _in_the_document(scene, "stock", lambda: None, 1, kernel=LOCAL)
        yield _figure("document_page_gone_local_kernel", stock, 1, target=False)


def _figure(name: str, tally: Tally, cuts: int, *, target: bool = True) -> Figure:
    notes = {"of": tally.expected, "twice": tally.twice, "out_of_order": tally.out_of_order, "cuts": cuts}
    return Figure(name=name, unit="lost", values=[tally.lost], target=0 if target else None, notes=notes)


def _at_the_websocket(scene: Scene, name: str, fault: Callable[[], object], cuts: int) -> Tally:
    """A page that stays: what comes over its websocket."""
    whole = Tally(expected=0)
    page = Page(scene.server, scene.begin(f"{name}.ipynb", f"genops-{TARGET}", cuts))
    for number in range(cuts):
        seen: list[int] = []
        msg_id = page.send(f"cell{number}", _CODE.format(count=COUNT, pause=PAUSE_S))
        timer = threading.Timer(random.uniform(0.2, 1.2), fault)
        timer.start()

        def is_idle(message: dict[str, Any], msg_id: str = msg_id, seen: list[int] = seen) -> bool:
            if message["parent_header"].get("msg_id") != msg_id:
                return False
            if message["msg_type"] == "display_data":
                seen.append(int(message["content"]["data"]["text/plain"]))
            return bool(message["content"].get("execution_state") == "idle")

        page.until(is_idle)
        timer.join()
        _add(whole, seen)
    page.close()
    return whole


def _in_the_document(
    scene: Scene, name: str, fault: Callable[[], object], cuts: int, kernel: str = f"genops-{TARGET}"
) -> Tally:
    """A page that goes once its cell runs: what the notebook on disk has afterwards."""
    whole = Tally(expected=0)
    path = scene.home.work / f"{name}.ipynb"
    kernel_id = scene.begin(path.name, kernel, cuts)
    for number in range(cuts):
        page = Page(scene.server, kernel_id)
        page.send(f"cell{number}", _CODE.format(count=COUNT, pause=PAUSE_S))
        page.until(lambda message: message["msg_type"] == "display_data")
        page.close()
        time.sleep(random.uniform(0.0, 1.0))
        fault()
        deadline = time.monotonic() + (PATIENCE_S if kernel != LOCAL else COUNT * PAUSE_S + 10.0)
        while (cell := _cell(path, number)).execution_count is None and time.monotonic() < deadline:
            time.sleep(0.1)
        outputs = [each for each in cell.outputs if each.output_type == "display_data"]
        _add(whole, [int(each["data"]["text/plain"]) for each in outputs])
    return whole


def _cell(path: Path, number: int) -> Any:
    """One cell, read again while Jupyter writes the file (it does so in place)."""
    while True:
        with suppress(NotJSONError):
            return cells_of(path)[number]
        time.sleep(0.05)


def _add(whole: Tally, numbers: list[int]) -> None:
    offset = whole.expected
    whole.expected += COUNT
    whole.numbers += [offset + number for number in numbers]
