"""Both carriers lose their connection, or are left: it is noticed, and nothing stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from genops_lab.hosts.link.carrier import HostStream
from genops_lab.hosts.link.errors import (
    CarrierEnded,
    HostUnreachable,
    LinkError,
)
from genops_lab.hosts.providers.ssh.paramiko_carrier import ParamikoCarriage
from tests.hosts.link.stand_in import People, connect, failure, gone, run, try_once
from tests.support.exhaustive import times
from tests.support.faults import FaultProxy
from tests.support.processes import runs
from tests.support.sshd import Sshd


def test_a_child_that_is_killed_is_noticed(host: Sshd, tmp_path: Path, carrier: str) -> None:
    async def kill(carriage: HostStream) -> LinkError:
        os.kill(carriage.pid, signal.SIGKILL)
        assert await carriage.reader.read() == b""
        return await carriage.why(30)

    error = try_once(host.route(carrier=carrier), tmp_path, then=kill)
    assert isinstance(error, CarrierEnded)
    assert try_once(host.route(carrier=carrier), tmp_path) == b"hello"


def test_a_reset_is_noticed(host: Sshd, tmp_path: Path, carrier: str) -> None:
    with FaultProxy(host.port) as proxy:
        host.write_config(port=proxy.port)

        async def reset(carriage: HostStream) -> LinkError:
            proxy.reset()
            assert await carriage.reader.read() == b""
            return await carriage.why(30)

        assert isinstance(try_once(host.route(carrier=carrier), tmp_path, then=reset), CarrierEnded)


def test_the_connections_sshd_is_killed(host: Sshd, tmp_path: Path, carrier: str) -> None:
    async def kill(carriage: HostStream) -> LinkError:
        assert host.kill_sessions() > 0
        assert await carriage.reader.read() == b""
        return await carriage.why(30)

    assert isinstance(try_once(host.route(carrier=carrier), tmp_path, then=kill), CarrierEnded)


def test_a_reset_at_any_byte_of_the_way_up_is_an_error(host: Sshd, tmp_path: Path, carrier: str) -> None:
    with FaultProxy(host.port) as proxy:
        host.write_config(port=proxy.port)
        for count in (1, 30, 700, 1500):
            # Every connection: one of another program, that finds this port after the one it knew is closed, may
            # come first, and paramiko answers a reset in the login by a second connection.
            proxy.reset_after(count, every=True)
            error = failure(host, tmp_path, carrier=carrier)
            assert isinstance(error, CarrierEnded | HostUnreachable), (count, error)


def test_a_reset_in_the_login_is_an_error_or_answered_by_another_connection(
    host: Sshd, tmp_path: Path
) -> None:
    """A server that does not take login and command in one go may end by a reset too: paramiko asks one by one then."""
    with FaultProxy(host.port) as proxy:
        host.write_config(port=proxy.port)
        for count in (1500, 2000) * times(8, 2):
            before = proxy.status()["accepted"]
            proxy.reset_after(count)
            try:
                assert try_once(host.route(carrier="paramiko"), tmp_path) == b"hello"
            except (CarrierEnded, HostUnreachable) as error:
                assert "EOFError:" not in error.message, (count, error)
            else:
                assert proxy.status()["accepted"] == before + 2, count


@pytest.mark.exhaustive
def test_after_a_reset_in_the_login_all_is_asked_in_one_go_again(host: Sshd, tmp_path: Path) -> None:
    """And after two in a row not for some connections: a server that does not take it looks the same."""
    route = host.route(carrier="paramiko")

    async def asked_in_one_go(carriage: HostStream) -> bool:
        assert isinstance(carriage, ParamikoCarriage)
        return bool(carriage.server["eager"])

    with FaultProxy(host.port) as proxy:
        host.write_config(port=proxy.port)

        def reset() -> None:
            # Where the login is, in bytes, depends on the server's keys.
            for count in 3 * [*range(1400, 1800, 50)]:
                proxy.reset_after(count)
                with contextlib.suppress(CarrierEnded, HostUnreachable):
                    if not try_once(route, tmp_path, then=asked_in_one_go):
                        return
            raise AssertionError("no reset was answered by another connection")

        for _ in range(2):
            reset()
            assert try_once(route, tmp_path, then=asked_in_one_go)
        reset()
        reset()
        later = [try_once(route, tmp_path, then=asked_in_one_go) for _ in range(6)]
        assert later == [False] * 4 + [True] * 2


def test_closing_a_connection_in_a_black_hole_ends_its_processes(
    host: Sshd, tmp_path: Path, carrier: str
) -> None:
    with FaultProxy(host.port) as proxy:
        host.write_config(port=proxy.port)

        async def hole(carriage: HostStream) -> int:
            proxy.hole()
            carriage.writer.write(b"lost")
            return carriage.pid

        pid = try_once(host.route(carrier=carrier), tmp_path, then=hole)
        gone(pid)


def test_an_attempt_that_is_given_up_leaves_nothing(host: Sshd, tmp_path: Path, carrier: str) -> None:
    host.known_hosts.write_text("")

    class Slow(People):
        async def ask(self, question: Any) -> str | None:
            self.asked.append(question)
            await asyncio.sleep(3600)
            return None

    people = Slow()

    async def work() -> None:
        attempt = asyncio.ensure_future(connect(host.route(carrier=carrier), tmp_path, people))
        while not people.asked:
            assert not attempt.done()
            await asyncio.sleep(0.02)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt

    run(work())
    deadline = time.monotonic() + 60
    while any(str(host.port) in " ".join(child.cmdline()) for child in children()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            child.cmdline()
        except psutil.Error:
            continue
        found.append(child)
    return found


def test_the_child_ends_with_the_lab(host: Sshd, tmp_path: Path, carrier: str) -> None:
    import subprocess

    program = (
        "import asyncio, json, sys\nfrom pathlib import Path\n"
        "from genops_lab.hosts.providers import route_of\nfrom tests.hosts.link.stand_in import connect\n"
        "async def main():\n"
        "    carriage = await connect(route_of(**json.loads(sys.argv[1])), Path(sys.argv[2]))\n"
        "    print(carriage.pid, flush=True)\n"
        "    await asyncio.sleep(3600)\n"
        "asyncio.run(main())\n"
    )
    import msgspec

    route = host.route(carrier=carrier)
    fields = json.dumps({"target": route.target, **msgspec.to_builtins(route.config)})
    lab = subprocess.Popen(
        [sys.executable, "-c", program, fields, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    try:
        assert lab.stdout is not None
        pid = int(lab.stdout.readline())
        assert runs(pid)
    finally:
        lab.kill()
        lab.wait()
        lab.stdout.close()
    gone(pid)
