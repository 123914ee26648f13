"""A file's bytes as an answer."""

from __future__ import annotations

import asyncio
import posixpath
from typing import BinaryIO
from urllib.parse import quote

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


def disposition(path: str) -> str:
    """The header's value: the name as ASCII, and whole by RFC 5987."""
    name = posixpath.basename(path)
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in name) or "artifact"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
