"""Take files from the Lab by their hash, and copy them where they are needed.

Files that were sent before, also for something else, are not sent again. A file that arrived in part continues where it
was. :mod:`.transfer` defines how files travel.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from typing import Any, Dict, List, NamedTuple

from .channels import ChannelReset
from .hub_fetch import HubFile, fetch_from_hub
from .paths import private_folder, state_folder
from .threads import in_thread
from .transfer import Damaged, Receiver, TransferChannel, digest_of, document

_SHA = re.compile(r"[0-9a-f]{64}\Z")
_UNUSED_S = 30 * 24 * 3600.0


class PlacedFile(NamedTuple):
    """A file by its path in the place, its SHA-256 and its size in bytes."""

    path: str
    sha: str
    size: int


def placed_file(given: Any) -> PlacedFile:
    """Return a file that the Lab lists. Raises KeyError, ValueError."""
    path, sha, size = relative(str(given["path"])), str(given["sha"]), int(given["size"])
    if not _SHA.match(sha) or size < 0:
        raise ValueError(f"{path} has no hash")
    return PlacedFile(path, sha, size)


def relative(path: str) -> str:
    """Return the path if it stays in its folder. Raises ValueError."""
    if os.path.isabs(path) or ".." in path.split("/") or "\0" in path or os.path.normpath(path) in (".", ""):
        raise ValueError(f"{path[:200]!r} is no path in a session")
    return os.path.normpath(path)


class FileStore:
    """The files by their hash. ``owner`` names what is being received, and what of it has arrived in part.

    ``about`` and ``hint`` are for the error of a damaged file. ``folder``: where they are kept; empty: with all others.
    """

    def __init__(self, owner: str, about: str, hint: str, folder: str = "") -> None:
        if not folder:
            folder = os.path.join(private_folder(os.path.join(state_folder()[0], "evaluations")), "files")
        self._files = private_folder(folder)
        self._owner = owner
        self._about, self._hint = about, hint
        remove_unused(self._files)

    async def receive(
        self, talk: TransferChannel, files: List[PlacedFile], folder: str, linked: str = "", hub: Any = None
    ) -> None:
        """Ask for missing files, then copy all into the folder. Raises ChannelReset for a damaged one.

        Files below ``linked`` of the folder become links: for weights that an engine only reads. ``hub`` has the
        ``urls`` of files by their hash, and the ``token`` for them: those are fetched from there, if that is possible.
        """
        if hub and (offered := await in_thread(self.missing, files, hub["urls"])):
            for each in await fetch_from_hub(talk, offered, str(hub["token"])):
                os.replace(each.part, os.path.join(self._files, each.sha))
        needed = await in_thread(self._needed, files)
        talk.channel.write(document({"need": [{"sha": sha, "from": there} for sha, there in needed.items()]}))
        sizes = {each.sha: each.size for each in files}
        for sha, there in needed.items():
            await self._take(talk, sha, sizes[sha], there)
        await in_thread(self._copy, files, folder, linked)

    def missing(self, files: List[PlacedFile], urls: Dict[str, str]) -> List[HubFile]:
        """Return the files with an address on a hub that are not here."""
        sizes = {each.sha: each.size for each in files if each.sha in self._needed(files)}
        return [
            HubFile(str(urls[sha]), sha, size, self._part(sha)) for sha, size in sizes.items() if sha in urls
        ]

    def remove_parts(self) -> None:
        """Delete what arrived only in part."""
        for name in os.listdir(self._files):
            if name.startswith(".") and name.endswith(f".{self._owner}"):
                os.unlink(os.path.join(self._files, name))

    def _part(self, sha: str) -> str:
        return os.path.join(self._files, f".{sha}.{self._owner}")

    def _needed(self, files: List[PlacedFile]) -> Dict[str, int]:
        """Return the hashes of the files that are not here, and how many bytes of each are."""
        needed: Dict[str, int] = {}
        for each in files:
            if os.path.exists(os.path.join(self._files, each.sha)):
                continue
            part = self._part(each.sha)
            there = os.path.getsize(part) if os.path.exists(part) else 0
            needed[each.sha] = there if there <= each.size else 0
        return needed

    async def _take(self, talk: TransferChannel, sha: str, size: int, there: int) -> None:
        part, receiver = self._part(sha), Receiver(size)
        with await in_thread(lambda: open(part, "r+b") if there else open(part, "wb")) as stream:
            receiver.resume(there, await in_thread(digest_of, stream, there))
            try:
                await talk.receive(receiver, lambda each: stream.write(each.raw))
            except Damaged:
                os.unlink(part)
                raise
        if receiver.sha256 != sha:
            os.unlink(part)
            raise self._damaged()
        os.replace(part, os.path.join(self._files, sha))

    def _copy(self, files: List[PlacedFile], folder: str, linked: str = "") -> None:
        private_folder(folder)
        os.utime(folder)
        for each in files:
            target = os.path.join(folder, each.path)
            if os.path.exists(target) and _hash_of(target) == each.sha:
                continue  # an earlier connection placed it, and it may be in use
            os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
            source = os.path.join(self._files, each.sha)
            if linked and each.path.startswith(f"{linked}/"):
                _link(source, f"{target}.part")
            else:
                shutil.copyfile(source, f"{target}.part")
            if _hash_of(f"{target}.part") != each.sha:
                os.unlink(source)
                raise self._damaged()
            os.utime(source)
            os.replace(f"{target}.part", target)

    def _damaged(self) -> ChannelReset:
        return ChannelReset("damaged", f"A file of {self._about} was damaged on the host.", self._hint)


def _link(source: str, target: str) -> None:
    """Make a link, or a copy on a disk without links. No revision may write into what the others read."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)
    os.chmod(source, 0o400)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _hash_of(path: str) -> str:
    with open(path, "rb") as stream:
        return str(digest_of(stream, os.path.getsize(path)).hexdigest())


def remove_unused(folder: str) -> None:
    """Remove what nobody used for 30 days."""
    for entry in os.scandir(folder):
        if time.time() - entry.stat(follow_symlinks=False).st_mtime > _UNUSED_S:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                os.unlink(entry.path)
