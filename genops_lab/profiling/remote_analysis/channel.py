"""Talk to a host's service ``engine``. Everything here runs in the loop of the connections.

The host is not trusted: its data is bounded before it is written, and checked when it is unpacked.
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

#: Largest answer of an engine, relative to the trace: columns are smaller than their trace.
_MORE, _TIMES = 64 * 1024 * 1024, 4

#: Longest wait for a broken connection, and most breaks without progress.
_AWAY_S, _BREAKS = 600.0, 6

Parts = Callable[[Host], list[Part]]


class TransferProgress(NamedTuple):
    """Progress of a transfer in bytes; 0 of 0 before the host sent the size."""

    done: int
    total: int


#: Called in the loop of the connections. The text says why the transfer waits; it is empty during the
#: transfer.
Progress = Callable[[TransferProgress, str], None]


class HostAnswer(NamedTuple):
    """The answer of a host; ``why`` says why it has none."""

    host: Host
    why: str = ""


async def analyzed(link: HostConnection, path: str, parts: Parts, answer: Path) -> HostAnswer:
    """Analyze a host's trace there and write the result to ``answer``. Where that is not possible, the answer
    says why.

    ``parts`` blocks, and raises Unavailable where the engine cannot run there. Raises RemoteError, LinkDown,
    OSError.
    """
    async with _talk(link, path) as talk:
        host = await talk.host()
        try:
            engine = await asyncio.to_thread(parts, host)
            await talk.analyze(engine, answer, host.size * _TIMES + _MORE)
        except Unavailable as reason:
            await asyncio.to_thread(answer.unlink, missing_ok=True)
            return HostAnswer(host, reason.message)
        return HostAnswer(host)


async def fetched(
    link: HostConnection,
    path: str,
    trace: Path,
    progress: Progress,
    stays: Callable[[], bool] = lambda: False,
) -> None:
    """Copy a host's trace, compressed by gzip, to the file ``trace``. The file is complete or absent.

    The transfer waits for a broken connection and then continues at the same place. It also continues after a
    server that was killed, or that ended while ``stays`` returned True. Raises RemoteError, LinkDown,
    OSError, and Failed for a trace that changed during the transfer.
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
        progress(TransferProgress(incoming.done, incoming.size) if incoming else TransferProgress(0, 0), why)

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
        """Return the host's description of itself and of the trace."""
        try:
            return msgspec.convert(await self.document(), Host)
        except msgspec.ValidationError as error:
            raise BadTransfer(str(error)) from None

    async def analyze(self, parts: list[Part], answer: Path, limit: int) -> None:
        """Send the parts of the engine that the host lacks, and receive its answer. Raises Unavailable where
        the engine could not run."""
        order = [{"sha": part.sha, "size": len(part.content)} for part in parts]
        self.channel.write(document({"op": "analyze", "parts": order}))
        needed = (await self.document()).get("need")
        for part in parts:
            if isinstance(needed, list) and part.sha in needed:
                await self.send(outgoing(io.BytesIO(part.content), len(part.content)))
        ended = await self.document()
        if ended.get("ended") != 0:
            said = str(ended.get("said") or "").strip().splitlines()
            last = said[-1][:300] if said else "no output"
            raise Unavailable(f"the engine ended with {str(ended.get('ended'))[:20]}: {last}")
        size = ended.get("size")
        if type(size) is not int or not 0 <= size <= limit:
            raise BadTransfer("it sent more than a trace of that size can have")
        with answer.open("wb") as stream:
            await self.receive(Receiver(size), lambda part: stream.write(part.raw))

    async def fetch(self, incoming: IncomingTrace, came: Callable[[int], None]) -> None:
        """Receive the missing part of the trace. Raises Failed where the trace changed."""
        self.channel.write(document({"op": "send", "from": incoming.done}))
        try:
            await self.receive(incoming, incoming.add, came)
        except (Damaged, Lost):
            raise incoming.changed() from None
        await asyncio.to_thread(incoming.finish)
