"""Speak with a folder on a host over one channel, in the connections' loop.

The host is not trusted: all that it sends is bounded, and its paths are accepted only where they could be
files of the folder.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from genops_lab.agent.channels import Channel, ChannelReset
from genops_lab.agent.threads import in_thread
from genops_lab.agent.transfer import (
    BadTransfer,
    Lost,
    Part,
    Receiver,
    digest_of,
    document,
    outgoing,
)
from genops_lab.agent.tree import LONG_BYTES, Changed, Seen, Tree, parts_of, unfinished_name

from ...hosts.link.connection import HostConnection
from ...hosts.link.transfer import READING_S, HostTransfer, host_transfer
from .download import Coming, Download

#: The most files of a host's folder that are listed.
MAX_LISTED = 100_000
#: The most bytes between two answers: each is only a file's name longer than the other.
_MAX_NAME_BYTES = 4096
_MAX_OUTCOMES = 1_000_000
_MAX_SIZE = 1 << 50
_MAX_LINKS = 200
#: The longest paths of this many files fit into a document, with six characters for each of their bytes.
_LOOKED_AT_ONCE = 10
#: Files that are requested before the first has come: round trips are shared, and little waits at either end.
_ASKED_AHEAD = 256


@dataclass
class Listed:
    """The files in the host's folder. ``whole`` is False where it has more files than are listed."""

    files: dict[str, Seen] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    whole: bool = True
    free: int | None = None


@dataclass(frozen=True)
class Outcome:
    """The result of one file on the host: its state, or the reason of a failure."""

    path: str
    state: tuple[int, int]
    why: str = ""


class FolderChannel(HostTransfer):
    """Made by :func:`folder_talk`."""

    ABOUT = "the folder"

    def __init__(self, channel: Channel, target: str) -> None:
        super().__init__(channel, target)
        channel.write(document({"op": "list", "limit": MAX_LISTED}))
        self.root = ""
        #: whether the named kernel already runs
        self.running = False

    async def welcome(self) -> None:
        """Wait until the folder is ready."""
        reply = await self.document()
        self.root, self.running = _text(reply.get("root"), _MAX_NAME_BYTES), reply.get("running") is True

    # Listing

    async def listing(self) -> Listed:
        """Return all files on the host; once: the request went with the opening of the channel, which saves a
        round trip."""
        found, came = Listed(), 0
        while True:
            reply = await self.document()
            came += 1 + len(_list(reply.get("files")))
            if came > 2 * MAX_LISTED:
                raise BadTransfer("it lists more files than were requested")
            for entry in _list(reply.get("files")):
                seen = _seen(entry)
                if seen is not None:
                    found.files[seen.path] = seen
            if reply.get("end") == "list":
                found.whole = reply.get("whole") is True
                found.links = [
                    _text(path, _MAX_NAME_BYTES) for path in _list(reply.get("links"))[:_MAX_LINKS]
                ]
                free = reply.get("free")
                found.free = free if isinstance(free, int) else None
                return found

    async def look(self, paths: list[str]) -> dict[str, Seen]:
        """Return the state of these files, as far as they exist."""
        return {path: seen for path, (seen, _) in (await self._look(paths, with_hash=False)).items()}

    async def hashes(self, paths: list[str]) -> dict[str, str]:
        """Return the hashes of these files, without unreadable ones."""
        return {path: sha for path, (_, sha) in (await self._look(paths, with_hash=True)).items() if sha}

    async def _look(self, paths: list[str], *, with_hash: bool) -> dict[str, tuple[Seen, str]]:
        asked, found, ends = set(paths), dict[str, tuple[Seen, str]](), 0
        for start in range(0, len(paths), _LOOKED_AT_ONCE):
            names = paths[start : start + _LOOKED_AT_ONCE]
            self.channel.write(document({"op": "look", "hash": with_hash, "paths": names}))
            ends += 1
        came, self.patience_s = 0, READING_S if with_hash else type(self).patience_s
        while ends:
            reply = await self.document()
            came += 1 + len(_list(reply.get("files")))
            if came > 3 * len(paths) + 10:
                raise BadTransfer("it reports more files than were requested")
            for entry in _list(reply.get("files")):
                seen = _seen(entry)
                if seen is not None and seen.path in asked:
                    found[seen.path] = seen, str(entry[4])[:64] if len(entry) > 4 else ""
            if reply.get("end") == "look":
                ends -= 1
        return found

    # Changes on the host

    async def put(self, pieces: Iterable[bytes], sent: Callable[[int], None]) -> list[Outcome]:
        """Send the requested files (see :func:`putting`), and return the results. Calls ``sent`` with the
        bytes."""
        await self.send(pieces, sent)
        self.channel.write(document({"op": "done"}))
        found: list[Outcome] = []
        while True:
            answer = await self.document()
            if len(found) > _MAX_OUTCOMES:
                raise BadTransfer("it reports more files than were sent")
            for entry in _list(answer.get("did")):
                if (
                    isinstance(entry, list)
                    and len(entry) == 4
                    and all(_is_number(each) for each in entry[1:3])
                ):
                    found.append(Outcome(str(entry[0]), (entry[1], entry[2]), _text(entry[3])))
            if answer.get("end") == "done":
                return found

    async def unfinished(self, files: Iterable[Seen]) -> dict[str, tuple[int, str]]:
        """Return the size and hash of what earlier connections left of these files, by path."""
        names = {_unfinished(seen): seen.path for seen in files if seen.size >= LONG_BYTES}
        found = await self._look(list(names), with_hash=True) if names else {}
        return {names[path]: (seen.size, sha) for path, (seen, sha) in found.items() if sha}

    # Reading from the host

    async def get(self, files: list[Seen], take: Download, unfinished: dict[Seen, Coming]) -> None:
        """Read these files, each into the object that ``take`` makes for it. A file that is cut off with the
        connection stays in ``unfinished``, and the next channel continues it."""
        position, answered = 0, 0
        while answered < len(files):
            while position < len(files) and position - answered < _ASKED_AHEAD:
                wanted = files[position]
                start = unfinished[wanted].receiver.done if wanted in unfinished else 0
                asked = {"op": "get", "path": wanted.path, "expect": wanted.state, "from": start}
                self.channel.write(document(asked))
                position += 1
            wanted = files[answered]
            file = unfinished.pop(wanted, None) or Coming(Receiver(wanted.size))
            try:
                await self._one(wanted, file, take)
            except ChannelReset:
                unfinished[wanted] = file
                raise
            finally:
                if wanted not in unfinished:
                    await in_thread(file.abort)
            answered += 1

    async def _one(self, wanted: Seen, file: Coming, take: Download) -> None:
        here: Seen | None = None

        def write(part: Part) -> None:
            nonlocal here
            if file.why:
                return  # the rest of the file comes all the same
            try:
                file.incoming = file.incoming or take.begin(wanted)
                file.incoming.write(part.raw)
                if file.receiver.whole:
                    here = file.incoming.commit()
            except Changed:
                file.why = "It was changed on this machine meanwhile."
            except OSError as error:
                file.why = error.strerror or str(error)

        try:
            await self.receive(file.receiver, write, take.came)
        except Lost as lost:
            file.why = _text(lost)
        if here is not None:
            take.has(wanted, here, file.receiver.sha256)
        else:
            take.lost(wanted, file.why)


