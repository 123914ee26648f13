"""Let the Lab list, fill and read a notebook's folder on this host over one channel (service ``folder``).

The Lab sends documents: ``list``, ``look``, ``put`` (the file follows), ``delete``, ``mkdir``, ``done`` and
``get`` (answered by the file). ``put``, ``delete`` and ``mkdir`` have no answers of their own: ``done``
reports all of them. :mod:`.transfer` defines how files travel.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .channels import Channel, ChannelReset
from .transfer import (
    DATA,
    BadTransfer,
    Lost,
    Receiver,
    TransferReader,
    digest_of,
    document,
    outgoing,
    portions,
    read_document,
)
from .tree import LONG_BYTES, Incoming, Seen, State, Tree

_PORTION_BYTES = 262144
_AT_ONCE = 200
#: After these errors nothing more can be written: the rest is not tried.
_HOPELESS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


async def serve(channel: Channel, running: bool) -> None:
    """Serve until the Lab has left. ``running``: the kernel of this folder already runs."""
    channel.bulk = True
    loop = asyncio.get_running_loop()
    folder = str(channel.params.get("folder"))
    try:
        tree = await loop.run_in_executor(None, _opened, folder, list(channel.params.get("make") or []))
    except (OSError, ValueError) as error:
        raise ChannelReset(*_words(folder, error)) from error
    session, broke = Session(tree), True
    working: "Optional[asyncio.Future[Optional[bytes]]]" = None
    try:
        channel.write(document({"root": tree.root, "running": running}))
        while True:
            portion = await channel.read(_PORTION_BYTES)
            if not portion:
                break
            answers = portions(session.feed(portion))
            while True:
                working = loop.run_in_executor(None, next, answers, None)
                answer = await asyncio.shield(working)
                if answer is None:
                    break
                channel.write(answer)
                await channel.drain()
        channel.write_eof()
    except BadTransfer as error:
        broke = False
        raise ChannelReset("invalid", str(error)) from error
    except ChannelReset as reset:
        broke = reset.code != "left"
        raise
    finally:
        if working is not None:
            await asyncio.wait([working])  # a thread still writes when this is cancelled
        written = session.close(broke)
        if written:
            # Not waited for: files that are lost in a power failure of the host are sent again.
            loop.run_in_executor(None, _settle, tree.root, written)


def _opened(folder: str, make: List[str]) -> Tree:
    path = os.path.expanduser(folder)
    # Not readable for others on a shared host; a user may change the mode afterwards.
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    os.makedirs(path, 0o700, exist_ok=True)
    tree = Tree(path)
    try:
        for path in make:
            tree.make(path)
    except BaseException:
        tree.close()
        raise
    return tree


def _words(folder: str, error: Exception) -> Tuple[str, str, str]:
    number = getattr(error, "errno", None)
    why = getattr(error, "strerror", None) or str(error)
    hint = "Make it writable on the host."
    if number in (errno.ENOSPC, errno.EDQUOT):
        hint = "Free some space or quota on the host."
    return "failed", f"{folder} cannot be used on the host: {why}.", hint


def _settle(root: str, paths: List[str]) -> None:
    """Flush the files to the disk, so that a crash of the host leaves no empty ones."""
    for path in paths:
        try:
            fd = os.open(os.path.join(root, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            os.fsync(fd)
        except OSError:
            return
        finally:
            os.close(fd)


class Session:
    """One channel's requests, in order. :meth:`feed` blocks."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._reader = TransferReader()
        self._incoming: Optional[Incoming] = None
        self._receiver: Optional[Receiver] = None
        self._path = ""
        self._failure = ""
        self._hopeless = ""
        self._results: List[List[Any]] = []
        self._written: List[str] = []

    def close(self, broke: bool) -> List[str]:
        """Drop unfinished files, except long ones where the connection broke; return the paths of complete
        files."""
        if self._incoming is not None and self._receiver is not None:
            if broke and self._receiver.done >= LONG_BYTES:
                with contextlib.suppress(OSError):
                    self._incoming.leave()
            self._incoming.abort()
            self._incoming = None
        self._tree.close()
        return self._written

    def feed(self, portion: bytes) -> Iterator[bytes]:
        """Carry out the requests in these bytes; yield the answers. Raises BadTransfer."""
        for kind, payload in self._reader.feed(portion):
            if self._receiver is not None:
                self._take(self._receiver, kind, payload)
            elif kind == DATA:
                raise BadTransfer("Bytes came that belong to no file.")
            else:
                yield from self._asked(read_document(payload))

    def _asked(self, body: Dict[str, Any]) -> Iterator[bytes]:
        op = body.get("op")
        if op == "put":
            self._put(body)
        elif op == "delete":
            self._do(str(body.get("path")), lambda path: self._tree.remove(path, _expected(body)))
        elif op == "mkdir":
            self._do(str(body.get("path")), self._tree.make)
        elif op == "list":
            yield from self._list(int(body.get("limit") or 0))
        elif op == "look":
            yield from self._look(body.get("paths") or [], bool(body.get("hash")))
        elif op == "done":
            yield from self._done()
        elif op == "get":
            yield from self._get(str(body.get("path")), _expected(body), int(body.get("from") or 0))
        else:
            raise BadTransfer(f"The request {str(op)[:40]!r} is unknown.")

    # Listing

    def _list(self, limit: int) -> Iterator[bytes]:
        found = self._tree.listing(limit)
        for start in range(0, len(found.files), _AT_ONCE):
            yield document({"files": found.files[start : start + _AT_ONCE]})
        try:
            free: Optional[int] = shutil.disk_usage(self._tree.root).free
        except OSError:
            free = None
        yield document({"end": "list", "whole": found.whole, "links": found.links[:_AT_ONCE], "free": free})

    def _look(self, paths: List[str], with_hash: bool) -> Iterator[bytes]:
        files: List[List[Any]] = []
        for path in paths:
            try:
                seen = self._tree.look(path)
                if seen is not None:
                    files.append([*seen, self._tree.sha(path) if with_hash else ""])
            except (OSError, ValueError):
                files.append([path, -1, -1, 0, ""])
        for start in range(0, len(files), _AT_ONCE):
            yield document({"files": files[start : start + _AT_ONCE]})
        yield document({"end": "look"})

    def _get(self, path: str, expected: State, start: int) -> Iterator[bytes]:
        try:
            fd, seen = self._tree.open(path)
        except (OSError, ValueError) as error:
            yield document({"lost": getattr(error, "strerror", None) or str(error)})
            return
        with os.fdopen(fd, "rb") as stream:
            if seen.state == expected:
                yield from outgoing(stream, seen.size, start)
            else:
                yield document({"lost": "It is being changed on the host."})

    # Changes

    def _put(self, body: Dict[str, Any]) -> None:
        self._path, self._failure = str(body.get("path")), self._hopeless
        size, start = int(body.get("size") or 0), int(body.get("from") or 0)
        self._receiver = Receiver(size)
        if start:
            self._receiver.resume(start, None)
        if self._failure:
            return
        wanted = Seen(self._path, size, int(body.get("mtime_ns") or 0), int(body.get("mode") or 0o644))
        backup = str(body.get("backup") or "")
        try:
            self._incoming = self._tree.incoming(wanted, _expected(body), backup=backup, goes_on=start > 0)
            if start:
                with self._incoming.stream() as stream:
                    self._receiver.resume(start, digest_of(stream, start))
        except (Lost, OSError, ValueError) as error:
            self._broke(error)

    def _take(self, receiver: Receiver, kind: int, payload: bytes) -> None:
        if kind == DATA:
            receiver.take(payload)
            return
        try:
            part = receiver.part(read_document(payload))
        except Lost as lost:
            self._failed(self._path, str(lost))
            return
        if self._incoming is not None:
            try:
                self._incoming.write(part.raw)
            except OSError as error:
                self._broke(error)
        if receiver.whole:
            self._commit()

    def _commit(self) -> None:
        incoming, self._incoming, self._receiver = self._incoming, None, None
        if incoming is None:
            self._failed(self._path, self._failure)
            return
        try:
            seen: Seen = incoming.commit()
        except OSError as error:
            self._broke(error)
            self._failed(self._path, self._failure)
            return
        self._results.append([seen.path, seen.size, seen.mtime_ns, ""])
        self._written.append(seen.path)

    def _broke(self, error: Exception) -> None:
        number = getattr(error, "errno", None)
        self._failure = getattr(error, "strerror", None) or str(error)
        if number in _HOPELESS:
            self._hopeless = self._failure
        if self._incoming is not None:
            self._incoming.abort()
            self._incoming = None

    def _failed(self, path: str, why: str) -> None:
        self._receiver = None
        if self._incoming is not None:
            self._incoming.abort()
            self._incoming = None
        self._results.append([path, -1, -1, why])

    def _do(self, path: str, work: Any) -> None:
        try:
            work(path)
        except (OSError, ValueError) as error:
            self._results.append([path, -1, -1, getattr(error, "strerror", None) or str(error)])
        else:
            self._results.append([path, 0, 0, ""])

    def _done(self) -> Iterator[bytes]:
        results, self._results = self._results, []
        for start in range(0, len(results), _AT_ONCE):
            yield document({"did": results[start : start + _AT_ONCE]})
        yield document({"end": "done"})


def _expected(body: Dict[str, Any]) -> State:
    found = body.get("expect")
    return None if found is None else (int(found[0]), int(found[1]))
