"""Ends that nobody asked for: the notebook says what happened, and has what the kernel said before."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from genops_lab.agent.paths import unit_folder
from genops_lab.agent.state_file import read_state, write_state
from tests.kernels.places import DEADLINE_S, Collector, Place, Running, a_kernel, a_place, wait
from tests.support.homes import temporary_home
from tests.support.processes import runs


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with temporary_home() as home, a_place(home) as found:
        yield found


@pytest.fixture
def kernel(place: Place) -> Iterator[Running]:
    with a_kernel(place) as found:
        yield found


def begin(kernel: Running) -> str:
    """A cell that prints 0 to 49 and goes on."""
    code = "import time\nfor i in range(50): print(i, flush=True); time.sleep(0.01)\ntime.sleep(600)"
    return kernel.client.execute(code)


def text_until(kernel: Running, msg_id: str, words: str) -> str:
    """What the cell's outputs say, up to ``words``."""
    text, deadline = "", time.monotonic() + DEADLINE_S
    while words not in text:
        message = kernel.client.get_iopub_msg(timeout=deadline - time.monotonic())
        if message["msg_type"] == "stream" and message["parent_header"].get("msg_id") == msg_id:
            text += message["content"]["text"]
    return text


def numbers(text: str) -> list[str]:
    return [word for word in text.split() if word.isdigit()][:50]


ALL = [str(number) for number in range(50)]


def keeper_of(kernel: Running) -> psutil.Process:
    parent = psutil.Process(int(kernel.bridge.info["pid"])).parent()
    assert parent is not None
    return parent


def test_the_keeper_is_killed(kernel: Running) -> None:
    msg_id = begin(kernel)
    assert numbers(text_until(kernel, msg_id, "49")) == ALL
    keeper_of(kernel).kill()
    said = text_until(kernel, msg_id, "The kernel has ended. Its agent was killed")
    assert said.count("The kernel has ended") == 1
    wait(lambda: not kernel.manager.is_alive())
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=DEADLINE_S)
    assert kernel.run("print('again')")[1] == "again\n"


def test_the_host_was_restarted_while_nobody_was_connected(place: Place, kernel: Running) -> None:
    tap = Collector()
    kernel.bridge.exchange.add_tap(tap)
    msg_id = kernel.client.execute(
        "import itertools, time\nfor i in itertools.count(): print(i, flush=True); time.sleep(0.01)"
    )
    text_until(kernel, msg_id, "5")
    place.do(kernel.bridge.link.down())
    pid = int(kernel.bridge.info["pid"])
    keeper = keeper_of(kernel)
    before = place.remote.bridges[str(kernel.manager.kernel_id)].exchange.last
    folder = unit_folder(str(kernel.manager.kernel_id))
    assert folder is not None
    journal = Path(folder) / "journal"
    size = sum(path.stat().st_size for path in journal.iterdir())
    wait(lambda: sum(path.stat().st_size for path in journal.iterdir()) > size)
    keeper.kill()
    os.kill(pid, signal.SIGKILL)
    wait(lambda: not runs(keeper.pid))
    state = read_state(folder)
    assert state is not None
    write_state(folder, {**state, "boot_id": "another boot"})
    assert kernel.manager.is_alive(), "nobody has said that it is dead"
    place.do(kernel.bridge.link.up())
    text = text_until(kernel, msg_id, "The host was restarted.")
    assert "The kernel has ended. The host was restarted." in text
    wait(lambda: kernel.bridge.exit_code == 1)
    assert kernel.bridge.exchange.last > before
    assert not kernel.manager.is_alive()
    assert any(seq == 0 for seq, _, _ in tap.records)


def test_a_lease_that_runs_out_is_told_to_who_comes_back(place: Place) -> None:
    with a_kernel(place) as kernel:
        kernel_id = str(kernel.manager.kernel_id)
        kernel.run("kept = 1")
        place.call("kernels.lease", kernel_id=kernel_id, seconds=2.0)  # longer than it takes to come back
        place.do(kernel.bridge.link.down())
        place.do(kernel.bridge.link.up())
        wait(lambda: kernel.bridge.state.state == "connected")
        assert kernel.run("print(kept)")[1] == "1\n", "who is attached keeps it"
        place.do(kernel.bridge.link.down())
        wait(lambda: not runs(int(kernel.bridge.info["pid"])))
        place.do(kernel.bridge.link.up())
        wait(lambda: not kernel.manager.is_alive())
        assert "lease" in kernel.bridge.state.reason
