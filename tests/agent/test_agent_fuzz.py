"""Bytes from the other side are not trusted: no hang, no memory beyond the limits, a reason for each end."""

from __future__ import annotations

import asyncio
import struct
import tracemalloc
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genops_lab.agent import frames, records
from genops_lab.agent.frames import FrameReader, PreambleReader, ProtocolError
from genops_lab.agent.mux import MAX_WAITING, Mux, StreamEnded
from genops_lab.agent.records import LargeMessage, RecordReader
from genops_lab.agent.stream_input import StreamInput
from tests.support.exhaustive import examples

CUTS = st.lists(st.integers(1, 5000), max_size=20)


def portions(data: bytes, cuts: list[int]) -> list[bytes]:
    found = []
    for cut in cuts:
        found.append(data[:cut])
        data = data[cut:]
    return [*found, data]


any_frame = st.builds(
    frames.frame,
    st.integers(0, 9),
    st.one_of(st.integers(0, 8), st.integers(0, 2**32 - 1)),
    st.one_of(
        st.binary(max_size=40),
        st.just(b'{"service": "call", "method": "x"}'),
        st.just(b'{"service": "x", "urgent": true}'),
        st.just(bytes(65536)),
        st.just(b"[" * 60000),
        st.just(b"\xff" * 4),
    ),
)
hostile = st.one_of(
    st.binary(max_size=3000),
    st.lists(any_frame, max_size=30).map(b"".join),
    st.tuples(st.lists(any_frame, max_size=5).map(b"".join), st.binary(max_size=30)).map(b"".join),
)


@given(
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=3000)), max_size=20),
    CUTS,
)
@settings(deadline=None)
def test_frames_come_out_as_they_went_in(items: list[tuple[int, bytes]], cuts: list[int]) -> None:
    data = b"".join(frames.frame(frames.DATA, number, payload) for number, payload in items)
    reader = FrameReader()
    got = [frame for portion in portions(data, cuts) for frame in reader.feed(portion)]
    assert got == [(frames.DATA, number, payload) for number, payload in items]
    assert reader.empty


@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.floats(allow_nan=False),
            st.lists(st.binary(max_size=500), max_size=12),
        ),
        max_size=12,
    ),
    CUTS,
    st.sampled_from([records.LARGE_BYTES, 0, 100]),
)
@settings(deadline=None)
def test_records_come_out_as_they_went_in(
    items: list[tuple[int, float, list[bytes]]], cuts: list[int], large: int
) -> None:
    data = b"".join(
        records.record(records.RECORD, seq, records.pack(*item)) for seq, item in enumerate(items)
    )
    reader = RecordReader()
    with patch.object(records, "LARGE_BYTES", large):
        got = [found for portion in portions(data, cuts) for found in reader.feed(portion)]
    assert [(seq, records.unpack(payload)) for _, seq, payload in got] == list(enumerate(items))
    assert all(records.packed_size(item[2]) == len(records.pack(*item)) for item in items)
    assert reader.empty


@given(st.binary(max_size=2000))
def test_a_payload_is_a_message_or_an_error(payload: bytes) -> None:
    try:
        channel, timestamp, found = records.unpack(payload)
    except ProtocolError as error:
        assert str(error)
    else:
        if timestamp == timestamp:
            assert records.pack(channel, timestamp, found) == payload


@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda frames, cut, more: records.pack(3, 1.0, frames)[: -cut or None] + more,
            st.lists(st.binary(max_size=9), max_size=5), st.integers(0, 9), st.binary(max_size=9),
        ),
    ),
    CUTS,
)  # fmt: skip
def test_a_message_in_pieces_is_what_it_is_whole(payload: bytes, cuts: list[int]) -> None:
    def outcome(read: Callable[[], records.Message]) -> object:
        try:
            return repr(read())  # a timestamp may be no number
        except ProtocolError:
            return ProtocolError

    def in_pieces() -> records.Message:
        message = LargeMessage(len(payload))
        for portion in portions(payload, cuts):
            message.feed(memoryview(portion))
        return message.message()

    assert outcome(in_pieces) == outcome(lambda: records.unpack(payload))


