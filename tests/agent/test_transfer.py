"""The contract of the one protocol by which bytes move: a file arrives as it was read, in parts that are checked, and
goes on behind the last of them. Folders, traces and the engine are its users."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import random
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from genops_lab.agent.channels import WINDOW_BYTES, Channel, ChannelReset
from genops_lab.agent.transfer import (
    DATA,
    DEFLATED_PART_BYTES,
    HEADER,
    MAX_PARCEL_BYTES,
    PART_BYTES,
    BadTransfer,
    Damaged,
    Lost,
    Part,
    Receiver,
    TransferChannel,
    TransferReader,
    data,
    digest_of,
    document,
    outgoing,
    portions,
    read_document,
)
from tests.agent.pairs import TIMEOUT_S, pair

CONTENT = random.Random(5).randbytes(2 * DEFLATED_PART_BYTES + 1000)
SIZES = [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, DEFLATED_PART_BYTES, len(CONTENT)]


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def arrive(receiver: Receiver, pieces: Any, into: bytearray, parts: int = -1) -> None:
    """What these bytes bring, up to so many parts; they come in portions that know no parcels."""
    reader = TransferReader()
    rest = b"".join(pieces)
    while rest:
        portion, rest = rest[:70_001], rest[70_001:]
        for kind, payload in reader.feed(portion):
            if kind == DATA:
                receiver.take(payload)
                continue
            into += receiver.part(read_document(payload)).raw
            parts -= 1
            if parts == 0:
                return


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_a_file_arrives_as_it_was_read(size: int, deflate: bool) -> None:
    content, came, digest = CONTENT[:size], bytearray(), hashlib.sha256()
    receiver = Receiver(size, deflated=deflate)
    arrive(receiver, outgoing(io.BytesIO(content), size, deflate=deflate, digest=digest), came)
    assert receiver.whole and came == content
    assert receiver.sha256 == digest.hexdigest() == sha(content)


@pytest.mark.parametrize("deflate", [False, True])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_it_goes_on_behind_the_last_good_part(parts: int, deflate: bool) -> None:
    receiver, came, size = Receiver(len(CONTENT), deflated=deflate), bytearray(), len(CONTENT)
    part = DEFLATED_PART_BYTES if deflate else PART_BYTES
    arrive(receiver, outgoing(io.BytesIO(CONTENT), size, deflate=deflate), came, parts)
    assert receiver.done == len(came) == min(parts * part, size)
    rest = b"".join(outgoing(io.BytesIO(CONTENT), size, receiver.done, deflate=deflate))
    arrive(receiver, [rest], came)
    assert receiver.whole and came == CONTENT and receiver.sha256 == sha(CONTENT)
    assert len(rest) < max(0, size - parts * part) * 65 / 64 + 2000, "what was there is not sent again"


def test_a_file_that_is_another_one_meanwhile_is_told_by_its_next_part() -> None:
    receiver, came = Receiver(len(CONTENT)), bytearray()
    arrive(receiver, outgoing(io.BytesIO(CONTENT), len(CONTENT)), came, 1)
    other = b"x" + CONTENT[1:]
    with pytest.raises(Damaged):
        arrive(receiver, outgoing(io.BytesIO(other), len(other), receiver.done), came)
    assert receiver.done == len(came) == PART_BYTES


@pytest.mark.parametrize(
    ("content", "exact", "why"),
    [
        (CONTENT[:-1], False, "shorter"),
        (CONTENT[:PART_BYTES], False, "shorter"),
        (b"", False, "shorter"),
        (CONTENT + b"x", True, "longer"),
    ],
)
def test_a_file_that_changes_while_it_is_read_is_lost(content: bytes, exact: bool, why: str) -> None:
    receiver = Receiver(len(CONTENT))
    with pytest.raises(Lost, match=why):
        arrive(receiver, outgoing(io.BytesIO(content), len(CONTENT), exact=exact), bytearray())
    assert not receiver.whole


def test_of_a_file_that_grows_what_was_seen_may_be_sent() -> None:
    came = bytearray()
    arrive(Receiver(10), outgoing(io.BytesIO(CONTENT), 10), came)
    assert came == CONTENT[:10]


def test_a_disk_that_fails_while_it_is_read_is_told() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(Lost, match="Input/output error"):
        arrive(Receiver(9), outgoing(Failing(), 9), bytearray())


@pytest.mark.parametrize("start", [-1, 11])
def test_nothing_is_sent_from_outside_of_the_file(start: int) -> None:
    with pytest.raises(ValueError, match="has none from"):
        list(outgoing(io.BytesIO(CONTENT), 10, start))


def ended(raw: bytes) -> bytes:
    """With an end, which no part has."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return squeezer.compress(raw) + squeezer.flush()


