"""Serve the Perfetto UI's files and the cut traces."""

from __future__ import annotations

import asyncio
import hmac
import mimetypes
from pathlib import Path
from urllib.parse import unquote

from jupyter_server.auth.decorator import allow_unauthenticated
from tornado import web

from genops_lab.core.api import FileHandler, authorize
from genops_lab.core.errors import GenOpsError
from genops_lab.core.file_response import disposition, send_file

from .service import PerfettoService

UI = r"/genops/perfetto/([^/]+)/(.*)"
CUT = r"/genops/profiles/([^/]+)/perfetto/([0-9a-f]+)"
_OWN = Path(__file__).parent
_SHELL = "shell.js"
#: The page has no origin: nothing in a trace or in the UI can act as the Lab, and the page can load only its
#: own files. This also holds when the address is opened in a tab. 'self' is the host that served the page.
POLICY = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; "
    "worker-src blob:; connect-src 'self' blob: data:; img-src 'self' blob: data:; font-src 'self'; "
    "style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Perfetto UI</title>
</head>
<body data-perfetto_version='{{"stable": "{version}"}}'>
<script src="{shell}" data-version="{version}"></script>
</body>
</html>
"""
_TYPES = {".js": "text/javascript", ".wasm": "application/wasm", ".woff2": "font/woff2", ".html": "text/html"}


class _Sending(FileHandler):
    async def _service(self) -> PerfettoService:
        service: PerfettoService = await self._services.get("PerfettoService")
        return service

    async def _send(self, path: Path) -> None:
        with await asyncio.to_thread(path.open, "rb") as file:
            await send_file(self, file)

    def _refuse(self, error: GenOpsError) -> None:
        self.set_status(error.status)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{error.message} {error.hint}".strip())


class UiHandler(_Sending):
    """Serve the UI's page and files to clients with the key. A page without an origin sends no cookies, so
    the key is part of the address; an authenticated operation returns it. The files are a published program
    and contain no user data."""

    @property
    def content_security_policy(self) -> str:
        """Return the policy of every answer, errors too."""
        return POLICY

    def set_default_headers(self) -> None:
        """Set the headers, also where the server's configuration sets others."""
        super().set_default_headers()
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "no-referrer")
        # A page without an origin loads these files. No cookies are involved.
        self.set_header("Access-Control-Allow-Origin", "*")

    @allow_unauthenticated
    async def get(self, key: str, path: str) -> None:
        """Send a file of the UI; the page for an empty path."""
        try:
            service = await self._service()
            if not hmac.compare_digest(key.encode(), service.key.encode()):
                raise web.HTTPError(404)
            ui = await service.ui()
        except GenOpsError as error:
            self._refuse(error)
            return
        if path == "":
            self._head("text/html; charset=utf-8", "no-cache")
            self.finish(_PAGE.format(version=ui.version, shell=_SHELL))
            return
        version, _, name = unquote(path).partition("/")
        if path == _SHELL:
            self._head("text/javascript", "no-cache")
            await self._send(_OWN / _SHELL)
        elif version == ui.version and name in ui.files:
            guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
            # The address has the version in it.
            self._head(_TYPES.get(Path(name).suffix, guessed), "private, max-age=86400, immutable")
            await self._send(ui.files[name])
        else:
            raise web.HTTPError(404)

    def _head(self, content_type: str, cache: str) -> None:
        self.set_header("Content-Type", content_type)
        self.set_header("Cache-Control", cache)


class CutHandler(_Sending):
    """Serve a cut or whole trace, for the Lab's page or for a download."""

    @web.authenticated
    async def get(self, profile_id: str, cut: str) -> None:
        """Send the bytes: JSON, or JSON compressed by gzip."""
        await authorize(self, "read", "profiles")
        try:
            path = await (await self._service()).cut_file(unquote(profile_id), cut)
        except GenOpsError as error:
            self._refuse(error)
            return
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", disposition(str(path)))
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        await self._send(path)