@given(st.binary(max_size=2000), CUTS)
def test_records_of_any_bytes_end_with_a_reason(data: bytes, cuts: list[int]) -> None:
    reader = RecordReader((records.HELLO, records.MESSAGE, records.ACK))
    try:
        for portion in portions(data, cuts):
            for kind, _, payload in reader.feed(portion):
                assert kind in (records.HELLO, records.MESSAGE, records.ACK)
                assert isinstance(payload, bytes) and len(payload) <= len(data)
    except ProtocolError as error:
        assert "not allowed" in str(error)


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("!BQI", records.HELLO, 1, 2**32 - 1),
        struct.pack("!BQI", records.ACK, 1, 1),
        struct.pack("!BQI", records.MESSAGE, 1, records.MAX_RECORD_BYTES + 1),
        struct.pack("!BQI", records.RECORD, 1, 10),  # only keepers send these
        struct.pack("!BQI", 200, 1, 0),
    ],
)
def test_a_huge_or_foreign_record_is_refused_before_its_bytes(header: bytes) -> None:
    reader = RecordReader((records.HELLO, records.MESSAGE, records.ACK))
    with pytest.raises(ProtocolError):
        list(reader.feed(header))


def test_a_length_alone_costs_no_memory() -> None:
    reader = RecordReader((records.MESSAGE,))
    tracemalloc.start()
    try:
        assert list(reader.feed(struct.pack("!BQI", records.MESSAGE, 1, records.MAX_RECORD_BYTES))) == []
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=300), st.dictionaries(st.text(max_size=5), st.integers(), max_size=3), CUTS)
def test_the_preamble_is_found_after_any_noise(noise: bytes, hello: dict[str, Any], cuts: list[int]) -> None:
    noise = noise.replace(frames.MAGIC, b"")
    reader = PreambleReader()
    found = None
    pending = portions(noise + frames.preamble(hello) + b"rest", cuts)
    while found is None:
        found = reader.feed(pending.pop(0))
    assert found[0] == hello
    assert found[1] + b"".join(pending) == b"rest"


def test_endless_noise_is_an_error_that_shows_its_end() -> None:
    reader = PreambleReader()
    with pytest.raises(ProtocolError, match="please press enter"):
        for _ in range(100):
            reader.feed(b"x" * 1000 + b"please press enter")


class _Writer:
    """Takes everything."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> None:
        self.size += len(data)

    async def drain(self) -> None:
        await asyncio.sleep(0)


@given(hostile, CUTS)
@settings(deadline=None, max_examples=examples(300))
def test_a_mux_fed_with_anything_ends_with_a_reason(data: bytes, cuts: list[int]) -> None:
    async def test() -> None:
        reader = asyncio.StreamReader()
        for portion in portions(data, cuts):
            reader.feed_data(portion)
        reader.feed_eof()
        opened: list[Any] = []
        mux = Mux(reader, _Writer(), odd=False, accept=opened.append)
        try:
            await asyncio.wait_for(mux.run(), 30)
        except StreamEnded as end:
            assert end.reason
        held = sum(len(piece) for channel in opened for piece in channel._in)
        assert held <= len(data)

    asyncio.run(test())


def test_a_flood_of_pings_and_openings_is_bounded() -> None:
    async def test() -> None:
        reader = asyncio.StreamReader()
        opening = b"".join(frames.frame(frames.OPEN, 2 * n + 1, b'{"service": "x"}') for n in range(2000))
        reader.feed_data(opening + frames.frame(frames.PING, 0, bytes(8)) * 50_000)

        class Stuck(_Writer):
            async def drain(self) -> None:
                await asyncio.Event().wait()

        opened: list[Any] = []
        mux = Mux(reader, Stuck(), odd=False, accept=opened.append)
        running = asyncio.ensure_future(mux.run())
        while not len(mux._first):
            await asyncio.sleep(0.01)
        assert len(opened) <= 256
        fed = len(reader._buffer)
        await asyncio.sleep(0.2)
        assert len(reader._buffer) == fed  # nobody takes the answers: nothing more is read
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(test())


def test_a_flood_that_is_taken_as_it_comes_is_bounded() -> None:
    async def test() -> None:
        pings = frames.frame(frames.PING, 0, bytes(8)) * 500
        reader = StreamInput()
        reader.feed_data(pings)

        class Stuck(_Writer):
            async def drain(self) -> None:
                await asyncio.Event().wait()

        mux = Mux(reader, Stuck(), odd=False, accept=lambda channel: None)
        running = asyncio.ensure_future(mux.run())
        while reader.take is None:
            await asyncio.sleep(0.01)
        for _ in range(100):
            reader.feed_data(pings)
        assert len(mux._first) <= MAX_WAITING + 500
        while len(mux._first) <= MAX_WAITING + 500:  # what came meanwhile is read in one more portion
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert len(mux._first) < 25_000 and reader.take is None
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(test())
