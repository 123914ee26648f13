"""Serve the files of hosts: by the contents API of Jupyter (``/genops/contents/HOST/``), and as downloads.

JupyterLab's own drive speaks to the first, so every viewer and editor works.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jupyter_server.base.handlers import path_regex
from jupyter_server.services.contents.handlers import CheckpointsHandler, ContentsHandler
from tornado import web
from tornado.iostream import StreamClosedError

from genops_lab.core.api import FileHandler, authorize, principal_of, refuse
from genops_lab.core.audit import AuditLog
from genops_lab.core.errors import GenOpsError
from genops_lab.core.models import AuditEntry

from .contents import HostContents

if TYPE_CHECKING:
    from genops_lab.core.api import ServiceGate
    from genops_lab.core.operations import Action

    from .service import FilesService

_HOST = r"(?P<host>[^/]+)"
CONTENTS = rf"/genops/contents/{_HOST}{path_regex}"
CHECKPOINTS = rf"{CONTENTS}/checkpoints"
DOWNLOAD = rf"/genops/files/{_HOST}/(?P<path>.+)"
_RESOURCE = "files"
#: By host: the bytes that have arrived of files that are sent in portions.
_uploads: dict[str, dict[str, int]] = {}
_NAMES = {"PATCH": "files.rename", "DELETE": "files.delete"}
_noting: set[asyncio.Future[None]] = set()


class _OfHost:
    """Has a handler of Jupyter use the files of the host that the address names."""

    def initialize(self, services: ServiceGate) -> None:
        """Store the gate; its services may still be opening."""
        self._services = services
        #: The host whose files the request changes; empty for none.
        self._changes = ""

    async def prepare(self: Any) -> None:
        """Find the host, after the checks of the user."""
        await super().prepare()  # type: ignore[misc]
        host = self.path_kwargs.pop("host")
        if self.request.method == "OPTIONS" or not self.current_user:
            return
        self._changes = "" if self.request.method in ("GET", "HEAD") else host
        action: Action = "write" if self._changes else "read"
        await authorize(self, action, _RESOURCE)
        files: FilesService = await self._services.get("FilesService")
        lab = self.settings["contents_manager"]
        self._contents = HostContents(
            files,
            await files.link(host),
            _uploads.setdefault(host, {}),
            parent=lab,
            allow_hidden=lab.allow_hidden,
        )

    @property
    def contents_manager(self) -> HostContents:
        """The files of the host, in place of those of this machine."""
        return self._contents

    def on_finish(self: Any) -> None:
        """Write what changes a file into the audit log; of a file in portions, the last one."""
        super().on_finish()  # type: ignore[misc]
        audit, status = self._services.now(AuditLog), self.get_status()
        chunk = (self.get_json_body() or {}).get("chunk") if self.request.method == "PUT" else None
        if audit is None or not self._changes or (status < 400 and chunk not in (None, -1)):
            return
        entry = AuditEntry(
            principal=str(principal_of(self)),
            action="write",
            resource=_RESOURCE,
            operation=_NAMES.get(self.request.method, "files.save"),
            outcome="ok" if status < 400 else str(status),
            detail={"host": self._changes, "path": (self.path_kwargs.get("path") or "").strip("/")},
        )
        noting = asyncio.ensure_future(audit.add(entry))
        _noting.add(noting)
        noting.add_done_callback(_noting.discard)

    def write_error(self: Any, status_code: int, **kwargs: Any) -> None:
        """Answer with the message of an error of ours, as Jupyter answers with its own."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, GenOpsError):
            self.set_status(error.status)
            self.set_header("Content-Type", "application/json")
            self.finish({"message": f"{error.message} {error.hint}".strip(), "reason": None})
            return
        super().write_error(status_code, **kwargs)  # type: ignore[misc]

    def log_exception(self: Any, kind: Any, error: Any, trace: Any) -> None:
        """Log unexpected errors; a GenOpsError becomes an answer."""
        if not isinstance(error, GenOpsError):
            super().log_exception(kind, error, trace)  # type: ignore[misc]


class ContentsOfHost(_OfHost, ContentsHandler):  # type: ignore[misc]
    """Lists, opens, saves, renames and deletes files."""


class CheckpointsOfHost(_OfHost, CheckpointsHandler):  # type: ignore[misc]
    """Answers that files of hosts have no checkpoints."""


class HostDownload(FileHandler):
    """Sends a file of a host in portions."""

    @web.authenticated
    async def get(self, host: str, path: str) -> None:
        """Send the file."""
        await authorize(self, "read", _RESOURCE)
        files: FilesService = await self._services.get("FilesService")
        try:
            link = await files.link(host)
            seen = await files.call(link, {"op": "look", "path": path})
            portions = files.read(link, path)
            self.set_header("Content-Type", "application/octet-stream")
            self.set_header("X-Content-Type-Options", "nosniff")
            name = quote(path.rpartition("/")[2])
            self.set_header("Content-Disposition", f"attachment; filename*=utf-8''{name}")
            self.set_header("Content-Length", str(seen["size"]))
            async for portion in portions:
                self.write(portion)
                await self.flush()
        except StreamClosedError:
            return  # the caller has left
        except GenOpsError as error:
            if self._headers_written:
                self.detach().close()  # a part must not be taken for the whole
                return
            self.clear()
            refuse(self, error)