ZEROS = b"0" * DEFLATED_PART_BYTES


@pytest.mark.parametrize(
    ("payload", "raw", "changed", "deflated"),
    [
        (b"", b"", {}, False),
        (b"1234", b"1234", {}, False),
        (CONTENT[:PART_BYTES], CONTENT[:PART_BYTES], {"to": PART_BYTES + 1}, False),
        (CONTENT[:PART_BYTES], CONTENT[:PART_BYTES], {"to": str(PART_BYTES)}, False),
        (CONTENT[:PART_BYTES], CONTENT[1 : PART_BYTES + 1], {}, False),
        (CONTENT[:PART_BYTES], CONTENT[:PART_BYTES], {"sha256": None}, False),
        (b"1234", b"1234", {}, True),
        (ended(ZEROS), ZEROS, {}, True),
        (ended(ZEROS + b"0"), ZEROS + b"0", {}, True),
        (ended(b"0" * (1 << 27)), ZEROS, {}, True),
    ],
)
def test_what_is_no_part_is_refused_and_does_not_count(
    payload: bytes, raw: bytes, changed: dict[str, Any], deflated: bool
) -> None:
    receiver = Receiver(4 * DEFLATED_PART_BYTES, deflated=deflated)
    if payload:
        receiver.take(payload)
    with pytest.raises(BadTransfer):
        receiver.part({"to": len(raw), "sha256": sha(raw), **changed})
    assert (receiver.done, receiver.sha256) == (0, sha(b""))


@pytest.mark.parametrize("deflated", [False, True])
def test_no_more_is_held_than_a_part(deflated: bool) -> None:
    receiver = Receiver(1 << 40, deflated=deflated)
    most = MAX_PARCEL_BYTES if deflated else PART_BYTES
    for wrong in (b"", b"x" * (most + 1)):
        with pytest.raises(BadTransfer):
            receiver.take(wrong)
    receiver.take(b"x" * most)
    with pytest.raises(BadTransfer):
        receiver.take(b"x")


def test_a_file_takes_no_byte_more_than_it_has() -> None:
    with pytest.raises(BadTransfer):
        Receiver(10).take(b"x" * 11)
    with pytest.raises(BadTransfer):
        Receiver(0).take(b"x")


def test_of_a_file_that_cannot_be_kept_the_rest_is_taken_without_its_hash() -> None:
    receiver, came = Receiver(len(CONTENT)), bytearray()
    receiver.resume(PART_BYTES, None)
    arrive(receiver, outgoing(io.BytesIO(CONTENT), len(CONTENT), PART_BYTES), came)
    assert receiver.whole and came == CONTENT[PART_BYTES:]
    receiver.resume(PART_BYTES, digest_of(io.BytesIO(CONTENT), PART_BYTES))
    arrive(receiver, outgoing(io.BytesIO(CONTENT), len(CONTENT), PART_BYTES), came)
    assert receiver.sha256 == sha(CONTENT)


def test_parcels_come_out_as_they_went_in() -> None:
    parcels = [data(CONTENT[:n]) for n in (0, 1, 70_000)] + [document({"n": 1})] * 3
    reader, rest, found = TransferReader(), b"".join(parcels), []
    for length in [1, 2, 5, 40_000, 1, 1 << 20]:
        portion, rest = rest[:length], rest[length:]
        found += list(reader.feed(portion))
    assert [payload for _, payload in found] == [parcel[HEADER.size :] for parcel in parcels]


def test_many_small_files_are_few_portions() -> None:
    pieces = [document({"n": n}) for n in range(5000)]
    found = list(portions(iter(pieces)))
    assert b"".join(found) == b"".join(pieces) and len(found) == 1
    assert list(portions([])) == []


