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

from genops_lab.agent.channels import Channel, ChannelReset
from genops_lab.agent.transfer import DATA, data, document
from genops_lab.core.errors import Unavailable
from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.state import LinkDown, RemoteError
from genops_lab.hosts.link.transfer import SILENCE_S, TransferChannel

from .engine_parts import Host, Part
from .incoming_parts import MAX_SENT_BYTES, BadPart, IncomingTrace
from .unfinished import UnfinishedTrace

_PORTION_BYTES = 262144
#: Reading a trace may take minutes without a word.
_READING_S = 600.0
#: What an engine may answer: columns are smaller than their trace.
_MORE, _TIMES = 64 * 1024 * 1024, 4

#: A link that breaks is waited for so long; one that breaks so often before a part has come is given up.
_AWAY_S, _VAIN_TRIES, _BREATH_S = 600.0, 5, 0.05
_BROKEN = ("gone", "not_connected")

Parts = Callable[[Host], list[Part]]


class Went(NamedTuple):
    """How far a trace has come, in bytes; 0 of 0 before its host said how long it is."""

    done: int
    total: int


#: Told in the links' loop; the words say why it waits, and are empty while it comes.
Progress = Callable[[Went, str], None]


class Came(NamedTuple):
    """What came from a host: the engine's answer, or ``why`` there is none."""

    host: Host
    why: str = ""


async def analyzed(link: HostConnection, path: str, parts: Parts, answer: Path) -> Came:
    """Have a host's trace read there, into the file ``answer``; where that cannot be, it is said why.

    ``parts`` blocks, and raises Unavailable where the engine cannot run there. Raises RemoteError, LinkDown, OSError.
    """
    async with _talk(link, path) as talk:
        host = await talk.host()
        try:
            engine = await asyncio.to_thread(parts, host)
            await talk.analyze(engine, answer, host.size * _TIMES + _MORE)
        except Unavailable as reason:
            await asyncio.to_thread(answer.unlink, missing_ok=True)
            return Came(host, reason.message)
        return Came(host)


async def fetched(
    link: HostConnection,
    path: str,
    trace: Path,
    progress: Progress,
    stays: Callable[[], bool] = lambda: False,
) -> None:
    """Bring a host's trace, in gzip, to the file ``trace``, which is whole or not there.

    A link that breaks meanwhile is waited for, and the trace goes on where it was; so it does after what a server
    left that ended: killed, or where ``stays`` says at the end that what has come is to stay. Raises RemoteError,
    LinkDown, Failed for a trace that changed meanwhile, OSError.
    """
    release = link.hold()
    try:
        unfinished = await asyncio.to_thread(UnfinishedTrace.of, trace)
        try:
            await _all_came(link, path, unfinished, progress)
            await asyncio.to_thread(unfinished.finish, trace)
        finally:
            await asyncio.to_thread(unfinished.leave, stays=stays())
    finally:
        release()


async def _all_came(link: HostConnection, path: str, unfinished: UnfinishedTrace, progress: Progress) -> None:
    incoming, tries = None, 0
    while True:
        before = incoming.done if incoming else 0
        try:
            async with _talk(link, path) as talk:
                host = await talk.host()
                if incoming is None:
                    incoming = await asyncio.to_thread(unfinished.incoming, host)
                    before = incoming.done
                    progress(Went(incoming.done, incoming.total), "")
                incoming.go_on(host)
                await talk.fetch(incoming, progress)
            return
        except (LinkDown, RemoteError) as error:
            tries = tries + 1 if incoming is None or incoming.done == before else 1
            if error.code not in _BROKEN or tries > _VAIN_TRIES:
                raise
            progress(Went(incoming.done, incoming.total) if incoming else Went(0, 0), error.message)
        await asyncio.sleep(_BREATH_S)
        await link.ready(_AWAY_S)


@asynccontextmanager
async def _talk(link: HostConnection, path: str) -> AsyncIterator[_Talk]:
    try:
        channel = link.open("engine", {"path": path})
        channel.bulk = True
        try:
            yield _Talk(channel, link)
            channel.write_eof()
        finally:
            channel.reset("left", "The Lab has left.")
    except ChannelReset as reset:
        message = reset.message or f"The connection to {link.route.target} went."
        raise RemoteError(reset.code, message, reset.hint) from None


class _Talk(TransferChannel):
    def __init__(self, channel: Channel, link: HostConnection) -> None:
        super().__init__(channel, link.route.target, "the trace")
        self._link = link

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

    async def fetch(self, incoming: IncomingTrace, progress: Progress) -> None:
        """Take what is missing of the trace, up to its hash."""
        self._channel.write(document({"op": "send", "from": incoming.done}))
        payload = bytearray()
        while True:
            kind, portion = await self._parcel(_READING_S if not payload else SILENCE_S)
            if kind == DATA:
                payload += portion
                if len(payload) > MAX_SENT_BYTES:
                    raise self._bad("a part of the trace is too long")
                continue
            told = self._read(portion)
            if told.get("ended") == 0:
                await asyncio.to_thread(incoming.finish, told.get("sha256"))
                return
            try:
                # A slow disk must not hold kernels' messages.
                await asyncio.to_thread(incoming.add, bytes(payload), int(told["to"]))
            except (BadPart, KeyError, TypeError, ValueError) as error:
                raise self._bad(f"a part of the trace: {error}") from None
            self._link.proved()
            payload.clear()
            progress(Went(incoming.done, incoming.total), "")

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
