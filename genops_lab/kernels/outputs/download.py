"""Download a full output as a file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tornado import iostream, web

from genops_lab.core.api import FileHandler, authorize
from genops_lab.core.errors import GenOpsError

if TYPE_CHECKING:
    from .service import OutputsService

DOWNLOAD = r"/genops/outputs/([^/]+)/([^/]+)/download"
_CHUNK_BYTES = 1 << 20


class DownloadHandler(FileHandler):
    """Sends the text in parts, as fast as the browser takes them."""

    @web.authenticated
    async def get(self, kernel_id: str, msg_id: str) -> None:
        """Send the whole text."""
        await authorize(self, "read", "kernels")
        try:
            outputs: OutputsService = await self._services.get("OutputsService")
            text = await outputs.whole_text(unquote(kernel_id), unquote(msg_id))
        except GenOpsError as error:
            raise web.HTTPError(error.status, error.message) from error
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Content-Disposition", 'attachment; filename="output.txt"')
        self.set_header("Cache-Control", "no-store")
        offset = 0
        while data := await asyncio.to_thread(text.read, offset, _CHUNK_BYTES):
            self.write(data)
            offset += len(data)
            try:
                await self.flush()
            except iostream.StreamClosedError:  # cancelled in the browser
                return

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write the error as text, for a user who follows the link."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(getattr(error, "log_message", None) or self._reason)
