"""A file's bytes as an answer."""

from __future__ import annotations

import asyncio
from typing import BinaryIO

from tornado import iostream, web

_CHUNK_BYTES = 1 << 20


async def send_file(handler: web.RequestHandler, file: BinaryIO) -> None:
    """Send it in parts, as fast as the browser takes them; headers are set before. Ends where the browser cancels."""
    while data := await asyncio.to_thread(file.read, _CHUNK_BYTES):
        handler.write(data)
        try:
            await handler.flush()
        except iostream.StreamClosedError:  # cancelled in the browser
            return
