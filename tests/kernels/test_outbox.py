"""Messages to a kernel: each reaches the keeper once and in order, wherever the connection breaks."""

from __future__ import annotations

import asyncio
import gc
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.records import MESSAGE, RecordReader, unpack
from genops_lab.kernels.client import exchange
from genops_lab.kernels.client.exchange import Outbox
from tests.support.exhaustive import examples


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
        keeper, crowded = Keeper(), []
        box = Outbox(crowded.append)
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


def test_much_that_waits_holds_the_clients_back(monkeypatch: Any) -> None:
    monkeypatch.setattr(exchange, "_MUCH_BYTES", 1000)

    async def body() -> None:
        crowded: list[bool] = []
        box = Outbox(crowded.append)
        for _ in range(5):
            box.put(0, [b"." * 300])
        assert crowded == [True]
        box.seen(4)
        assert crowded == [True, False]

    asyncio.run(body())


def test_what_comes_after_a_kernels_end_is_for_the_next_one() -> None:
    async def body() -> None:
        first, second = Keeper(), Keeper()
        box = Outbox(lambda _full: None)
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
        outbox = Outbox(lambda _full: None)
        outbox.connect(Wire(Keeper()), 0)  # type: ignore[arg-type]
        outbox.put(0, [b"taken"])
        outbox.seen(1)
        outbox.connect(Wire(Keeper()), 0)  # type: ignore[arg-type]  # who serves its journal knows of none
        await asyncio.sleep(0.01)
        gc.collect()

    asyncio.run(body())
    assert caplog.text == "", "a task that fails is told of when it is collected"
