"""Send a file as an answer."""

from __future__ import annotations

import asyncio
import posixpath
from typing import BinaryIO
from urllib.parse import quote

from tornado import iostream, web

_CHUNK_BYTES = 1 << 20


async def send_file(handler: web.RequestHandler, file: BinaryIO) -> None:
    """Send the file in parts of 1 MiB. Set the headers before. A cancellation in the browser ends the answer."""
    while data := await asyncio.to_thread(file.read, _CHUNK_BYTES):
        handler.write(data)
        try:
            await handler.flush()
        except iostream.StreamClosedError:  # cancelled in the browser
            return


def disposition(path: str) -> str:
    """Return the value of ``Content-Disposition``: the name as ASCII, and in full by RFC 5987."""
    name = posixpath.basename(path)
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in name) or "artifact"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
