"""The incoming side of a stream, whose bytes need no task's turn to be taken."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Callable, Optional, Tuple


class StreamInput(asyncio.StreamReader):
    """While ``take`` is set it gets what comes, and :meth:`read` waits for the end; what was there before is to be read
    first. What ``take`` raises, ``read`` raises."""

    take: Optional[Callable[[bytes], None]] = None

    def feed_data(self, data: Any) -> None:
        if self.take is None:
            super().feed_data(data)
            return
        try:
            self.take(data)
        except Exception as error:  # told to who reads
            self.take = None
            self.set_exception(error)


async def open_stream(sock: socket.socket, limit: int) -> "Tuple[StreamInput, asyncio.StreamWriter]":
    """As ``asyncio.open_connection`` for a connected socket."""
    reader = StreamInput(limit=limit)
    protocol = asyncio.StreamReaderProtocol(reader)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
