"""Send files to a host by their hash (:mod:`genops_lab.agent.placing`): only those that it does not have."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from genops_lab.agent.transfer import BadTransfer, digest_of, outgoing

from .transfer import HostTransfer


class SentFile(NamedTuple):
    """A file with its path on the host, its SHA-256 and its size in bytes."""

    path: str
    file: Path
    sha: str
    size: int

    @property
    def listed(self) -> dict[str, Any]:
        """The file as the host is told of it."""
        return {"path": self.path, "sha": self.sha, "size": self.size}


def sent_file(path: str, file: Path) -> SentFile:
    """Return a file with its hash. Blocks."""
    with file.open("rb") as stream:
        size = file.stat().st_size
        return SentFile(path, file, digest_of(stream, size).hexdigest(), size)


def sent_folder(path: str, folder: Path) -> list[SentFile]:
    """Return the files of a folder, which is ``path`` on the host. Links are not followed. Blocks."""
    files = [each for each in sorted(folder.rglob("*")) if each.is_file() and not each.is_symlink()]
    return [sent_file(f"{path}/{each.relative_to(folder).as_posix()}", each) for each in files]


async def send_needed(talk: HostTransfer, files: Sequence[SentFile], need: Any) -> None:
    """Send the files that the host asks for, from where it has them. Raises BadTransfer."""
    by_hash = {each.sha: each for each in files}
    for needed in need if isinstance(need, list) else []:
        asked = needed if isinstance(needed, dict) else {}
        found, start = by_hash.get(str(asked.get("sha"))), asked.get("from")
        if found is None or type(start) is not int or not 0 <= start <= found.size:
            raise BadTransfer("it asks for a file that was not offered")
        with await asyncio.to_thread(found.file.open, "rb") as stream:
            await talk.send(outgoing(stream, found.size, start, exact=True))
