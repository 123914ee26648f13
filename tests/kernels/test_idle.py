"""Kernels that a target's policy ends, over a real sshd: said in the notebook, not started again, found later."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_core.paths import jupyter_data_dir

from genops_lab.agent.channels import Channel
from genops_lab.hosts.models import SavedHours, TargetPolicy
from genops_lab.kernels import kernelspecs
from genops_lab.kernels.idle_savings import IdleSavings
from tests.kernels.places import DEADLINE_S, TARGET, Place, Running, a_kernel, a_place, wait
from tests.support.homes import temporary_home
from tests.support.processes import runs
from tests.support.sshd import Sshd

#: 4 s
SOON = TargetPolicy(idle_minutes=4 / 60)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with (
        temporary_home() as home,
        Sshd() as host,
        a_place(home, host.route(target=TARGET, python=sys.executable)) as found,
    ):
        yield found


@pytest.fixture
def kernel(place: Place) -> Iterator[Running]:
    """A kernel of a preset whose price is not its target's."""
    place.policy, place.price_per_hour = SOON, 100.0
    file = Path(jupyter_data_dir()) / "kernels" / kernelspecs.name_of(TARGET) / "kernel.json"
    specification = json.loads(file.read_text())
    specification["metadata"]["genops"]["price_per_hour"] = 2.49
    file.write_text(json.dumps(specification))
    with a_kernel(place) as found:
        yield found


def said_until(kernel: Running, words: str) -> str:
    """What is said beside cells, up to ``words``."""
    text, deadline = "", time.monotonic() + DEADLINE_S
    while words not in text:
        message = kernel.client.get_iopub_msg(timeout=deadline - time.monotonic())
        if message["msg_type"] == "stream" and not message["parent_header"]:
            text += message["content"]["text"]
    return text


@contextmanager
def savings_of(place: Place) -> Iterator[Callable[[], list[SavedHours]]]:
    """What a Lab writes down of idle ends; a target with a price."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def do(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(DEADLINE_S)

    async def made() -> IdleSavings:
        ledger: Any = SimpleNamespace(get=lambda _name: place)
        return IdleSavings(place.home.data, place.remote, ledger, lambda _target, _kernel: None)

    savings = do(made())
    try:
        yield lambda: do(savings.all())  # type: ignore[no-any-return]
    finally:
        do(savings.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_it_is_warned_ended_and_left_ended(place: Place, kernel: Running) -> None:
    with savings_of(place) as saved:
        _warned_ended_and_left_ended(place, kernel, saved)


def _warned_ended_and_left_ended(
    place: Place, kernel: Running, saved: Callable[[], list[SavedHours]]
) -> None:
    kernel.run("held = 1")
    seen: list[float | None] = []
    kernel.bridge.watch(lambda bridge: seen.append(bridge.exchange.idle_ends_at))
    text = said_until(kernel, "Restart the kernel to continue.")
    assert "It will be stopped in 1 s unless you run a cell or keep it." in text
    assert "Ended after 4 s without work; freed " in text and " of memory at 2.49 USD/h. Restart" in text
    assert any(seen)
    wait(lambda: not kernel.manager.is_alive())
    assert kernel.bridge.ended_by == "idle" and kernel.bridge.exit_code == 0
    assert kernel.bridge.exchange.idle_ends_at is None
    (info,) = [each for each in place.call("kernels.list") if each["kernel_id"] == kernel.manager.kernel_id]
    assert (info["state"], info["ended_by"]) == ("ended", "idle")
    place.policy = TargetPolicy()
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(timeout=DEADLINE_S)
    assert kernel.run("print('held' in dir())")[1] == "False\n" and kernel.manager.is_alive()
    wait(lambda: saved() == saved(), "the saved time goes on after the restart")
    (sum_,) = saved()
    assert (sum_.target, sum_.kernels) == (TARGET, 1) and 0 < sum_.hours < DEADLINE_S / 3600
    assert sum_.usd == pytest.approx(2.49 * sum_.hours)


def test_a_lab_that_was_away_finds_the_words(place: Place, kernel: Running) -> None:
    kernel.run("pass")
    place.do(kernel.bridge.link.down())
    wait(lambda: not runs(int(kernel.bridge.info["pid"])))
    assert kernel.manager.is_alive(), "nobody has said that it is dead"
    place.do(kernel.bridge.link.up())
    assert "Ended after 4 s without work; freed " in said_until(kernel, "Restart the kernel to continue.")
    wait(lambda: not kernel.manager.is_alive())


def test_a_cell_that_runs_keeps_it(kernel: Running) -> None:
    reply, printed = kernel.run("import time; time.sleep(9); print('done')")
    assert reply["status"] == "ok" and printed == "done\n" and kernel.bridge.exit_code is None


def test_an_attached_terminal_keeps_it_until_the_terminal_ends(place: Place, kernel: Running) -> None:
    async def opened() -> Channel:
        return kernel.bridge.link.open("terminal", {"kernel_id": kernel.manager.kernel_id})

    async def shown(channel: Channel) -> bytes:
        return await channel.read()

    async def left(channel: Channel) -> None:
        channel.reset("left", "The terminal is closed.")

    channel = place.do(opened())
    assert place.do(shown(channel))
    opened_at = time.monotonic()
    wait(lambda: time.monotonic() - opened_at > 9)  # twice the time of the policy, without a key
    assert kernel.manager.is_alive() and kernel.bridge.exchange.idle_ends_at is None
    place.do(left(channel))
    assert "Ended after 4 s without work" in said_until(kernel, "Restart the kernel to continue.")
