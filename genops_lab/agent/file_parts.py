"""A file on its way to the Lab, in parts that stand for themselves: after a cut it goes on behind the last one.

Each part is followed by a document, ``{"to": where in the file it ends}``; after the last one comes the hash of the
whole file, ``{"ended": 0, "sha256": ...}``. The parts of a file that is no gzip travel as raw deflate streams.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from typing import Any, Callable

from .channels import Channel
from .transfer import data, document

#: Of the file, for one part.
PART_BYTES = 1024 * 1024
_PORTION_BYTES = 262144
_RAW_DEFLATE = -15


def is_packed(path: str) -> bool:
    """Whether it is gzip already. Raises OSError."""
    with open(path, "rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


async def send_parts(channel: Channel, path: str, start: int) -> None:
    """Send what is behind ``start``, and the hash of all. Raises OSError, ChannelReset."""
    packed = await _in_thread(lambda: is_packed(path))
    digest = hashlib.sha256()

    def before() -> None:
        while stream.tell() < start:
            portion = stream.read(min(PART_BYTES, start - stream.tell()))
            if not portion:
                raise ValueError(f"it has only {stream.tell()} bytes")
            digest.update(portion)

    def part() -> bytes:
        raw = stream.read(PART_BYTES)
        digest.update(raw)
        return raw if packed or not raw else _deflated(raw)

    with await _in_thread(lambda: open(path, "rb")) as stream:
        await _in_thread(before)
        while True:
            payload = await _in_thread(part)
            if not payload:
                break
            await send(channel, payload)
            channel.write(document({"to": stream.tell()}))
    channel.write(document({"ended": 0, "sha256": digest.hexdigest()}))


async def send(channel: Channel, payload: bytes) -> None:
    """Send bytes as fast as the Lab takes them. Raises ChannelReset."""
    for start in range(0, len(payload), _PORTION_BYTES):
        channel.write(data(payload[start : start + _PORTION_BYTES]))
        await channel.drain()


def _deflated(raw: bytes) -> bytes:
    """A stream that ends at a byte and without an end: another one may follow it."""
    squeezer = zlib.compressobj(1, zlib.DEFLATED, _RAW_DEFLATE)
    return squeezer.compress(raw) + squeezer.flush(zlib.Z_SYNC_FLUSH)


async def _in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, work)
