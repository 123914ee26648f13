"""Remove the items that :mod:`.storage` lists.

A folder loses its name at once. Its files are deleted in portions of limited time, and the next removal
finishes an interrupted one. No link is followed and no other file system entered. All functions block.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import time
from typing import Any, Dict, List, Optional

from . import environments, storage
from .build_state import STATE, end_leftovers, read_state, write_removed
from .channels import ChannelReset
from .occupants import Occupants
from .paths import REMOVED, mounts_below
from .state_file import FolderLock
from .storage import MAX_DEPTH, OPEN_FOLDER, Item

_PORTION_S = 5.0
#: Seconds in which a Lab that was cut off from a failed build asks for its end.
_BUILD_KEPT_S = 86400.0


def remove(path: str) -> Dict[str, Any]:
    """Remove an item, unless it is in use; ``left``: :func:`sweep` has more to do. Raises ChannelReset,
    OSError."""
    item = storage.find(path)
    if item.kind != storage.ENVIRONMENT:
        _take_away(item)
        return sweep()
    work = environments.work_folder(item.path)
    lock = FolderLock(work)
    if not lock.take():
        raise ChannelReset(
            "building", f"{item.path} is being built.", "Wait until the build ends, or cancel it."
        )
    try:
        end_leftovers(work)
        _take_away(item)
        write_removed(work, item.path)
    finally:
        lock.release()
    return sweep()


def sweep() -> Dict[str, Any]:
    """Continue to delete removed items; return whether more time is needed (``left``), and what cannot be
    deleted (``trouble``, which the next call tries again). Raises OSError."""
    until, troubles = time.monotonic() + _PORTION_S, []
    for parent in storage.parents():
        try:
            fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):  # a user's own folder that is closed now
            continue
        try:
            for name in _removed(fd):
                try:
                    if not _delete(fd, name, os.fstat(fd).st_dev, until, 0):
                        return {"left": True, "trouble": ""}
                except OSError as error:
                    troubles.append(f"{parent}/{name}: {error.filename or ''} {error.strerror}")
        finally:
            os.close(fd)
    if not troubles:
        _forget_builds()
    return {"left": False, "trouble": "; ".join(troubles)[:1000]}


def _take_away(item: Item) -> None:
    """Rename the item. Raises ChannelReset where it is in use, also from this moment on."""
    _check_unused(item, item.path, item.known_as)
    for mount in mounts_below(item.path):
        raise ChannelReset("in_use", f"Another file system is mounted at {mount}.", "Unmount it first.")
    parent = os.open(item.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        seen = os.stat(item.name, dir_fd=parent, follow_symlinks=False)
        if (seen.st_dev, seen.st_ino) != item.identity:
            raise ChannelReset("not_found", f"{item.path} is now another folder.", "List again.")
        gone = REMOVED + secrets.token_hex(8)
        os.rename(item.name, gone, src_dir_fd=parent, dst_dir_fd=parent)
        try:
            _check_unused(item, item.path, item.known_as, os.path.join(item.parent, gone))
        except ChannelReset:
            os.rename(gone, item.name, src_dir_fd=parent, dst_dir_fd=parent)
            raise
    finally:
        os.close(parent)


def _check_unused(item: Item, *paths: str) -> None:
    used_by = Occupants().of(*paths)
    if used_by:
        first = used_by[0]
        who = (
            f"the kernel {first['kernel_id']}"
            if "kernel_id" in first
            else f"{first['name']} (process {first['pid']})"
        )
        raise ChannelReset("in_use", f"{item.path} is used by {who}.", "End that process first.")


def _removed(parent: int) -> List[str]:
    """Return items that lost their name and still exist; only in own folders."""
    with os.scandir(parent) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(REMOVED)]
    found = []
    for name in names:
        seen = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid():
            found.append(name)
    return found


def _delete(parent: int, name: str, device: int, until: float, depth: int) -> bool:
    """Delete; return whether it is gone. False: the time is over."""
    fd = _opened(parent, name)
    if fd is None:
        return True
    try:
        seen = os.fstat(fd)
        if seen.st_dev != device or depth > MAX_DEPTH:
            what = "Is another file system" if seen.st_dev != device else "Is nested too deeply"
            raise OSError(errno.EBUSY, what, name)
        if seen.st_mode & 0o300 != 0o300:
            os.fchmod(fd, seen.st_mode | 0o700)
        with os.scandir(fd) as entries:
            below = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for entry, is_folder in below:
            if time.monotonic() > until:
                return False
            if is_folder:
                if not _delete(fd, entry, device, until, depth + 1):
                    return False
            else:
                _unless_gone(os.unlink, entry, fd)
    finally:
        os.close(fd)
    _unless_gone(os.rmdir, name, parent)
    return True


def _opened(parent: int, name: str) -> Optional[int]:
    try:
        return os.open(name, OPEN_FOLDER, dir_fd=parent)
    except FileNotFoundError:  # another connection deletes it as well
        return None


def _unless_gone(remove_one: Any, name: str, parent: int) -> None:
    try:
        remove_one(name, dir_fd=parent)
    except FileNotFoundError:
        return


def _forget_builds() -> None:
    """Remove logs and locks of environments that no longer exist."""
    for work, folder in list(storage.builds()):
        age_s = time.time() - os.stat(os.path.join(work, STATE)).st_mtime
        if os.path.lexists(folder) or (age_s < _BUILD_KEPT_S and not read_state(work).get("removed")):
            continue
        lock = FolderLock(work)
        if lock.take():
            shutil.rmtree(work, ignore_errors=True)
            lock.release()
