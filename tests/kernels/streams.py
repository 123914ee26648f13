"""A Lab's end and a host's end of a stream, in one loop, and HTTP over a channel between them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from genops_lab.agent.mux import Channel, Mux

#: Seconds; a loaded machine takes many for the first import of mlflow.
DEADLINE_S = 120.0

Handler = Callable[[Channel], Awaitable[None]]


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: Any

    @property
    def message(self) -> str:
        """What the error says."""
        return str(self.body["error"]["message"])


@asynccontextmanager
async def stream(handler: Handler) -> AsyncIterator[Mux]:
    """The host's mux; channels that it opens are served by ``handler``, as a link does."""
    tasks: set[asyncio.Task[None]] = set()

    def accept(channel: Channel) -> None:
        task = asyncio.ensure_future(_served(handler, channel))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    one, other = socket.socketpair()
    lab_side, host_side = await asyncio.open_connection(sock=one), await asyncio.open_connection(sock=other)
    lab = Mux(*lab_side, odd=True, accept=accept)
    host = Mux(*host_side, odd=False, accept=lambda channel: channel.reset("no", "", ""))
    running = [asyncio.ensure_future(mux.run()) for mux in (lab, host)]
    try:
        yield host
    finally:
        for mux in (lab, host):
            mux.close()
        await asyncio.gather(*running, return_exceptions=True)
        for _reader, writer in (lab_side, host_side):
            writer.close()
            await writer.wait_closed()
        await asyncio.gather(*tasks)


async def _served(handler: Handler, channel: Channel) -> None:
    try:
        await handler(channel)
    except BaseException:
        channel.reset("failed", "", "")
        raise


async def raw(host: Mux, kernel_id: Any, sent: bytes, *, eof: bool = True) -> bytes:
    """All that comes back when ``sent`` is written to a channel of the kernel. Raises ChannelReset."""
    channel = host.open("lab", {"kernel_id": kernel_id})
    channel.write(sent)
    if eof:
        channel.write_eof()
    found = b""
    while data := await asyncio.wait_for(channel.read(), DEADLINE_S):
        found += data
    return found


async def request(
    host: Mux, kernel_id: str, method: str, path: str, body: Any = None, *, headers: str = ""
) -> Answer:
    """One request as a kernel sends it; ``body`` is JSON, or bytes as they are."""
    payload = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"{method} /genops{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(payload)}\r\n{headers}"
    )
    channel = host.open("lab", {"kernel_id": kernel_id})
    channel.write(head.encode() + b"Connection: close\r\n\r\n" + payload)
    found = b""
    while data := await asyncio.wait_for(channel.read(), DEADLINE_S):
        found += data
    channel.write_eof()
    return parse(found)


def parse(found: bytes) -> Answer:
    """The answer in what came back."""
    head, _, content = found.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    return Answer(status, json.loads(content) if content else None)
