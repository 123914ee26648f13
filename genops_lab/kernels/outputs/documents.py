"""Read notebooks on disk, and write outputs into them without overwriting anybody's work."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from jupyter_core.utils import ensure_async

from genops_lab.core.errors import Failed, GenOpsError

from .merge import merge
from .models import Execution

log = logging.getLogger("genops_lab")

SUFFIX = ".ipynb"
BESIDE = ".recovered.ipynb"


@dataclass(frozen=True)
class Saved:
    """A notebook on disk: its content as nbformat's JSON, and the SHA-256 of the file."""

    content: dict[str, Any]
    hash: str


@dataclass(frozen=True)
class Written:
    """The file that has the outputs now.

    ``beside`` is set when the notebook had been changed and was left alone; ``hash`` is the notebook's own
    afterwards.
    """

    path: str
    hash: str | None
    beside: bool = False


class Documents:
    """Notebooks behind a Jupyter contents manager."""

    def __init__(self, contents_manager: Any) -> None:
        self._contents = contents_manager
        self._writing: dict[str, asyncio.Lock] = {}

    async def saved(self, path: str) -> Saved | None:
        """Return the notebook on disk; None when there is none, or the contents manager cannot read it."""
        file = self._file(path)
        if file is not None:
            return await asyncio.to_thread(_read, file)
        try:
            model = await ensure_async(
                self._contents.get(path, content=True, type="notebook", require_hash=True)
            )
        except Exception as error:  # another author's contents manager: any error is possible
            log.info("The notebook %s cannot be read: %r", path, error)
            return None
        found = model.get("hash")
        return Saved(model["content"], str(found)) if found else None

    async def hash_of(self, path: str) -> str | None:
        """Return the SHA-256 of the notebook's file; None as in :meth:`saved`."""
        file = self._file(path)
        if file is not None:
            return await asyncio.to_thread(_hash, file)
        saved = await self.saved(path)
        return saved.hash if saved is not None else None

    async def write(self, path: str, executions: Sequence[Execution], seen: str | None) -> Written:
        """Write finished runs into the notebook, or next to it unless its file's hash is the one last
        ``seen``.

        Raises GenOpsError when neither can be written.
        """
        lock = self._writing.setdefault(path, asyncio.Lock())
        async with lock:
            saved = await self.saved(path)
            if saved is None or saved.hash != seen:
                return await self._write_beside(path, saved, executions)
            content = await self._content(path)
            if not merge(content, executions).changed:
                return Written(path, saved.hash)
            now = await self.saved(path)
            if now is None or now.hash != seen:
                return await self._write_beside(path, now, executions)
            await self._save(path, content)
            now = await self.saved(path)
            return Written(path, now.hash if now is not None else None)

    async def _write_beside(self, path: str, saved: Saved | None, executions: Sequence[Execution]) -> Written:
        beside = path.removesuffix(SUFFIX) + BESIDE
        if await self._exists(beside):
            content = await self._content(beside)
        elif saved is not None:
            content = await self._content(path)
        else:
            content = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        if merge(content, executions).changed or not await self._exists(beside):
            await self._save(beside, content)
        return Written(beside, saved.hash if saved is not None else None, beside=True)

    async def _exists(self, path: str) -> bool:
        return bool(await ensure_async(self._contents.file_exists(path)))

    async def _content(self, path: str) -> dict[str, Any]:
        try:
            model = await ensure_async(self._contents.get(path, content=True, type="notebook"))
        except Exception as error:  # as above
            raise _refused(path, "read", error) from error
        content: dict[str, Any] = model["content"]
        return content

    async def _save(self, path: str, content: dict[str, Any]) -> None:
        model = {"type": "notebook", "format": "json", "content": content}
        try:
            await ensure_async(self._contents.save(model, path))
        except Exception as error:  # as above
            raise _refused(path, "written", error) from error

    def _file(self, path: str) -> Path | None:
        locate = getattr(self._contents, "_get_os_path", None)
        if locate is None:
            return None
        try:
            return Path(locate(path.strip("/")))
        except Exception:  # as above: hidden files and paths outside of its root raise errors of its own
            return None


def _refused(path: str, what: str, error: Exception) -> GenOpsError:
    reason = getattr(error, "log_message", None) or str(error) or type(error).__name__
    return Failed(
        f"The notebook {path} could not be {what}: {reason}",
        hint="Its outputs are kept until it can. Check the file's permissions and the free space.",
    )


def _hash(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None


def _read(file: Path) -> Saved | None:
    try:
        data = file.read_bytes()
        content = msgspec.json.decode(data)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if not isinstance(content, dict):
        return None
    return Saved(content, hashlib.sha256(data).hexdigest())
