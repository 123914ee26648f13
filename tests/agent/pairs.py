"""Two ends of a stream in one loop, over a socket pair."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from genops_lab.agent.mux import Channel, Mux

TIMEOUT_S = 60.0


def refuse(channel: Channel) -> None:
    channel.reset("unknown_service", f"There is no service {channel.service}.")


@asynccontextmanager
async def pair(
    accept_even: Callable[[Channel], None] = refuse, accept_odd: Callable[[Channel], None] = refuse
) -> AsyncIterator[tuple[Mux, Mux]]:
    """The Lab's end, then the host's; both run."""
    left, right = socket.socketpair()
    ends = []
    tasks = []
    writers = []
    for sock, odd, accept in ((left, True, accept_odd), (right, False, accept_even)):
        reader, writer = await asyncio.open_connection(sock=sock)
        writers.append(writer)
        mux = Mux(reader, writer, odd=odd, accept=accept)
        ends.append(mux)
        tasks.append(asyncio.ensure_future(mux.run()))
    try:
        yield ends[0], ends[1]
    finally:
        for mux in ends:
            mux.close()
        await asyncio.wait(tasks, timeout=TIMEOUT_S)
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.close()
