"""The campaign of cuts: a cell prints on an sshd's host while its connection is reset or swallowed, or its Lab killed.

Each part prints one row: cuts, lines, lost, doubled, out of order. Its result is in ``docs/developers/test-all.md``,
and is the same before and after a change of the code that keeps kernels on hosts.

    make test-all ARGS=tests/kernels/outputs/test_campaign.py
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from tests.support.faults import FaultProxy
from tests.support.homes import Home
from tests.support.sshd import Sshd

from .notebooks import cells_of, text_of
from .pages import Labs, ended_afterwards, eventually

pytestmark = [pytest.mark.exhaustive, pytest.mark.slow, pytest.mark.timeout(1800)]

RESETS, BLACK_HOLES, KILLS = 60, 50, 16
TARGET = "far"
#: Prints numbers until its file ``stop`` is there; ``at`` says how far it is, past whatever is cut.
CELL = """import os, time
n = 0
at = os.open({at!r}, os.O_WRONLY | os.O_CREAT)
while not os.path.exists({stop!r}):
    print(n, flush=True); os.pwrite(at, b"%09d" % n, 0); n += 1; time.sleep(0.02)
print("end", n, flush=True)"""


@dataclass
class Host:
    """A Lab, and a host of its user's behind a proxy."""

    lab: Labs
    proxy: FaultProxy


@pytest.fixture(scope="module")
def host(module_home: Home) -> Iterator[Host]:
    with Sshd() as sshd, FaultProxy(sshd.port) as proxy:
        sshd.write_config(port=proxy.port)
        folder = module_home.path / ".ssh"
        folder.mkdir(mode=0o700)
        (folder / "config").write_text(f"Include {sshd.config}\n")
        lab = Labs(module_home, f"genops-{TARGET}", "--GenOpsLab.outputs_left_to_page_s=1")
        with ended_afterwards(lab):
            target = {"name": TARGET, "host": sshd.alias, "python": sys.executable}
            status, answer = lab.server.request("POST", "genops/targets", target)
            assert status == 200, answer
            yield Host(lab, proxy)


class Cell:
    """The cell that prints, in a notebook of its own."""

    def __init__(self, host: Host, name: str) -> None:
        self.host, self.path = host, host.lab.home.work / f"{name}.ipynb"
        self._at, self._stop = (host.lab.home.path / f"{name}-{word}" for word in ("at", "stop"))
        code = CELL.format(at=str(self._at), stop=str(self._stop))
        host.lab.write_notebook({"cell1": code})
        host.lab.notebook.rename(self.path)
        self.kernel_id = str(host.lab.open(self.path.name)["kernel"]["id"])
        self.page = host.lab.page(self.kernel_id)
        self.msg_id = self.page.send("cell1", code)
        self.read = ""
        self.read_past(5)

    def at(self) -> int:
        """The last number that the kernel printed."""
        return int(self._at.read_bytes() or b"0")

    def read_past(self, number: int) -> None:
        """Read at the page until the line of ``number`` has come."""
        self._read(lambda: bool(words := self.read.split()) and int(words[-1]) >= number)

    def read_to_the_end(self) -> None:
        """End the cell; read the rest at the page."""
        self._stop.touch()
        self._read(lambda: "end" in self.read and self.read.endswith("\n"))

    def end(self) -> None:
        """End the cell."""
        self._stop.touch()

    def _read(self, enough: Callable[[], bool]) -> None:
        def take(message: dict[str, Any]) -> bool:
            if (
                message["msg_type"] == "stream"
                and message["parent_header"].get("msg_id") == self.msg_id
                and message["content"]["name"] == "stdout"
            ):
                self.read += message["content"]["text"]
            return self.read.endswith("\n") and enough()

        if not (self.read and enough()):
            self.page.until(take)

    def in_the_account(self) -> str:
        """What the Lab has recorded of it so far."""
        executions = self.host.lab.executions(self.kernel_id)["executions"]
        return "".join(output.get("text", "") for each in executions for output in each["outputs"])

    def in_the_file(self) -> str:
        """What the notebook on disk shows of it; nothing while it is being written."""
        import nbformat

        try:
            return text_of(cells_of(self.path)[0])
        except (FileNotFoundError, nbformat.reader.NotJSONError):
            return ""


def print_row(capsys: pytest.CaptureFixture[str], cuts: str, text: str, took: Sequence[float]) -> None:
    """Count what came, print the row, and fail where anything is lost, doubled or out of order."""
    *numbers, end, count = text.split()
    assert end == "end", text[-100:]
    found = Counter(int(number) for number in numbers)
    lost = [number for number in range(int(count)) if number not in found]
    doubled = [number for number, times in found.items() if times > 1]
    disordered = sum(int(one) > int(other) for one, other in pairwise(numbers))
    row = (
        f"{cuts}: {int(count):,} lines, {len(lost)} lost, {len(doubled)} doubled, {disordered} out of order; lines "
        f"flow again after {sorted(took)[len(took) // 2]:.1f} s (median), {max(took):.1f} s at most"
    )
    with capsys.disabled():
        print(f"\n{row}")
    assert (lost, doubled, disordered) == ([], [], 0), row
    assert set(found) == set(range(int(count)))


def until_attached(cell: Cell, cut: Callable[[], object], *, heal: bool = False) -> float:
    """Cut; seconds until the page has a line that was printed after the Lab connected again."""
    proxy = cell.host.proxy
    before, started = proxy.status()["accepted"], time.monotonic()
    cut()
    eventually(lambda: proxy.status()["accepted"], lambda accepted: accepted > before)
    if heal:
        proxy.heal()
    cell.read_past(cell.at() + 5)
    return time.monotonic() - started


def test_resets(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    cell = Cell(host, "resets")
    took = []
    for number in range(RESETS):
        in_a_frame = partial(host.proxy.reset_after, 5_000 + 1237 * number)
        took.append(until_attached(cell, in_a_frame if number % 4 == 3 else host.proxy.reset))
    cell.read_to_the_end()
    print_row(capsys, f"{RESETS} resets", cell.read, took)


def test_black_holes(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    cell = Cell(host, "holes")
    took = []
    for number in range(BLACK_HOLES):  # new connections are swallowed too, each second time
        hole = partial(host.proxy.hole, new=number % 2 == 1)
        took.append(until_attached(cell, hole, heal=True))
    cell.read_to_the_end()
    print_row(capsys, f"{BLACK_HOLES} black holes", cell.read, took)


def test_the_lab_is_killed(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    cell = Cell(host, "kills")
    cell.page.close()
    eventually(lambda: host.lab.has_seen(cell.path))
    took = []
    for number in range(KILLS):
        started = time.monotonic()
        host.lab.kill()
        host.lab.start_again()
        printed = f"{cell.at() + 5}\n"
        eventually(cell.in_the_account, lambda text, line=printed: f"\n{line}" in text)
        took.append(time.monotonic() - started)
        time.sleep(number % 4 * 0.3)  # so that it is killed at other moments of its record-keeping
    cell.end()
    text = eventually(cell.in_the_file, lambda text: "end" in text and text.endswith("\n"))
    print_row(capsys, f"{KILLS} kill -9 of the Lab (read in the notebook's file)", text, took)
