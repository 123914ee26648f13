"""Take incoming bytes of a stream without waiting for a task's turn."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Callable, Optional, Tuple


class StreamInput(asyncio.StreamReader):
    """While ``take`` is set it gets the bytes, and :meth:`read` waits for the end; earlier bytes must be read
    first. An error of ``take`` is raised by ``read``."""

    take: Optional[Callable[[bytes], None]] = None

    def feed_data(self, data: Any) -> None:
        if self.take is None:
            super().feed_data(data)
            return
        try:
            self.take(data)
        except Exception as error:  # raised to the reader
            self.take = None
            self.set_exception(error)


async def open_stream(sock: socket.socket, limit: int) -> "Tuple[StreamInput, asyncio.StreamWriter]":
    """Do the same as ``asyncio.open_connection`` for a connected socket."""
    reader = StreamInput(limit=limit)
    protocol = asyncio.StreamReaderProtocol(reader)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: protocol, sock=sock)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
