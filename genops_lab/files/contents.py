"""Give the files of one host the interface of Jupyter's contents manager."""

from __future__ import annotations

import base64
import json
import mimetypes
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from jupyter_server.services.contents.checkpoints import AsyncCheckpoints
from jupyter_server.services.contents.manager import AsyncContentsManager
from tornado import web

from genops_lab.core.errors import NotFound

if TYPE_CHECKING:
    from genops_lab.hosts.link.connection import HostConnection

    from .service import FilesService

#: Most bytes of a file that an editor or viewer gets: the page holds all of them.
MAX_OPENED_BYTES = 50_000_000


class NoCheckpoints(AsyncCheckpoints):
    """Keeps no earlier versions: a host's home gets no files that its user did not make."""

    async def create_checkpoint(self, contents_mgr: Any, path: str) -> dict[str, Any]:
        """Keep nothing."""
        return {"id": "none", "last_modified": datetime.now(timezone.utc)}

    async def list_checkpoints(self, path: str) -> list[dict[str, Any]]:
        """Return no versions."""
        return []

    async def restore_checkpoint(self, contents_mgr: Any, checkpoint_id: str, path: str) -> None:
        """Refuse: there is none."""
        raise web.HTTPError(404, "The files of a host have no checkpoints.")

    async def rename_checkpoint(self, checkpoint_id: str, old_path: str, new_path: str) -> None:
        """Do nothing."""

    async def delete_checkpoint(self, checkpoint_id: str, path: str) -> None:
        """Do nothing."""


class HostContents(AsyncContentsManager):
    """The home of one host. Paths are relative to it, as in Jupyter's contents API."""

    checkpoints_class = NoCheckpoints

    def __init__(
        self, files: FilesService, link: HostConnection, uploads: dict[str, int], **traits: Any
    ) -> None:
        super().__init__(**traits)
        self._files = files
        self._link = link
        #: The bytes that have arrived of each file that is sent in portions.
        self._uploads = uploads

    async def _call(self, op: str, path: str, **more: Any) -> dict[str, Any]:
        return await self._files.call(self._link, {"op": op, "path": path.strip("/"), **more})

    async def _type_of(self, path: str) -> str:
        try:
            return str((await self._call("look", path))["type"])
        except NotFound:
            return ""

    # The interface

    async def dir_exists(self, path: str) -> bool:
        """Return whether the path is a folder."""
        return await self._type_of(path) == "directory"

    async def file_exists(self, path: str) -> bool:
        """Return whether the path is a file."""
        return await self._type_of(path) == "file"

    async def is_hidden(self, path: str) -> bool:
        """Return whether a part of the path begins with a dot."""
        return any(part.startswith(".") for part in path.split("/") if part)

    async def get(
        self,
        path: str,
        content: bool = True,
        type: str | None = None,
        format: str | None = None,
        require_hash: bool = False,
    ) -> dict[str, Any]:
        """Return the model of a file, notebook or folder."""
        path = path.strip("/")
        seen = await self._call("look", path, hash=bool(require_hash and type != "directory"))
        if seen["type"] == "directory":
            if type not in (None, "directory"):
                raise web.HTTPError(400, f"{path} is a folder, not a {type}.")
            return await self._folder(path, seen, content)
        if type == "directory":
            raise web.HTTPError(400, f"{path} is not a folder.")
        model = _model(path, seen)
        model["type"] = type or model["type"]
        if require_hash:
            model |= {"hash": seen["sha256"], "hash_algorithm": "sha256"}
        if content:
            await self._fill(model, seen, format)
        return model

    async def _folder(self, path: str, seen: dict[str, Any], content: bool) -> dict[str, Any]:
        model = _model(path, seen)
        if content:
            found = await self._call("list", path)
            model["content"] = [
                _model(f"{path}/{each['name']}".strip("/"), each)
                for each in found["entries"]
                if self.allow_hidden or not each["name"].startswith(".")
            ]
            model["format"] = "json"
        return model

    async def _fill(self, model: dict[str, Any], seen: dict[str, Any], format: str | None) -> None:
        path = model["path"]
        if seen["size"] > MAX_OPENED_BYTES:
            raise web.HTTPError(
                413, f"{path} has more than {MAX_OPENED_BYTES // 10**6} MB. Download it, or open a terminal."
            )
        pieces = [piece async for piece in self._files.read(self._link, path)]
        data = b"".join(pieces)
        if model["type"] == "notebook":
            import nbformat

            notebook = nbformat.reads(data.decode("utf-8"), as_version=4)  # type: ignore[no-untyped-call]
            self.mark_trusted_cells(notebook, path)  # type: ignore[no-untyped-call]
            model |= {"content": notebook, "format": "json", "mimetype": None}
            return
        text = None
        if format != "base64":
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError as error:
                if format == "text":
                    raise web.HTTPError(400, f"{path} is not UTF-8 text.") from error
        model["format"] = "base64" if text is None else "text"
        model["content"] = base64.b64encode(data).decode() if text is None else text
        fallback = "application/octet-stream" if text is None else "text/plain"
        model["mimetype"] = model["mimetype"] or fallback

    async def save(self, model: dict[str, Any], path: str = "") -> dict[str, Any]:
        """Save a file, one of its portions (``chunk``; -1 is the last one), or make a folder."""
        path, kind, chunk = path.strip("/"), model.get("type", "file"), model.get("chunk")
        if kind == "directory":
            return _model(path, await self._call("make", path))
        if "content" not in model:
            raise web.HTTPError(400, "The request has no content.")
        data = _bytes_of(model)
        start = self._uploads.pop(path, 0) if chunk not in (None, 1) else 0
        last = chunk in (None, -1)
        seen = await self._files.write(self._link, path, data, start=start, last=last)
        if not last:
            self._uploads[path] = start + len(data)
        saved = _model(path, seen)
        saved["type"] = kind
        return saved

    async def delete_file(self, path: str) -> None:
        """Delete a file, or a folder with all in it where Jupyter's own file browser may."""
        await self._call("delete", path, tree=bool(getattr(self.parent, "always_delete_dir", False)))

    async def rename_file(self, old_path: str, new_path: str) -> None:
        """Rename a file or folder, or move it."""
        await self._call("rename", old_path, to=new_path.strip("/"))


def _bytes_of(model: dict[str, Any]) -> bytes:
    content, form = model["content"], model.get("format")
    try:
        if model.get("type") == "notebook":
            return (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode()
        return base64.b64decode(content, validate=True) if form == "base64" else str(content).encode()
    except ValueError as error:
        raise web.HTTPError(400, f"The content cannot be read: {error}") from error


def _model(path: str, seen: dict[str, Any]) -> dict[str, Any]:
    name = path.rpartition("/")[2]
    is_folder, changed = seen["type"] == "directory", datetime.fromtimestamp(seen["modified"], timezone.utc)
    return {
        "name": name,
        "path": path,
        "type": "directory" if is_folder else "notebook" if name.endswith(".ipynb") else "file",
        "created": changed,
        "last_modified": changed,
        "writable": seen["writable"],
        "size": None if is_folder else seen["size"],
        "mimetype": None if is_folder else mimetypes.guess_type(name)[0],
        "content": None,
        "format": None,
    }
