"""Messages to a kernel: each reaches the keeper once and in order, wherever the connection breaks."""

from __future__ import annotations

import asyncio
import gc
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.records import MESSAGE, RecordReader, unpack
from genops_lab.kernels.client import outbox
from genops_lab.kernels.client.outbox import Outbox, WaitingRequests
from tests.support.exhaustive import examples

#: For an outbox that writes no file.
NOWHERE = WaitingRequests(Path("nowhere"), "kernel", "client")


class Keeper:
    """Takes what is new of what arrives, as the keeper does."""

    def __init__(self) -> None:
        self.seen = 0
        self.got: list[bytes] = []

    def take(self, data: bytes) -> None:
        for kind, seq, payload in RecordReader((MESSAGE,)).feed(data):
            assert kind == MESSAGE
            if seq > self.seen:
                assert seq == self.seen + 1, "a message was left out"
                self.seen = seq
                self.got.append(unpack(payload)[2][0])


class Wire:
    """A channel that loses what is written after it broke."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self.broken = False
        self.lost = False

    def write(self, data: bytes) -> None:
        if self.broken:
            raise ChannelReset("gone")
        if not self.lost:
            self._keeper.take(data)

    async def drain(self) -> None:
        await asyncio.sleep(0)


Step = tuple[str, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 5)),
        st.tuples(st.just("big"), st.just(1)),
        st.tuples(st.sampled_from(["lose", "break", "connect", "seen", "turn"]), st.just(1)),
    ),
    max_size=60,
)


@settings(max_examples=examples(200), deadline=None)
@given(STEPS)
def test_any_interleaving_of_messages_cuts_and_receipts(steps: list[Step]) -> None:
    async def body() -> None:
        keeper = Keeper()
        crowded: list[bool] = []
        box = Outbox(crowded.append, NOWHERE)
        sent: list[bytes] = []
        wire: Any = Wire(keeper)
        for step, count in steps:
            if step in ("put", "big"):
                for _ in range(count):
                    sent.append(b"%d" % len(sent) + b"." * (100_000 if step == "big" else 0))
                    box.put(0, [sent[-1]])
            elif step == "lose":
                wire.lost = True
            elif step == "break":
                wire.broken = True
                box.disconnect()
            elif step == "connect":
                wire = Wire(keeper)
                box.connect(wire, keeper.seen)
            elif step == "seen":
                box.seen(random.randint(0, keeper.seen))
            else:
                await asyncio.sleep(0)
        wire = Wire(keeper)
        box.connect(wire, keeper.seen)
        for _ in range(3 * len(sent) + 10):
            await asyncio.sleep(0)
        assert keeper.got == sent

    asyncio.run(body())


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(0, 4), STEPS, st.integers(0, 3))
def test_what_waited_for_a_host_reaches_the_keeper_once_whenever_its_lab_dies(
    waited: int, steps: list[Step], later: int
) -> None:
    async def body(folder: Path) -> None:
        keeper = Keeper()
        box = Outbox(lambda _full: None, WaitingRequests(folder, "kernel", "first"))
        box.keep_waiting()
        waiting = [b"waited %d" % number for number in range(waited)]
        for message in waiting:
            box.put(0, [message])
        wire: Any = Wire(keeper)
        if steps:  # its host has come
            box.renumber()
            box.keep_waiting(False)
            box.connect(wire, 0)
        for step, count in steps:
            if step in ("put", "big"):
                for _ in range(count):
                    box.put(0, [b"unsafe"])
                    await asyncio.sleep(0)
            elif step == "lose":
                wire.lost = True
            elif step == "break":
                wire.broken = True
                box.disconnect()
            elif step == "connect":
                wire = Wire(keeper)
                box.connect(wire, keeper.seen)
            elif step == "seen":
                box.seen(random.randint(0, keeper.seen))
            else:
                await asyncio.sleep(0)
        box.disconnect()

        requests = WaitingRequests(folder, "kernel", "second")
        box = Outbox(lambda _full: None, requests)
        box.load_waiting()
        assert requests.earlier in ([], ["first"])
        for number in range(later):
            box.put(0, [b"later %d" % number])
        keeper.seen = (
            keeper.seen if requests.earlier else 0
        )  # it counts for each client, and goes on for those named
        box.connect(Wire(keeper), keeper.seen)  # type: ignore[arg-type]
        for _ in range(20):
            await asyncio.sleep(0)
        got = [message for message in keeper.got if message != b"unsafe"]
        assert got == [*waiting, *(b"later %d" % number for number in range(later))]
        box.seen(keeper.seen)
        assert not (folder / "kernel").exists()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(body(Path(folder)))


def test_much_that_waits_holds_the_clients_back(monkeypatch: Any) -> None:
    monkeypatch.setattr(outbox, "_MUCH_BYTES", 1000)

    async def body() -> None:
        crowded: list[bool] = []
        box = Outbox(crowded.append, NOWHERE)
        for _ in range(5):
            box.put(0, [b"." * 300])
        assert crowded == [True]
        box.seen(4)
        assert crowded == [True, False]

    asyncio.run(body())


def test_what_comes_after_a_kernels_end_is_for_the_next_one() -> None:
    async def body() -> None:
        first, second = Keeper(), Keeper()
        box = Outbox(lambda _full: None, NOWHERE)
        box.connect(Wire(first), 0)  # type: ignore[arg-type]
        box.put(0, [b"old"])
        box.clear()
        box.put(0, [b"new"])
        box.renumber()
        box.connect(Wire(second), 0)  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (first.got, second.got) == ([b"old"], [b"new"])

    asyncio.run(body())


def test_a_keeper_that_was_killed_after_it_took_a_message_is_sent_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def body() -> None:
        box = Outbox(lambda _full: None, NOWHERE)
        box.connect(Wire(Keeper()), 0)  # type: ignore[arg-type]
        box.put(0, [b"taken"])
        box.seen(1)
        box.connect(Wire(Keeper()), 0)  # type: ignore[arg-type]  # who serves its journal knows of none
        await asyncio.sleep(0.01)
        gc.collect()

    asyncio.run(body())
    assert caplog.text == "", "a task that fails is told of when it is collected"
