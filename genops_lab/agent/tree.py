"""Reach the files below one folder without ever leaving it: no link on the way to a file is followed.

Used on both ends: a host's paths must not lead the Lab out of the notebook's folder, and the Lab's files must
not go through a link on the host. All methods block.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import time
from typing import BinaryIO, List, NamedTuple, Optional, Tuple

#: Names that are neither sent nor pulled, in any folder.
LEFT_OUT = frozenset(
    {
        ".bzr", ".ds_store", ".git", ".hg", ".ipynb_checkpoints", ".jj", ".mypy_cache", ".nox", ".pytest_cache",
        ".ruff_cache", ".svn", ".tox", ".venv", ".virtual_documents", "__pycache__", "mlflow.db", "mlflow.db-journal",
        "mlflow.db-shm", "mlflow.db-wal", "mlruns", "node_modules",
    }
)  # fmt: skip
_VENV_MARK = "pyvenv.cfg"
PART_PREFIX = ".genops-part-"
_MARKER_BYTES = 64
_OLD_PART_S = 3600.0
#: Of a file of this many bytes, the received part stays when a connection breaks.
LONG_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64
MAX_PATH_BYTES = 4096
_PIECE_BYTES = 1024 * 1024
# Without these (Windows) the module can be imported, though no folder can be used.
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | _CLOEXEC
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_FOLDER = os.O_RDONLY | _DIRECTORY | _NO_LINK

State = Optional[Tuple[int, int]]
"""A file's size and mtime in nanoseconds; None without a file."""


class Seen(NamedTuple):
    """The state of a file at one look."""

    path: str
    size: int
    mtime_ns: int
    mode: int

    @property
    def state(self) -> Tuple[int, int]:
        """The values that show whether the file was changed."""
        return self.size, self.mtime_ns


class Changed(OSError):
    """The file is not the one that was seen before."""


def parts_of(path: str) -> List[str]:
    """Return the names on the way to a file. Raises ValueError for a path that could lead elsewhere or is not
    text."""
    if not isinstance(path, str) or not path or "\0" in path:
        raise ValueError("A path is empty or contains a zero byte.")
    try:
        if len(path.encode("utf-8")) > MAX_PATH_BYTES:
            raise ValueError("A path is too long.")
    except UnicodeEncodeError:
        raise ValueError("A path is not UTF-8.") from None
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or len(parts) > MAX_DEPTH:
        raise ValueError(f"{path[:200]!r} is not a path within the folder.")
    return parts


def is_left_out(name: str) -> bool:
    """Return whether files and folders of this name are neither sent nor pulled."""
    return name.lower() in LEFT_OUT or name.startswith(PART_PREFIX)


def marker_text(folder: str, name: str) -> str:
    """Return the text of a marker that a Lab wrote into a folder of its machine: then this host has that folder, too.
    Raises OSError, and ValueError for another name."""
    if not name.startswith(PART_PREFIX) or "/" in name:
        raise ValueError("the name is not that of a marker")
    fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return os.read(fd, _MARKER_BYTES).decode("ascii")
    finally:
        os.close(fd)


def unfinished_name(seen: Seen) -> str:
    """Return the name, next to the file, of the part that arrived before a connection broke."""
    key = f"{seen.path}\0{seen.size}\0{seen.mtime_ns}\0{seen.mode}"
    return PART_PREFIX + hashlib.sha256(key.encode()).hexdigest()[:24]


class Listing:
    """The result of a walk. ``links`` and ``unreadable`` are paths; ``whole`` is False when the limit was
    reached."""

    def __init__(self) -> None:
        self.files: List[Seen] = []
        self.links: List[str] = []
        self.folders: List[str] = []
        self.unreadable: List[str] = []
        self.whole = True


