"""List what GenOps Lab stores on this host: built environments, and copies of notebooks' folders.

Only the user's own folders are listed, never a link. All functions block.
"""

from __future__ import annotations

import os
import re
import stat
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from . import environments
from .build_state import read_state
from .channels import ChannelReset
from .environments import UNFINISHED, WHOLE
from .occupants import Occupants
from .paths import state_folder
from .state_file import FolderLock

ENVIRONMENT, FOLDER = "environment", "folder"
MAX_ITEMS = 500
MAX_DEPTH = 200
#: The most files, and seconds, of one measurement.
_MAX_ENTRIES, _MEASURE_S = 500_000, 20.0
_BLOCK_BYTES = 512
_COPY = re.compile(r".+-[0-9a-f]{8}\Z")
#: Neither pulled nor restored by a push.
_OF_ITS_OWN = frozenset({".bzr", ".git", ".hg", ".jj", ".svn", "mlflow.db", "mlruns"})
OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Item(NamedTuple):
    """``path`` is real, ``known_as`` is the name that others use; ``identity`` is the inode's."""

    kind: str
    path: str
    known_as: str
    identity: Tuple[int, int]

    @property
    def parent(self) -> str:
        """The item's parent folder."""
        return os.path.dirname(self.path)

    @property
    def name(self) -> str:
        """The item's name."""
        return os.path.basename(self.path)


def copies_root() -> str:
    """Return the folder of the copies of notebooks' folders."""
    return os.path.join(os.path.expanduser("~"), "genops")


def items() -> List[Item]:
    """Return all items, at most :data:`MAX_ITEMS`. Raises OSError."""
    found: Dict[Tuple[int, int], Item] = {}
    for kind, path in (*_environments(), *_copies()):
        item = _item(kind, path)
        if item is not None and len(found) < MAX_ITEMS:
            found.setdefault(item.identity, item)
    return sorted(found.values())


def parents() -> List[str]:
    """Return the folders that have, or had, items."""
    paths = [environments.root(), copies_root(), *(os.path.dirname(path) for _, path in builds())]
    return sorted({os.path.realpath(path) for path in paths if os.path.isdir(path)})


def listing() -> Dict[str, Any]:
    """Return the items and their users, without measuring them."""
    occupants = Occupants()
    return {
        "home": os.path.expanduser("~"),
        "items": [
            {
                "kind": item.kind,
                "name": item.name,
                "path": item.path,
                "known_as": item.known_as,
                "building": is_building(item),
                "used_by": occupants.of(item.path, item.known_as),
            }
            for item in items()
        ],
    }


def measured(path: str) -> Dict[str, Any]:
    """Return how much a removal frees, and how long the item was unused. Raises ChannelReset for a path that
    is not listed, OSError."""
    item = find(path)
    walk = _Walk()
    fd = os.open(item.path, OPEN_FOLDER)
    try:
        walk.into(fd, 0)
    finally:
        os.close(fd)
    last = walk.changed if item.kind == FOLDER else _last_use(item)
    return {
        "bytes": walk.bytes,
        "files": walk.files,
        "whole": walk.whole,
        "unused_s": max(0.0, time.time() - last),
        "own": sorted(walk.own) if item.kind == FOLDER else [],
    }


def builds() -> Iterator[Tuple[str, str]]:
    """Yield the work folder and the folder of each environment, also of those with a user's name. Raises
    OSError."""
    state, _ = state_folder()
    root = os.path.join(state, "builds")
    for name in _names(root):
        folder = read_state(os.path.join(root, name)).get("folder")
        if isinstance(folder, str) and os.path.isabs(folder):
            yield os.path.join(root, name), folder


def find(path: str) -> Item:
    """Return the item at a path. Raises ChannelReset."""
    for item in items():
        if item.path == path:
            return item
    raise ChannelReset("not_found", f"{path} was not made by GenOps Lab.", "List again.")


def is_building(item: Item) -> bool:
    """Return whether a builder works on the item now."""
    work = environments.work_path(item.path)
    if item.kind != ENVIRONMENT or not os.path.isdir(work):
        return False
    lock = FolderLock(work)
    if not lock.take():
        return True
    lock.release()
    return False


def _item(kind: str, path: str) -> Optional[Item]:
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    try:
        seen = os.lstat(real)
    except OSError:
        return None
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid():
        return None
    return Item(kind, real, path, (seen.st_dev, seen.st_ino))


def _environments() -> Iterator[Tuple[str, str]]:
    root = environments.root()
    for path in (*(os.path.join(root, name) for name in _names(root)), *(path for _, path in builds())):
        if any(os.path.isfile(os.path.join(path, name)) for name in (WHOLE, UNFINISHED)):
            yield ENVIRONMENT, path


def _copies() -> Iterator[Tuple[str, str]]:
    root = copies_root()
    for name in _names(root):
        if _COPY.match(name) and not name.startswith("."):
            yield FOLDER, os.path.join(root, name)


def _names(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _last_use(item: Item) -> float:
    for name in (WHOLE, UNFINISHED):
        try:
            return os.lstat(os.path.join(item.path, name)).st_mtime
        except FileNotFoundError:
            continue
    return time.time()


class _Walk:
    """``changed`` is the newest change of any file; ``own``: found names of :data:`_OF_ITS_OWN`."""

    def __init__(self) -> None:
        self.bytes = self.files = 0
        self.changed = 0.0
        self.own: Set[str] = set()
        self.whole = True
        self._entries = 0
        self._until = time.monotonic() + _MEASURE_S

    def into(self, fd: int, depth: int) -> None:
        """Walk the folder behind ``fd``, which stays open. Raises OSError."""
        self.changed = max(self.changed, os.fstat(fd).st_ctime)
        with os.scandir(fd) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            self._entries += 1
            if self._entries > _MAX_ENTRIES or time.monotonic() > self._until or depth >= MAX_DEPTH:
                self.whole = False
                return
            if name in _OF_ITS_OWN:
                self.own.add(name)
            try:
                self._take(fd, name, depth)
            except FileNotFoundError:  # it was removed meanwhile
                continue
            except OSError:
                self.whole = False

    def _take(self, fd: int, name: str, depth: int) -> None:
        seen = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISDIR(seen.st_mode):
            below = os.open(name, OPEN_FOLDER, dir_fd=fd)
            try:
                self.into(below, depth + 1)
            finally:
                os.close(below)
            return
        self.changed = max(self.changed, seen.st_ctime)
        self.files += 1
        if seen.st_nlink == 1:  # uv links files from its cache: those stay
            self.bytes += seen.st_blocks * _BLOCK_BYTES