# Over a channel


async def talk(host: Callable[[TransferChannel], Any], lab: Callable[[TransferChannel], Any]) -> Any:
    """What the Lab's end comes to, with the host's beside it."""
    serving: list[asyncio.Future[Any]] = []

    def accept(channel: Channel) -> None:
        serving.append(asyncio.ensure_future(host(TransferChannel(channel))))

    async with pair(accept_even=accept) as (mine, _):
        try:
            return await asyncio.wait_for(lab(TransferChannel(mine.open("x", {}, False))), TIMEOUT_S)
        finally:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)


def test_who_is_slow_is_not_overrun() -> None:
    """A sender reads no further than what the receiver has taken, and the window."""
    size, read = 64 * PART_BYTES, 0

    class Endless(io.RawIOBase):
        def read(self, wanted: int = -1) -> bytes:
            nonlocal read
            read += wanted
            return bytes(wanted)

    async def host(channel: TransferChannel) -> None:
        await channel.send(outgoing(Endless(), size))  # type: ignore[arg-type]

    async def lab(channel: TransferChannel) -> list[int]:
        ahead: list[int] = []
        receiver = Receiver(size)

        def write(part: Part) -> None:
            ahead.append(read - receiver.done)

        counted: list[int] = []
        await channel.receive(receiver, write, counted.append)
        assert sum(counted) == size and receiver.whole
        return ahead

    ahead = asyncio.run(talk(host, lab))
    assert max(ahead) <= 4 * WINDOW_BYTES + 2 * PART_BYTES


def test_a_sender_that_ends_early_and_one_that_is_cut() -> None:
    async def early(channel: TransferChannel) -> None:
        channel.channel.write(data(b"12345"))
        channel.channel.write_eof()

    async def cut(channel: TransferChannel) -> None:
        channel.channel.write(data(b"12345"))
        channel.channel.reset("gone", "")

    async def lab(channel: TransferChannel) -> None:
        await channel.receive(Receiver(10), lambda part: None)

    with pytest.raises(BadTransfer, match="a file is incomplete"):
        asyncio.run(talk(early, lab))
    with pytest.raises(ChannelReset):
        asyncio.run(talk(cut, lab))


def test_a_part_that_was_cut_off_comes_again_over_the_next_channel() -> None:
    receiver, came = Receiver(len(CONTENT)), bytearray()

    async def cut(channel: TransferChannel) -> None:
        sent = b"".join(outgoing(io.BytesIO(CONTENT), len(CONTENT)))
        channel.channel.write(sent[: PART_BYTES * 3 // 2])
        await channel.channel.drain()
        channel.channel.write_eof()

    async def whole(channel: TransferChannel) -> None:
        await channel.send(outgoing(io.BytesIO(CONTENT), len(CONTENT), receiver.done))

    async def lab(channel: TransferChannel) -> None:
        await channel.receive(receiver, lambda part: came.extend(part.raw))

    with pytest.raises(BadTransfer, match="a file is incomplete"):
        asyncio.run(talk(cut, lab))
    assert receiver.done == PART_BYTES
    asyncio.run(talk(whole, lab))
    assert came == CONTENT


def test_files_follow_one_another_and_a_full_disk_is_raised() -> None:
    files = [os.urandom(size) for size in (0, 10, PART_BYTES + 5, 3)]

    async def host(channel: TransferChannel) -> None:
        for content in files:
            await channel.send(outgoing(io.BytesIO(content), len(content)))
        channel.channel.write(document({"that": "was all"}))
        await channel.heard()

    async def lab(channel: TransferChannel) -> None:
        for content in files:
            came = bytearray()
            await channel.receive(Receiver(len(content)), lambda part, came=came: came.extend(part.raw))  # type: ignore[misc]
            assert came == content
        assert await channel.document() == {"that": "was all"}

    asyncio.run(talk(host, lab))

    async def full(channel: TransferChannel) -> None:
        def write(part: Part) -> None:
            raise OSError(28, "No space left on device")

        await channel.receive(Receiver(0), write)

    with pytest.raises(OSError, match="No space"):
        asyncio.run(talk(host, full))
