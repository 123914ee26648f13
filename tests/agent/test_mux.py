"""Channels over one stream: all bytes arrive, in order; a slow reader delays nobody else."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from genops_lab.agent.frames import CREDIT, DATA, EOF, OPEN, frame
from genops_lab.agent.mux import Channel, ChannelReset, Mux, StreamEnded

from .pairs import TIMEOUT_S, pair

T = TypeVar("T")


def run(test: Callable[[], Awaitable[T]]) -> T:
    async def bounded() -> T:
        return await asyncio.wait_for(test(), TIMEOUT_S)

    return asyncio.run(bounded())


class Served:
    """Serves channels with a coroutine; keeps the tasks."""

    def __init__(self, handler: Callable[[Channel], Awaitable[None]]) -> None:
        self.handler = handler
        self.tasks: list[asyncio.Future[None]] = []

    def __call__(self, channel: Channel) -> None:
        self.tasks.append(asyncio.ensure_future(self.handler(channel)))


async def echo(channel: Channel) -> None:
    while data := await channel.read():
        channel.write(data)
        await channel.drain()
    channel.write_eof()


async def read_all(channel: Channel) -> bytes:
    pieces = []
    while piece := await channel.read():
        pieces.append(piece)
    return b"".join(pieces)


def test_bytes_come_back_in_order_on_many_channels() -> None:
    async def test() -> None:
        sent = [os.urandom(3_000_000 + 7 * number) for number in range(6)]
        async with pair(Served(echo)) as (lab, _):
            channels = [lab.open("echo", {"n": n}, urgent=n % 2 == 0) for n in range(len(sent))]

            async def feed(channel: Channel, data: bytes) -> None:
                for start in range(0, len(data), 50_001):
                    channel.write(data[start : start + 50_001])
                    await channel.drain()
                channel.write_eof()

            feeders = [asyncio.ensure_future(feed(*item)) for item in zip(channels, sent, strict=True)]
            got = await asyncio.gather(*(read_all(channel) for channel in channels))
            await asyncio.gather(*feeders)
            assert [hashlib.sha256(x).digest() for x in got] == [hashlib.sha256(x).digest() for x in sent]

    run(test)


def test_a_channel_says_what_it_was_opened_for() -> None:
    seen: list[tuple[str, dict[str, Any], bool]] = []

    async def test() -> None:
        def accept(channel: Channel) -> None:
            seen.append((channel.service, channel.params, channel.urgent))
            channel.write_eof()

        async with pair(accept) as (lab, _):
            assert await lab.open("call", {"method": "probe", "params": {"a": 1}}, urgent=True).read() == b""

    run(test)
    assert seen == [("call", {"method": "probe", "params": {"a": 1}}, True)]


def test_the_host_opens_channels_too() -> None:
    async def test() -> None:
        async with pair(accept_odd=Served(echo)) as (_, host):
            channel = host.open("lab", {"kernel_id": "k"})
            channel.write(b"GET / HTTP/1.1")
            channel.write_eof()
            assert await read_all(channel) == b"GET / HTTP/1.1"

    run(test)


def test_a_slow_reader_holds_back_its_own_writer_and_nobody_else() -> None:
    async def test() -> None:
        async with pair(Served(echo)) as (lab, _):
            stalled = lab.open("echo", {})
            written = 0

            async def flood() -> None:
                nonlocal written
                while True:
                    stalled.write(bytes(65536))
                    written += 65536
                    await stalled.drain()

            flooding = asyncio.ensure_future(flood())
            for number in range(20):
                quick = lab.open("echo", {})
                quick.write(b"%d" % number)
                quick.write_eof()
                assert await read_all(quick) == b"%d" % number
            await asyncio.sleep(0.2)
            assert written < 4 * 1024 * 1024 + 512 * 1024  # two windows and what waits on each side
            flooding.cancel()
            assert await stalled.read_exactly(2 * 1024 * 1024) == bytes(2 * 1024 * 1024)

    run(test)


def test_urgent_frames_pass_a_bulk_transfer() -> None:
    order: list[str] = []

    async def test() -> None:
        async def serve(channel: Channel) -> None:
            if channel.urgent:
                channel.write(b"now")
                channel.write_eof()
                return
            channel.write(bytes(50_000_000))
            channel.write_eof()

        async with pair(Served(serve)) as (lab, _):
            bulk = lab.open("bulk", {})

            await bulk.read(1)
            assert await read_all(lab.open("call", {}, urgent=True)) == b"now"
            order.append("urgent")
            assert len(await read_all(bulk)) == 50_000_000 - 1
            order.append("bulk")

    run(test)
    assert order == ["urgent", "bulk"]


def test_reset_carries_its_reason_and_ends_both_directions() -> None:
    async def test() -> None:
        def accept(channel: Channel) -> None:
            channel.reset("running", "The kernel runs already.", "Stop it first.")

        async with pair(accept) as (lab, _):
            channel = lab.open("call", {})
            with pytest.raises(ChannelReset) as found:
                await channel.read()
            assert (found.value.code, found.value.message) == ("running", "The kernel runs already.")
            assert found.value.hint == "Stop it first."
            with pytest.raises(ChannelReset):
                channel.write(b"x")
            with pytest.raises(ChannelReset):
                await channel.drain()
            channel.write_eof()  # harmless

    run(test)


def test_an_end_of_the_stream_resets_every_channel() -> None:
    async def test() -> None:
        async with pair(Served(echo)) as (lab, host):
            channel = lab.open("echo", {})
            channel.write(b"x")
            assert await channel.read() == b"x"
            waiting = asyncio.ensure_future(channel.read())
            host.close()
            lab.close()
            with pytest.raises(ChannelReset) as found:
                await waiting
            assert found.value.code == "gone"
            with pytest.raises(ChannelReset):
                lab.open("echo", {})
            with pytest.raises(ChannelReset):
                await lab.ping()

    run(test)


def test_ping_answers_while_bulk_flows() -> None:
    async def test() -> None:
        async with pair(Served(echo)) as (lab, _):
            channel = lab.open("echo", {})
            channel.write(bytes(10_000_000))
            assert await lab.ping() > 0
            heard = lab.last_heard
            assert await lab.ping() > 0
            assert lab.last_heard >= heard

    run(test)


async def _host_that_receives(data: bytes) -> Mux:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    end, other = os.pipe()
    writer_transport, protocol = await asyncio.get_running_loop().connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(other, "wb")
    )
    writer = asyncio.StreamWriter(writer_transport, protocol, None, asyncio.get_running_loop())
    mux = Mux(reader, writer, odd=False, accept=lambda channel: None)
    try:
        await mux.run()
    finally:
        writer.close()
        os.close(end)
    return mux


@pytest.mark.parametrize(
    "data",
    [
        frame(OPEN, 2, b'{"service": "x"}'),  # an even number is the host's own
        frame(OPEN, 1, b'{"service": "x"}') + frame(OPEN, 1, b'{"service": "x"}'),
        frame(OPEN, 1, b"[]"),
        frame(OPEN, 1, b'{"service": 3}'),
        frame(OPEN, 1, b"[" * 60000),
        frame(DATA, 1, b"x"),  # never opened
        frame(OPEN, 1, b'{"service": "x"}') + frame(DATA, 1, bytes(65536)) * 17,  # beyond the credit
        frame(OPEN, 1, b'{"service": "x"}') + frame(EOF, 1) + frame(EOF, 1),
        frame(OPEN, 1, b'{"service": "x"}') + frame(CREDIT, 1, b"\xff" * 4) * 300,
        b"\x09" + bytes(8),
        b"\x02" + bytes(4) + b"\xff\xff\xff\xff",
        frame(OPEN, 1, b'{"service": "x"}')[:-1],
    ],
)
def test_a_breach_of_the_protocol_ends_the_stream_with_a_reason(data: bytes) -> None:
    with pytest.raises(StreamEnded) as found:
        run(lambda: _host_that_receives(data))
    assert found.value.reason


def test_a_clean_end_is_no_error_and_late_frames_are_ignored() -> None:
    async def test() -> None:
        opened = frame(OPEN, 1, b'{"service": "x"}')
        await _host_that_receives(opened + frame(4, 1, b'{"code": "c"}') + frame(DATA, 1, b"late"))

    run(test)


def test_bulk_gives_way_to_every_other_channel() -> None:
    async def test() -> None:
        size = 900_000
        came = {"bulk": 0, "kernel": 0}
        at_the_end: dict[str, int] = {}
        over = asyncio.Event()

        async def count(channel: Channel) -> None:
            while piece := await channel.read():
                came[channel.service] += len(piece)
                if came["kernel"] == size and not at_the_end:
                    at_the_end.update(came)
                if sum(came.values()) == 2 * size:
                    over.set()

        async with pair(Served(count)) as (lab, _):
            bulk, kernel = lab.open("bulk", {}), lab.open("kernel", {})
            bulk.bulk = True
            for channel in (bulk, kernel):
                channel.write(bytes(size))
            await over.wait()
        assert at_the_end["bulk"] <= 2 * 65536, "a frame or two were on their way already"

    run(test)
