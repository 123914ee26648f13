"""Let a person browse the files of this host (call ``files``, service ``file``).

Paths are relative to the home. A link is followed if it leads to a place below the home; otherwise it is listed and
refused. The call's ``op`` is ``list``, ``look``, ``delete``, ``rename`` or ``make``. The service carries one file:

- ``read``: to the Lab goes the file from byte ``start`` on.
- ``write``: from the Lab come bytes. They go into a file beside the file at position ``start``, which takes the file's
  place with ``last``. To the Lab goes JSON, as of ``look``.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
from typing import Any, Dict, Optional

from .channels import Channel, ChannelReset
from .threads import in_thread
from .tree import PART_PREFIX, parts_of

_PORTION_BYTES = 262144
#: Most entries of a folder that are listed.
MAX_ENTRIES = 20_000
_HINTS = {
    errno.ENOSPC: "Free some space on the host.",
    errno.EDQUOT: "Free some quota on the host.",
    errno.ENOTEMPTY: "Delete its files first.",
}


def call(params: Dict[str, Any]) -> Any:
    """Answer a call. Blocks. Raises ChannelReset."""
    path = str(params.get("path") or "")
    work = {"list": _list, "look": _look, "delete": _delete, "rename": _rename, "make": _make}.get(
        str(params.get("op"))
    )
    if work is None:
        raise ChannelReset("invalid", f"The agent cannot {params.get('op')} files.")
    try:
        return work(path, params)
    except (OSError, ValueError) as error:
        raise _refused(path, error) from error


async def serve(channel: Channel) -> None:
    """Carry one file. Raises ChannelReset."""
    channel.bulk = True
    path, start = str(channel.params.get("path") or ""), int(channel.params.get("start") or 0)
    try:
        if channel.params.get("op") == "write":
            seen = await _write(channel, path, start, last=bool(channel.params.get("last")))
            channel.write(json.dumps(seen).encode())
        else:
            await _read(channel, path, start)
    except (OSError, ValueError) as error:
        raise _refused(path, error) from error
    channel.write_eof()


def _refused(path: str, error: Exception) -> ChannelReset:
    number = getattr(error, "errno", None)
    why = getattr(error, "strerror", None) or str(error)
    code = {errno.ENOENT: "not_found", errno.ENOTDIR: "not_found", errno.EEXIST: "exists"}.get(number or 0)
    return ChannelReset(code or "refused", f"{path or 'The home'}: {why}.", _HINTS.get(number or 0, ""))


# Paths


def _root() -> str:
    return os.path.realpath(os.path.expanduser("~"))


def _inside(path: str) -> str:
    """Return the real path of a file below the home. Raises ValueError."""
    root = _root()
    real = os.path.realpath(os.path.join(root, *parts_of(path))) if path else root
    if real != root and not real.startswith(root.rstrip("/") + "/"):
        raise ValueError(f"it leads to {real}, outside of the home {root}. Open a terminal to use it")
    return real


def _entry(path: str) -> str:
    """Return the path of a name itself, which may be a link: its folder is below the home. Raises ValueError."""
    folder, _, name = path.rpartition("/")
    parts_of(path)
    return os.path.join(_inside(folder), name)


# Calls


def _seen(name: str, found: os.stat_result, real: str) -> Dict[str, Any]:
    kind = "directory" if stat.S_ISDIR(found.st_mode) else "file" if stat.S_ISREG(found.st_mode) else "other"
    return {
        "name": name,
        "type": kind,
        "size": found.st_size,
        "modified": found.st_mtime,
        "writable": os.access(real, os.W_OK),
    }


def _list(path: str, params: Dict[str, Any]) -> Dict[str, Any]:
    folder, entries = _inside(path), []
    with os.scandir(folder) as scanned:
        for entry in scanned:
            if entry.name.startswith(PART_PREFIX):
                continue
            with contextlib.suppress(OSError, UnicodeEncodeError):  # it has gone, a link leads nowhere
                entry.name.encode()
                found = entry.stat()
                if stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode):
                    entries.append(_seen(entry.name, found, entry.path))
            if len(entries) >= MAX_ENTRIES:
                break
    return {**_look(path, {}), "entries": entries}


def _look(path: str, params: Dict[str, Any]) -> Dict[str, Any]:
    real = _inside(path)
    return {
        **_seen(path.rpartition("/")[2], os.stat(real), real),
        "sha256": _digest(real) if params.get("hash") else "",
    }


def _digest(real: str) -> str:
    digest = hashlib.sha256()
    with open(real, "rb") as stream:
        while data := stream.read(_PORTION_BYTES):
            digest.update(data)
    return digest.hexdigest()


def _delete(path: str, params: Dict[str, Any]) -> Dict[str, Any]:
    entry = _entry(path)
    if os.path.isdir(entry) and not os.path.islink(entry):
        if params.get("tree"):
            shutil.rmtree(entry)
        else:
            os.rmdir(entry)
    else:
        os.unlink(entry)
    return {}


def _rename(path: str, params: Dict[str, Any]) -> Dict[str, Any]:
    to = str(params.get("to") or "")
    entry, place = _entry(path), _entry(to)
    if os.path.lexists(place):
        raise FileExistsError(errno.EEXIST, f"{to} exists already", path)
    os.rename(entry, place)
    return _look(to, {})


def _make(path: str, params: Dict[str, Any]) -> Dict[str, Any]:
    os.mkdir(_entry(path))
    return _look(path, {})


# One file


async def _read(channel: Channel, path: str, start: int) -> None:
    stream = await in_thread(_opened, path, start)
    with stream:
        while data := await in_thread(stream.read, _PORTION_BYTES):
            channel.write(data)
            await channel.drain()


def _opened(path: str, start: int) -> Any:
    descriptor = os.open(_inside(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    stream = os.fdopen(descriptor, "rb")
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise ValueError("it is not a plain file")
    stream.seek(start)
    return stream


async def _write(channel: Channel, path: str, start: int, *, last: bool) -> Dict[str, Any]:
    upload = await in_thread(_Upload, path, start)
    try:
        while data := await channel.read(_PORTION_BYTES):
            await in_thread(upload.write, data)
        return await in_thread(upload.finish, last)
    finally:
        upload.close()


class _Upload:
    """A file that arrives in portions, beside the one whose place it takes. Methods block."""

    def __init__(self, path: str, start: int) -> None:
        self._path = path
        self._real = _inside(path)
        mark = hashlib.sha256(os.fsencode(self._real)).hexdigest()[:24]
        self._part = os.path.join(os.path.dirname(self._real), PART_PREFIX + mark)
        if os.path.lexists(self._real) and not os.path.isfile(self._real):
            raise ValueError("it is not a plain file")
        if start == 0:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._part)
        flags = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | (0 if start else os.O_CREAT | os.O_EXCL)
        self._fd: Optional[int] = os.open(self._part, flags, 0o666)
        if os.fstat(self._fd).st_size != start:
            self.close()
            raise ValueError("an earlier part of it is missing. Send the file again")
        os.lseek(self._fd, start, os.SEEK_SET)

    def write(self, data: bytes) -> None:
        """Write all of the bytes."""
        left: memoryview = memoryview(data)
        while left:
            left = left[os.write(self._descriptor, left) :]

    def finish(self, last: bool) -> Dict[str, Any]:
        """Put the whole file in its place after the last portion. Return its state, or the part's."""
        if not last:
            found = os.fstat(self._descriptor)
            return {**_seen(os.path.basename(self._path), found, self._part), "sha256": ""}
        with contextlib.suppress(FileNotFoundError):
            os.fchmod(self._descriptor, stat.S_IMODE(os.stat(self._real).st_mode))
        os.fsync(self._descriptor)
        os.replace(self._part, self._real)
        return _look(self._path, {})

    def close(self) -> None:
        """Close the part, which stays for the next portion."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @property
    def _descriptor(self) -> int:
        assert self._fd is not None
        return self._fd