@asynccontextmanager
async def folder_talk(
    link: HostConnection, folder: str, *, make: list[str] | None = None, kernel_id: str = ""
) -> AsyncIterator[FolderChannel]:
    """Open a channel to a folder, which is made where missing. Raises LinkDown, RemoteError."""
    params = {"folder": folder, "make": make or [], "kernel_id": kernel_id}
    async with host_transfer(FolderChannel, link, "folder", params) as talk:
        await talk.welcome()
        yield talk


def putting(
    tree: Tree,
    files: list[tuple[Seen, tuple[int, int] | None, str]],
    deletes: list[tuple[str, tuple[int, int]]],
    folders: list[str],
    hashed: Callable[[str, Any], None],
    unfinished: Mapping[str, tuple[int, str]],
) -> Iterator[bytes]:
    """Yield the bytes of these files, with the expected state on the host and the name for a kept copy.
    Blocks while files are read.

    Calls ``hashed`` with a digest of each file as it was sent. ``unfinished`` has the parts that the host
    already has.
    """
    for path in folders:
        yield document({"op": "mkdir", "path": path})
    for path, state in deletes:
        yield document({"op": "delete", "path": path, "expect": state})
    for wanted, expected, backup in files:
        try:
            fd, seen = tree.open(wanted.path)
        except OSError as error:
            hashed(wanted.path, error.strerror or str(error))
            continue
        with os.fdopen(fd, "rb") as stream:
            if seen.state != wanted.state:
                hashed(wanted.path, "It was changed meanwhile.")
                continue
            head = {"op": "put", "path": wanted.path, "size": wanted.size, "mode": wanted.mode}
            try:
                start, digest = _behind(stream, wanted.size, *unfinished.get(wanted.path, (0, "")))
            except (Lost, OSError) as error:
                hashed(wanted.path, str(error))
                continue
            head |= {"mtime_ns": wanted.mtime_ns, "expect": expected, "backup": backup, "from": start}
            yield document(head)
            yield from outgoing(stream, wanted.size, start, digest=digest)
        hashed(wanted.path, digest)


def _behind(stream: BinaryIO, whole: int, size: int, sha: str) -> tuple[int, Any]:
    """Return where to continue with a file of which the host has ``size`` bytes, and the hash of these bytes."""
    if 0 < size <= whole:
        digest = digest_of(stream, size)
        if digest.hexdigest() == sha:
            return size, digest
        stream.seek(0)
    return 0, hashlib.sha256()


def _unfinished(seen: Seen) -> str:
    return "/".join((*parts_of(seen.path)[:-1], unfinished_name(seen)))


def _text(found: Any, limit: int = 400) -> str:
    """Return a host's text in a form that can be sent on."""
    return str(found)[:limit].encode("utf-8", "replace").decode()


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else []


def _is_number(found: Any) -> bool:
    return type(found) is int


def _seen(entry: Any) -> Seen | None:
    """Return a file that the host reports; None for an invalid one, or one with no name within the folder."""
    if not isinstance(entry, list) or len(entry) < 4 or not all(_is_number(each) for each in entry[1:4]):
        return None
    path, size, mtime_ns, mode = entry[:4]
    try:
        parts_of(path)
    except ValueError:
        return None
    if not 0 <= size < _MAX_SIZE or not 0 <= mtime_ns < 1 << 63:
        return None
    return Seen(path, size, mtime_ns, mode & 0o777)
