"""The local sockets of a remote kernel."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from genops_lab.agent.records import CONTROL, IOPUB, SHELL, STDIN
from genops_lab.kernels.client import endpoints as module
from genops_lab.kernels.client.endpoints import HEARTBEAT_PORT, PORTS, Endpoints

DEADLINE_S = 60.0
_clients: list[Any] = []


@pytest.fixture(autouse=True)
def _runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENOPS_RUNTIME_DIR", str(tmp_path / "s"))


@contextmanager
def a_context() -> Iterator[zmq.Context[Any]]:
    context: zmq.Context[Any] = zmq.Context()
    try:
        yield context
    finally:
        _clients.clear()
        context.destroy(linger=0)


@asynccontextmanager
async def bound() -> AsyncIterator[tuple[Endpoints, zmq.Context[Any], list[tuple[int, list[bytes]]]]]:
    with a_context() as context:
        got: list[tuple[int, list[bytes]]] = []
        found = Endpoints(context, lambda channel, frames: got.append((channel, frames)))
        try:
            yield found, context, got
        finally:
            found.close()


def client(found: Endpoints, context: zmq.Context[Any], kind: int, port: int, identity: bytes = b"") -> Any:
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    if identity:
        socket.setsockopt(zmq.IDENTITY, identity)
    if kind == zmq.SUB:
        socket.setsockopt(zmq.SUBSCRIBE, b"")
    socket.connect(f"ipc://{found.ip}-{port}")
    _clients.append(socket)  # a socket that nobody holds is closed
    return socket


async def until(reached: Any) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


async def receive(socket: Any) -> list[bytes]:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        try:
            return list(socket.recv_multipart(zmq.NOBLOCK))
        except zmq.Again:
            await asyncio.sleep(0.002)
    raise AssertionError("nothing came")


def test_what_comes_after_the_close_has_no_readers() -> None:
    async def closed() -> None:
        async with bound() as (found, _context, _got):
            found.close()
            assert found.deliver(IOPUB, [b"status"]) and found.deliver(SHELL, [b"page", b"reply"])

    asyncio.run(closed())


def test_the_folder_is_the_users_alone_and_goes() -> None:
    async def body() -> Path:
        async with bound() as (found, _context, _got):
            assert stat.S_IMODE(found.folder.stat().st_mode) == 0o700
            return found.folder

    assert not asyncio.run(body()).exists()


def test_requests_and_replies_keep_their_client() -> None:
    async def body() -> None:
        async with bound() as (found, context, got):
            for channel in (SHELL, CONTROL, STDIN):
                socket = client(found, context, zmq.DEALER, PORTS[channel], b"me")
                socket.send_multipart([b"one", b"two"])
                await until(lambda: got)
                assert got.pop() == (channel, [b"me", b"one", b"two"])
                assert found.deliver(channel, [b"me", b"answer"])
                assert await receive(socket) == [b"answer"]

    asyncio.run(body())


def test_a_reply_waits_for_its_client_and_keeps_the_order() -> None:
    async def body() -> None:
        async with bound() as (found, context, _got):
            for number in (b"1", b"2", b"3"):
                assert found.deliver(SHELL, [b"late", number])
            socket = client(found, context, zmq.DEALER, PORTS[SHELL], b"late")
            assert [await receive(socket) for _ in range(3)] == [[b"1"], [b"2"], [b"3"]]
            assert found.deliver(SHELL, [b"late", b"4"])
            assert await receive(socket) == [b"4"]

    asyncio.run(body())


def test_a_reply_that_cannot_be_sent_hides_no_request_that_comes_at_that_moment() -> None:
    """Sending reads what has come, so that its descriptor tells nothing of it any more."""

    async def test() -> None:
        async with bound() as (found, context, got):
            page = client(found, context, zmq.DEALER, PORTS[SHELL], b"page")
            page.send_multipart([b"first"])
            await until(lambda: got)
            for number in range(20):
                page.send_multipart([b"request %d" % number])
                time.sleep(0.02)  # noqa: ASYNC251 - it lies there, and the loop has not seen it
                found.deliver(SHELL, [b"gone", b"a reply"])
                await until(lambda wanted=number + 2: len(got) == wanted)

    asyncio.run(test())


def test_a_reply_that_nobody_fetches_is_dropped_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HOLD_S", 0.05)

    async def body() -> None:
        async with bound() as (found, _context, _got):
            found.deliver(SHELL, [b"never", b"1"])
            await until(lambda: not found._waiting)

    asyncio.run(body())


def test_replies_that_nobody_fetches_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HOLD_BYTES", 10_000)

    async def body() -> None:
        async with bound() as (found, context, _got):
            for number in range(100):
                found.deliver(SHELL, [b"client-%d" % (number % 7), b"%d" % number, bytes(1000)])
            held = sum(len(waiting) for waiting in found._waiting.values())
            assert 5 <= held <= 10
            socket = client(found, context, zmq.DEALER, PORTS[SHELL], b"client-%d" % (99 % 7))
            received = await receive(socket)
            while received[0] != b"99":
                received = await receive(socket)

    asyncio.run(body())


def test_a_client_that_comes_back_with_its_name_takes_over_from_its_old_connection() -> None:
    async def body() -> None:
        async with bound() as (found, context, got):
            first = client(found, context, zmq.DEALER, PORTS[SHELL], b"page")
            first.send(b"hello")
            await until(lambda: got)
            second = client(found, context, zmq.DEALER, PORTS[SHELL], b"page")
            second.send(b"again")
            await until(lambda: len(got) == 2)
            found.deliver(SHELL, [b"page", b"answer"])
            assert await receive(second) == [b"answer"]

    asyncio.run(body())


def test_the_heartbeat_is_answered_here() -> None:
    async def body() -> None:
        async with bound() as (found, context, _got):
            socket = client(found, context, zmq.REQ, HEARTBEAT_PORT)
            socket.send(b"ping")
            assert await receive(socket) == [b"ping"]

    asyncio.run(body())


def test_new_subscriptions_are_told_of() -> None:
    async def body() -> None:
        async with bound() as (found, context, _got):
            topics: list[bytes] = []
            found.subscribed = topics.append
            clients = [client(found, context, zmq.SUB, PORTS[IOPUB]) for _ in range(2)]
            await until(lambda: len(topics) == 2)
            assert found.deliver(IOPUB, [b"topic", b"text"])
            assert [await receive(each) for each in clients] == [[b"topic", b"text"]] * 2

    asyncio.run(body())


def test_a_reader_that_stalls_loses_nothing() -> None:
    async def body() -> None:
        async with bound() as (found, context, _got):
            topics: list[bytes] = []
            found.subscribed = topics.append
            socket = client(found, context, zmq.SUB, PORTS[IOPUB])
            await until(lambda: topics)
            for number in range(module._QUEUE_MESSAGES):
                assert found.deliver(IOPUB, [b"topic", b"%d" % number])
            for number in range(module._QUEUE_MESSAGES):
                assert (await receive(socket))[1] == b"%d" % number

    asyncio.run(body())


def test_large_messages_after_many_small_ones_come_as_well() -> None:
    """What a reader has taken is told to the sender in portions: one that is counted anew is never told of."""

    async def body() -> None:
        async with bound() as (found, context, _got):
            topics: list[bytes] = []
            found.subscribed = topics.append
            socket = client(found, context, zmq.SUB, PORTS[IOPUB])
            await until(lambda: topics)
            sizes = [10] * 6_000 + [200_000] * 600 + [10] * 6_000
            for number, size in enumerate(sizes):
                await until(lambda frames=[b"%d" % number, bytes(size)]: found.deliver(IOPUB, frames))
                assert (await receive(socket))[0] == b"%d" % number

    asyncio.run(body())


def test_a_full_queue_holds_the_kernels_messages_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUEUE_MESSAGES", 10)

    async def body() -> None:
        async with bound() as (found, context, _got):
            topics: list[bytes] = []
            found.subscribed = topics.append
            socket = client(found, context, zmq.SUB, PORTS[IOPUB])
            await until(lambda: topics)
            sent, held, number = 0, False, 0
            while not held:
                assert number < 1_000_000, "nothing was held back"
                if found.deliver(IOPUB, [b"topic", b"%d" % number]):
                    sent += 1
                else:
                    held = True
                number += 1
            for expected in range(sent):
                assert (await receive(socket))[1] == b"%d" % expected
            await until(lambda: found.deliver(IOPUB, [b"topic", b"more"]))
            assert (await receive(socket))[1] == b"more"

    asyncio.run(body())


def test_a_reader_that_never_reads_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUEUE_MESSAGES", 10)
    monkeypatch.setattr(module, "_STALLED_S", 0.2)

    async def body() -> None:
        async with bound() as (found, context, _got):
            topics: list[bytes] = []
            found.subscribed = topics.append
            client(found, context, zmq.SUB, PORTS[IOPUB])
            reader = client(found, context, zmq.SUB, PORTS[IOPUB])
            await until(lambda: len(topics) == 2)
            number = 0
            while found.deliver(IOPUB, [b"topic", b"%d" % number]):
                assert (await receive(reader))[1] == b"%d" % number
                number += 1
                assert number < 1_000_000
            await until(lambda: found.deliver(IOPUB, [b"topic", b"%d" % number]))
            assert (await receive(reader))[1] == b"%d" % number

    asyncio.run(body())


def test_jupyter_removes_the_names_and_they_come_back() -> None:
    async def body() -> None:
        async with bound() as (found, context, got):
            for port in (*PORTS.values(), HEARTBEAT_PORT):
                os.remove(f"{found.ip}-{port}")
            found.name_sockets()
            found.name_sockets()
            client(found, context, zmq.DEALER, PORTS[SHELL]).send(b"hello")
            await until(lambda: got)

    asyncio.run(body())


def test_a_pause_leaves_requests_with_their_clients() -> None:
    async def body() -> None:
        async with bound() as (found, context, got):
            socket = client(found, context, zmq.DEALER, PORTS[SHELL])
            other = client(found, context, zmq.DEALER, PORTS[CONTROL])
            found.pause(True)
            socket.send(b"work")
            other.send(b"stop")
            await until(lambda: got)
            assert [channel for channel, _ in got] == [CONTROL]
            found.pause(False)
            await until(lambda: len(got) == 2)
            assert got[1][0] == SHELL

    asyncio.run(body())


def test_a_long_runtime_folder_is_passed_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENOPS_RUNTIME_DIR", str(tmp_path / ("long" * 25)))

    async def body() -> None:
        async with bound() as (found, context, got):
            assert len(found.ip) < 100
            client(found, context, zmq.DEALER, PORTS[SHELL]).send(b"hello")
            await until(lambda: got)

    asyncio.run(body())
