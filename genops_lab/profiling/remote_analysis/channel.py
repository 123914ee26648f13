"""The Lab's end of a host's service ``engine``. Everything here runs in the links' loop.

The host is not trusted: what it sends is bounded before it is written, and checked where it is unpacked.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

import msgspec

from genops_lab.agent.transfer import BadTransfer, Damaged, Lost, Receiver, document, outgoing
from genops_lab.core.errors import Unavailable
from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.transfer import READING_S, HostTransfer, host_transfer, through_breaks

from .engine_parts import Host, Part
from .unfinished import IncomingTrace, UnfinishedTrace

#: What an engine may answer: columns are smaller than their trace.
_MORE, _TIMES = 64 * 1024 * 1024, 4

#: A link that breaks is waited for so long; one that breaks so often before a part has come is given up.
_AWAY_S, _BREAKS = 600.0, 6

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
    incoming: IncomingTrace | None = None

    def tell(why: str = "") -> None:
        progress(Went(incoming.done, incoming.size) if incoming else Went(0, 0), why)

    async def bring() -> None:
        nonlocal incoming
        async with _talk(link, path) as talk:
            host = await talk.host()
            if incoming is None:
                incoming = await asyncio.to_thread(unfinished.incoming, host)
                tell()
            incoming.go_on(host)

            def came(_: int) -> None:
                link.proved()
                tell()

            await talk.fetch(incoming, came)

    await through_breaks(
        link,
        bring,
        breaks=_BREAKS,
        within_s=_AWAY_S,
        came=lambda: incoming.done if incoming else 0,
        waits=tell,
    )


def _talk(link: HostConnection, path: str) -> AbstractAsyncContextManager[_Talk]:
    return host_transfer(_Talk, link, "engine", {"path": path})


class _Talk(HostTransfer):
    ABOUT = "the trace"
    patience_s = READING_S

    async def host(self) -> Host:
        """What the host says of itself and the trace."""
        try:
            return msgspec.convert(await self.document(), Host)
        except msgspec.ValidationError as error:
            raise BadTransfer(str(error)) from None

    async def analyze(self, parts: list[Part], answer: Path, limit: int) -> None:
        """Send what the engine lacks there, and take its answer. Raises Unavailable where it could not run."""
        order = [{"sha": part.sha, "size": len(part.content)} for part in parts]
        self.channel.write(document({"op": "analyze", "parts": order}))
        needed = (await self.document()).get("need")
        for part in parts:
            if isinstance(needed, list) and part.sha in needed:
                await self.send(outgoing(io.BytesIO(part.content), len(part.content)))
        ended = await self.document()
        if ended.get("ended") != 0:
            said = str(ended.get("said") or "").strip().splitlines()
            last = said[-1][:300] if said else "it said nothing"
            raise Unavailable(f"the engine ended there with {str(ended.get('ended'))[:20]}: {last}")
        size = ended.get("size")
        if type(size) is not int or not 0 <= size <= limit:
            raise BadTransfer("it sends more than a trace of that size can be")
        with answer.open("wb") as stream:
            await self.receive(Receiver(size), lambda part: stream.write(part.raw))

    async def fetch(self, incoming: IncomingTrace, came: Callable[[int], None]) -> None:
        """Take what is missing of the trace. Raises Failed where it changed."""
        self.channel.write(document({"op": "send", "from": incoming.done}))
        try:
            await self.receive(incoming, incoming.add, came)
        except (Damaged, Lost):
            raise incoming.changed() from None
        await asyncio.to_thread(incoming.finish)