class Tree:
    """The folder ``root``, which must exist. Raises OSError."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)
        self._fd = os.open(self.root, os.O_RDONLY | _DIRECTORY | _CLOEXEC)

    def close(self) -> None:
        """Close the folder."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> "Tree":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Looking

    def listing(self, limit: int) -> Listing:
        """Return all files except those that are left out, at most ``limit``."""
        found = Listing()
        fd = os.dup(self._fd)
        try:
            self._walk(fd, "", found, limit, 0)
        finally:
            os.close(fd)
        return found

    def _walk(self, fd: int, prefix: str, found: Listing, limit: int, depth: int) -> bool:
        """Return whether the folder has any entry; ``fd`` stays open."""
        with os.scandir(fd) as entries:
            here = sorted(entries, key=lambda entry: entry.name)
        if prefix and any(entry.name == _VENV_MARK for entry in here):
            return True
        for entry in here:
            if len(found.files) >= limit:
                found.whole = False
                return True
            path = prefix + entry.name
            try:
                self._take(fd, entry, path, found, limit, depth)
            except OSError:
                found.unreadable.append(path)
        return bool(here)

    def _take(
        self, fd: int, entry: "os.DirEntry[str]", path: str, found: Listing, limit: int, depth: int
    ) -> None:
        name = entry.name
        if name.startswith(PART_PREFIX):
            _remove_old_part(fd, name)
        if is_left_out(name):
            return
        try:
            parts_of(path)
        except ValueError:
            found.unreadable.append(path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
            return
        if entry.is_symlink():
            found.links.append(path)
        elif entry.is_dir(follow_symlinks=False):
            if depth + 1 < MAX_DEPTH:
                below = os.open(name, _FOLDER, dir_fd=fd)
                try:
                    if not self._walk(below, path + "/", found, limit, depth + 1):
                        found.folders.append(path)
                finally:
                    os.close(below)
        elif entry.is_file(follow_symlinks=False):
            # By its descriptor: an entry's own stat would need a path.
            found.files.append(_seen(path, os.stat(name, dir_fd=fd, follow_symlinks=False)))

    def look(self, path: str) -> Optional[Seen]:
        """Return the file, None without one. Raises Changed where the path has something else."""
        parts = parts_of(path)
        try:
            parent = self._parent(parts, make=False)
        except FileNotFoundError:
            return None
        try:
            found = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
        finally:
            os.close(parent)
        if not stat.S_ISREG(found.st_mode):
            raise Changed(errno.EEXIST, "Something else than a file exists", path)
        return _seen(path, found)

    def open(self, path: str) -> Tuple[int, Seen]:
        """Return a descriptor to read the file with, and its state. Raises OSError."""
        parts = parts_of(path)
        parent = self._parent(parts, make=False)
        try:
            # Without O_NONBLOCK opening a pipe would wait.
            flags = os.O_RDONLY | _NO_LINK | _NO_WAIT
            fd = os.open(parts[-1], flags, dir_fd=parent)
        finally:
            os.close(parent)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise Changed(errno.EINVAL, "Is not a plain file", path)
        return fd, _seen(path, found)

    def sha(self, path: str) -> str:
        """Return the SHA-256 of a file's bytes. Raises OSError."""
        fd, _ = self.open(path)
        digest = hashlib.sha256()
        with os.fdopen(fd, "rb") as stream:
            while True:
                piece = stream.read(_PIECE_BYTES)
                if not piece:
                    return digest.hexdigest()
                digest.update(piece)

    # Changing

    def make(self, path: str) -> None:
        """Make a folder and those above it. Raises OSError."""
        os.close(self._parent([*parts_of(path), ""], make=True))

    def incoming(
        self, wanted: Seen, expected: State, *, backup: str = "", sync: bool = False, goes_on: bool = False
    ) -> "Incoming":
        """Start to write a file under a temporary name, or continue an earlier part. Raises OSError."""
        parent = self._parent(parts_of(wanted.path), make=True)
        try:
            return Incoming(parent, wanted, expected, backup, sync, goes_on)
        except BaseException:
            os.close(parent)
            raise

    def remove(self, path: str, expected: State) -> None:
        """Delete a file that is still the expected one, and folders that become empty. Raises OSError."""
        parts = parts_of(path)
        parent = self._parent(parts, make=False)
        try:
            if _state(parent, parts[-1]) != expected:
                raise Changed(errno.EBUSY, "Was changed meanwhile", path)
            os.unlink(parts[-1], dir_fd=parent)
        finally:
            os.close(parent)
        for end in range(len(parts) - 1, 0, -1):
            try:
                above = self._parent(parts[:end], make=False)
            except OSError:
                return
            try:
                os.rmdir(parts[end - 1], dir_fd=above)
            except OSError:
                return  # it is not empty
            finally:
                os.close(above)

    def _parent(self, parts: List[str], *, make: bool) -> int:
        fd = os.dup(self._fd)
        try:
            for name in parts[:-1]:
                try:
                    below = os.open(name, _FOLDER, dir_fd=fd)
                except FileNotFoundError:
                    if not make:
                        raise
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, dir_fd=fd)
                    below = os.open(name, _FOLDER, dir_fd=fd)
                os.close(fd)
                fd = below
        except OSError as error:
            os.close(fd)
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise Changed(error.errno, "The path contains a link or a file", "/".join(parts)) from None
            raise
        return fd


