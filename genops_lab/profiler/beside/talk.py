"""The Lab's end of a host's service ``engine``. Everything here runs in the links' loop.

The host is not trusted: what it sends is bounded before it is written, and checked where it is unpacked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from genops_lab.agent.channels import ChannelReset
from genops_lab.agent.parcels import DATA, data, document
from genops_lab.core.errors import Unavailable
from genops_lab.links.link import Link
from genops_lab.links.parcel_talk import SILENCE_S, ParcelTalk
from genops_lab.links.state import RemoteError

from .parts import Host, Part

_PORTION_BYTES = 262144
#: Reading a trace may take minutes without a word.
_READING_S = 600.0
#: What a host may send of a trace: gzip makes nothing much longer, and columns are smaller than their trace.
_MORE, _TIMES = 64 * 1024 * 1024, 4

Parts = Callable[[Host], list[Part]]


class Came(NamedTuple):
    """What came from a host: the engine's answer, or where ``why`` says why there is none, the trace."""

    host: Host
    why: str = ""


async def analyzed(link: Link, path: str, parts: Parts, answer: Path, trace: Path) -> Came:
    """Have a host's trace read there, into the file ``answer``; where that cannot be, it comes as ``trace``.

    ``parts`` blocks, and raises Unavailable where the engine cannot run there. Raises RemoteError, LinkDown, OSError.
    """
    async with _talk(link, path) as talk:
        host = await talk.host()
        try:
            engine = await asyncio.to_thread(parts, host)
            await talk.analyze(engine, answer, host.size * _TIMES + _MORE)
        except Unavailable as reason:
            await asyncio.to_thread(answer.unlink, missing_ok=True)
            await talk.fetch(trace, host.size * _TIMES + _MORE)
            return Came(host, reason.message)
        return Came(host)


async def fetched(link: Link, path: str, trace: Path) -> None:
    """Bring a host's trace, in gzip, to the file ``trace``. Raises RemoteError, LinkDown, OSError."""
    async with _talk(link, path) as talk:
        host = await talk.host()
        await talk.fetch(trace, host.size * _TIMES + _MORE)


@asynccontextmanager
async def _talk(link: Link, path: str) -> AsyncIterator[_Talk]:
    try:
        channel = link.open("engine", {"path": path})
        channel.bulk = True
        try:
            yield _Talk(channel, link.route.target, "the trace")
            channel.write_eof()
        finally:
            channel.reset("left", "The Lab has left.")
    except ChannelReset as reset:
        message = reset.message or f"The connection to {link.route.target} went."
        raise RemoteError(reset.code, message, reset.hint) from None


class _Talk(ParcelTalk):
    async def host(self) -> Host:
        """What the host says of itself and the trace."""
        try:
            return msgspec.convert(await self._document(), Host)
        except msgspec.ValidationError as error:
            raise self._bad(str(error)) from None

    async def analyze(self, parts: list[Part], answer: Path, limit: int) -> None:
        """Send what the engine lacks there, and take its answer. Raises Unavailable where it could not run."""
        order = [{"sha": part.sha, "size": len(part.content)} for part in parts]
        self._channel.write(document({"op": "analyze", "parts": order}))
        needed = (await self._document()).get("need")
        for part in parts:
            if isinstance(needed, list) and part.sha in needed:
                await self._send(part.content)
        ended = await self._take(answer, limit, _READING_S)
        if ended.get("ended") != 0:
            said = str(ended.get("said") or "").strip().splitlines()
            last = said[-1][:300] if said else "it said nothing"
            raise Unavailable(f"the engine ended there with {str(ended.get('ended'))[:20]}: {last}")

    async def fetch(self, trace: Path, limit: int) -> None:
        """Take the trace; the file is whole or not there."""
        self._channel.write(document({"op": "send"}))
        part = trace.with_name(f"{trace.name}.part")
        try:
            ended = await self._take(part, limit, SILENCE_S)
            if ended.get("ended") != 0:
                raise self._bad("the trace ended too early")
            part.replace(trace)
        finally:
            part.unlink(missing_ok=True)

    async def _send(self, content: bytes) -> None:
        for start in range(0, len(content), _PORTION_BYTES):
            self._channel.write(data(content[start : start + _PORTION_BYTES]))
            await self._channel.drain()

    async def _take(self, file: Path, limit: int, patience_s: float) -> dict[str, Any]:
        """Write what comes, up to the document that ends it."""
        with file.open("wb") as stream:
            while True:
                kind, payload = await self._parcel(patience_s)
                if kind != DATA:
                    return self._read(payload)
                limit -= len(payload)
                if limit < 0:
                    raise self._bad("it sends more than a trace of that size can be")
                await asyncio.to_thread(stream.write, payload)  # a slow disk must not hold kernels' messages
