"""Readings of hosts over real links: asked in parallel while somebody looks, and never otherwise."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from genops_lab.hosts import metrics as fleet_module
from genops_lab.hosts.async_connections import LoopConnections
from genops_lab.hosts.link.route import HostRef
from genops_lab.hosts.metrics import HostMetrics
from genops_lab.hosts.providers import route_of

from .hosts import Answers, Hosts, Refused, hosts

DEADLINE_S = 60.0


def reading(target: str, **changes: Any) -> dict[str, Any]:
    return {"hostname": target, "sampled_at": time.time(), "cpu_percent": 1.0, **changes}


async def answer(target: str, _method: str) -> Any:
    return reading(target)


@contextmanager
def looking(answers: Answers, folder: Path) -> Iterator[tuple[Hosts, HostMetrics]]:
    with hosts(answers, folder) as made:
        connections = LoopConnections(made.links)
        yield made, HostMetrics(connections, lambda: reading("here"))


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.01)


def run(work: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(work, 2 * DEADLINE_S)

    asyncio.run(bounded())


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, a look waits until all have answered."""
    monkeypatch.setattr(fleet_module, "WAIT_S", DEADLINE_S)
    monkeypatch.setattr(fleet_module, "TIMEOUT_S", DEADLINE_S)


def test_fifty_hosts_are_asked_at_once(patient: None, tmp_path: Path) -> None:
    names = [f"host-{number}" for number in range(50)]
    asked = 0
    all_asked: asyncio.Event | None = None

    async def together(target: str, method: str) -> Any:
        """Nobody gets an answer before everybody was asked: only asking in parallel ever ends."""
        nonlocal asked, all_asked
        all_asked = all_asked or asyncio.Event()
        assert method == "readings"
        asked += 1
        if asked == len(names):
            all_asked.set()
        await all_asked.wait()
        return reading(target)

    async def work() -> None:
        with looking(together, tmp_path) as (made, fleet):
            await made.connect(*names)
            await fleet.look()
            found = {name: fleet.reading(name) for name in names}
            assert all(one is not None and one[0].hostname == name for name, one in found.items())
            assert len(made.opened) == 50, "no connection but those that were there"
            await fleet.close()

    run(work())


def test_what_is_fresh_is_not_asked_again_and_what_is_older_is(
    patient: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        with looking(answer, tmp_path) as (made, fleet):
            await made.connect("one")
            monkeypatch.setattr(fleet_module, "FRESH_S", DEADLINE_S)
            await fleet.look()
            await fleet.look()
            assert made.calls == ["one"]
            monkeypatch.setattr(fleet_module, "FRESH_S", 0.0)
            await fleet.look()
            await until(lambda: made.calls == ["one", "one"])
            await until(lambda: not fleet._asking)
            first = fleet.reading("one")
            assert first is not None and first[1] < DEADLINE_S
            await fleet.close()

    run(work())


def test_nobody_is_asked_while_nobody_looks_and_what_is_not_connected_is_left_alone(
    patient: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        with looking(answer, tmp_path) as (made, fleet):
            await made.connect("one", "two")
            idle = made.links.link(route_of(target="idle", host="idle"))
            await fleet.look()
            assert sorted(made.calls) == ["one", "two"] and sorted(made.opened) == ["one", "two"]
            assert fleet.reading("idle") is None and idle.state.state == "idle"
            await made.links.run(made.links.link(route_of(target="two", host="two")).down())
            before = fleet.reading("two")
            assert before is not None
            monkeypatch.setattr(fleet_module, "FRESH_S", 0.0)
            await fleet.look()
            await until(lambda: made.calls.count("one") == 2)
            after = fleet.reading("two")
            assert after is not None and after[0] == before[0] and after[1] >= before[1], "the last, older"
            assert made.calls.count("two") == 1 and len(made.opened) == 2
            await fleet.close()

    run(work())


def test_a_host_that_does_not_answer_holds_up_one_look_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "TIMEOUT_S", DEADLINE_S)
    monkeypatch.setattr(fleet_module, "WAIT_S", 0.2)

    async def one_hangs(target: str, _method: str) -> Any:
        if target == "stuck":
            await asyncio.sleep(3600)
        return reading(target)

    async def work() -> None:
        with looking(one_hangs, tmp_path) as (made, fleet):
            await made.connect("stuck", "well")
            await fleet.look()
            await until(lambda: fleet.reading("well") is not None)
            assert fleet.reading("stuck") is None and HostRef("stuck") in fleet._silent
            monkeypatch.setattr(fleet_module, "WAIT_S", 3600.0)
            await fleet.look()  # would hang here: it is asked already
            fleet._asking[HostRef("stuck")].cancel()
            await until(lambda: HostRef("stuck") not in fleet._asking)
            monkeypatch.setattr(fleet_module, "FRESH_S", 3600.0)
            await fleet.look()  # asked anew, but not waited for again
            assert made.calls.count("stuck") >= 1
            await fleet.close()

    run(work())


def test_a_host_that_refuses_or_talks_nonsense_keeps_its_last_reading(
    patient: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_module, "FRESH_S", 0.0)
    said = {"now": "well"}

    async def moody(target: str, _method: str) -> Any:
        if said["now"] == "refuses":
            raise Refused("no")
        return reading(target) if said["now"] == "well" else {"hostname": 7}

    async def work() -> None:
        with looking(moody, tmp_path) as (made, fleet):
            await made.connect("one")
            await fleet.look()
            first = fleet.reading("one")
            assert first is not None
            for mood in ("refuses", "nonsense"):
                said["now"] = mood
                calls = len(made.calls)
                await fleet.look()
                await until(lambda calls=calls: len(made.calls) > calls and not fleet._asking)
                now = fleet.reading("one")
                assert now is not None and now[0] == first[0]
            said["now"] = "well"
            await fleet.look()
            await until(lambda: not fleet._asking and HostRef("one") not in fleet._silent)
            await fleet.close()

    run(work())


def test_this_machine_needs_no_link_and_does_not_block_the_loop(patient: None, tmp_path: Path) -> None:
    threads = []

    def here() -> dict[str, Any]:
        threads.append(threading.current_thread())
        return reading("this-host")

    async def work() -> None:
        with hosts(answer, tmp_path) as made:
            fleet = HostMetrics(LoopConnections(made.links), here)
            await fleet.look(["local"])
            found = fleet.reading("local")
            assert found is not None and found[0].hostname == "this-host"
            assert made.opened == [] and threads[0] is not threading.main_thread()
            await fleet.close()

    run(work())


def test_a_target_that_is_removed_is_forgotten(patient: None, tmp_path: Path) -> None:
    async def work() -> None:
        with looking(answer, tmp_path) as (made, fleet):
            await made.connect("one")
            await fleet.look()
            fleet.forget("one")
            assert fleet.reading("one") is None
            await fleet.close()

    run(work())