class Incoming:
    """A file that is being written: it gets its name when complete, or not at all."""

    def __init__(
        self, parent: int, wanted: Seen, expected: State, backup: str, sync: bool, goes_on: bool
    ) -> None:
        self._parent, self._wanted, self._name = parent, wanted, parts_of(wanted.path)[-1]
        self._expected, self._backup, self._sync = expected, backup, sync
        # Its own: no other process writes to it.
        self._part = PART_PREFIX + secrets.token_hex(8)
        if goes_on:
            os.rename(unfinished_name(wanted), self._part, src_dir_fd=parent, dst_dir_fd=parent)
            self._fd = os.open(self._part, os.O_RDWR | os.O_APPEND | _NO_LINK | _NO_WAIT, dir_fd=parent)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK
            self._fd = os.open(self._part, flags, (wanted.mode & 0o777) | 0o600, dir_fd=parent)

    def stream(self) -> BinaryIO:
        """Return the earlier part, to be read from its first byte on."""
        return os.fdopen(os.dup(self._fd), "rb")

    def write(self, piece: bytes) -> None:
        """Write bytes. Raises OSError."""
        view = memoryview(piece)
        while view:
            view = view[os.write(self._fd, view) :]

    def commit(self) -> Seen:
        """Give the file its name; an existing file gets the name ``backup``, where one is given. Raises
        OSError, and Changed when the existing file is not the expected one."""
        try:
            os.utime(self._fd, ns=(self._wanted.mtime_ns, self._wanted.mtime_ns))
            if self._sync:
                os.fsync(self._fd)
            seen = _seen(self._wanted.path, os.fstat(self._fd))
            if _state(self._parent, self._name) != self._expected:
                raise Changed(errno.EBUSY, "Was changed meanwhile", self._wanted.path)
            if self._backup and self._expected is not None:
                self._keep()
            os.rename(self._part, self._name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
            if self._sync:
                os.fsync(self._parent)
        except BaseException:
            self.abort()
            raise
        self._close()
        return seen

    def _keep(self) -> None:
        try:
            os.link(self._name, self._backup, src_dir_fd=self._parent, dst_dir_fd=self._parent)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            os.rename(self._name, self._backup, src_dir_fd=self._parent, dst_dir_fd=self._parent)

    def leave(self) -> None:
        """Leave the received part for a continuation within an hour. Raises OSError."""
        try:
            name = unfinished_name(self._wanted)
            os.rename(self._part, name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
        finally:
            self._close()

    def abort(self) -> None:
        """Remove the unfinished file; harmless when it already has its name."""
        if self._parent >= 0:
            try:
                os.unlink(self._part, dir_fd=self._parent)
            except OSError:
                pass  # it has its name, or the disk is gone
            finally:
                self._close()

    def _close(self) -> None:
        for fd in (self._fd, self._parent):
            if fd >= 0:
                os.close(fd)
        self._fd = self._parent = -1


def _seen(path: str, found: os.stat_result) -> Seen:
    return Seen(path, found.st_size, found.st_mtime_ns, stat.S_IMODE(found.st_mode) & 0o777)


def _state(parent: int, name: str) -> State:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return (-1, -1)  # not a file that anybody expects
    return found.st_size, found.st_mtime_ns


def _remove_old_part(parent: int, name: str) -> None:
    """Remove the part that a killed process left."""
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISREG(found.st_mode) and time.time() - found.st_ctime > _OLD_PART_S:
        os.unlink(name, dir_fd=parent)
