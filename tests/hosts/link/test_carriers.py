"""Both carriers against a real sshd: they pass the same tests."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psutil

from genops_lab.hosts.link.carrier import HostStream
from genops_lab.hosts.providers.ssh.paramiko_carrier import _EagerLogins
from tests.hosts.link.stand_in import PAYLOAD, connect, echo, run, try_once
from tests.support.exhaustive import times
from tests.support.faults import FaultProxy
from tests.support.sshd import Sshd


def agent_file(host: Sshd) -> Path:
    return host.home / ".cache" / "genops-lab" / f"agent-{PAYLOAD[1]}.pyz"


def test_connects_uploads_once_and_finds_it_the_second_time(host: Sshd, tmp_path: Path, carrier: str) -> None:
    agent_file(host).unlink(missing_ok=True)
    assert try_once(host.route(carrier=carrier), tmp_path) == b"hello"
    first = agent_file(host).stat()
    assert first.st_mode & 0o777 == 0o600
    assert agent_file(host).parent.stat().st_mode & 0o777 == 0o700

    async def look(carriage: HostStream) -> str:
        assert await echo(carriage, b"again") == b"again"
        return carriage.carrier

    assert try_once(host.route(carrier=carrier), tmp_path, then=look) == carrier
    assert agent_file(host).stat().st_mtime_ns == first.st_mtime_ns


def test_a_damaged_agent_is_sent_again(host: Sshd, tmp_path: Path, carrier: str) -> None:
    try_once(host.route(carrier=carrier), tmp_path)
    agent_file(host).write_bytes(PAYLOAD[0][:-1])
    assert try_once(host.route(carrier=carrier), tmp_path) == b"hello"
    assert agent_file(host).read_bytes() == PAYLOAD[0]


def test_all_bytes_pass_unchanged_both_ways(host: Sshd, tmp_path: Path, carrier: str) -> None:
    data = os.urandom(3 << 20)

    async def both(carriage: HostStream) -> bytes:
        async def send() -> None:
            for start in range(0, len(data), 100_003):
                carriage.writer.write(data[start : start + 100_003])
                await carriage.writer.drain()

        sending = asyncio.ensure_future(send())
        received = await carriage.reader.readexactly(len(data))
        await sending
        return received

    assert try_once(host.route(carrier=carrier), tmp_path, then=both) == data


def test_keys_are_exchanged_anew_under_load(tmp_path: Path, carrier: str) -> None:
    data = os.urandom(1 << 20)

    async def both(carriage: HostStream) -> None:
        async def send() -> None:
            for _ in range(times(24, 10)):
                carriage.writer.write(data)
                await carriage.writer.drain()

        sending = asyncio.ensure_future(send())
        for _ in range(times(24, 10)):
            assert await carriage.reader.readexactly(len(data)) == data
        await sending

    with Sshd(extra="RekeyLimit 4M") as host:
        try_once(host.route(carrier=carrier), tmp_path, then=both)


def test_small_pieces_and_a_slow_line(host: Sshd, tmp_path: Path, carrier: str) -> None:
    with FaultProxy(host.port, slice_bytes=11, latency_s=0.01) as proxy:
        host.write_config(port=proxy.port)
        assert try_once(host.route(carrier=carrier), tmp_path) == b"hello"


def test_a_reader_that_waits_slows_the_host_down_and_loses_nothing(
    host: Sshd, tmp_path: Path, carrier: str
) -> None:
    size = 64 << 20

    async def late(carriage: HostStream) -> int:
        carriage.writer.write(f"flood{size}".encode())
        await carriage.writer.drain()
        await asyncio.sleep(1)
        left = size
        while left:
            left -= len(await carriage.reader.read(1 << 18))
        assert await echo(carriage, b"alive") == b"alive"
        return psutil.Process(carriage.pid).memory_info().rss

    assert try_once(host.route(carrier=carrier), tmp_path, then=late) < 400 << 20


def test_many_connections_at_once(host: Sshd, tmp_path: Path, carrier: str) -> None:
    async def work() -> list[bytes]:
        async def one(number: int) -> bytes:
            carriage = await connect(host.route(carrier=carrier), tmp_path)
            try:
                return await echo(carriage, b"%04d" % number)
            finally:
                await carriage.close()

        return await asyncio.gather(*(one(number) for number in range(6)))

    assert run(work()) == [b"%04d" % number for number in range(6)]


def test_servers_that_take_no_more_than_the_login_at_once_are_asked_so_ever_less_often() -> None:
    """Real resets, in number: ``test_after_a_reset_in_the_login_all_is_asked_in_one_go_again``."""
    logins = _EagerLogins()

    def goes(*, worked: bool) -> bool:
        asked = logins.wanted("host")
        logins.went("host", asked=asked, worked=worked and asked)
        return asked

    assert [goes(worked=False), goes(worked=True)] == [True, True], "one failure is the network's"
    assert [goes(worked=False) for _ in range(8)] == [True, True, *[False] * 4, True, False]
    for _ in range(64):
        goes(worked=False)
    assert logins.wanted("another")
