"""Find this user's own folders on a local disk: journals and sockets must outlive a file server's outage."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import stat
from typing import Iterator, List, Optional, Tuple

#: A unix socket's path has 107 bytes on Linux and 103 on macOS; names in the folder need some of them.
_MAX_SOCKET_FOLDER_BYTES = 84
_SHARED_FOLDERS = ("/var/tmp", "/tmp")  # noqa: S108  # a folder of the user's own in them, checked
#: The prefix of a name that is being deleted; a random suffix follows.
REMOVED = ".genops-removed-"
_UNIT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_REMOTE_TYPES = {
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "orangefs",
    "panfs",
    "pvfs2",
    "smb3",
    "smbfs",
    "virtiofs",
    "wekafs",
}
_LOCAL_FUSE = {"fuse.fuse-overlayfs", "fuse.mergerfs"}


class UnsafeFolder(OSError):
    """A folder is a link, or belongs to another user."""


def unit_id_is_valid(unit_id: object) -> bool:
    """Return whether an id can be a folder's name."""
    return isinstance(unit_id, str) and _UNIT_ID.match(unit_id) is not None


def private_folder(path: str) -> str:
    """Make the folder with mode 0700, or check that it belongs to this user and is not a link. Raises
    OSError."""
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        os.makedirs(parent, 0o700, exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        check_own(path)
    return path


def check_own(path: str) -> None:
    """Raise :class:`UnsafeFolder` for a link and for another user's folder; remove others' rights."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UnsafeFolder(1, "is not a folder of your own", path)
    if found.st_mode & 0o077:
        os.chmod(path, 0o700)


def own_folders(shared: str, name: str) -> List[str]:
    """Return the user's folders of this name in a shared folder: where another user took the name first,
    those with a suffix.

    The first may not exist yet; empty where one must be made (:func:`own_folder`).
    """
    found = []
    try:
        names = os.listdir(shared)
    except OSError:
        names = []
    for other in [name, *sorted(each for each in names if each.startswith(name + "-"))]:
        try:
            check_own(os.path.join(shared, other))
        except FileNotFoundError:
            pass  # the first: nobody has it
        except OSError:
            continue
        found.append(os.path.join(shared, other))
    return found


def own_folder(shared: str, name: str) -> str:
    """Make a private folder in a shared one, or find the existing one. Raises OSError."""
    try:
        return private_folder(os.path.join(shared, name))
    except UnsafeFolder:
        import tempfile  # imports much, as shutil does, that keepers do not need

        found = own_folders(shared, name)
        return found[0] if found else tempfile.mkdtemp(prefix=name + "-", dir=shared)


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field)


def file_system_of(path: "str | os.PathLike[str]", mounts: str = "/proc/mounts") -> str:
    """Return the type of the file system that has ``path``, or its nearest existing parent (``ext4``,
    ``nfs4``, ...); empty where unknown."""
    path = os.path.realpath(path)
    best, kind = "", ""
    try:
        with open(mounts, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                fields = line.split()
                if len(fields) < 3:
                    continue
                point = _unescaped(fields[1])
                inside = path == point or path.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, fields[2]
    except OSError:
        return ""
    return kind


def is_local(path: str, mounts: str = "/proc/mounts") -> Optional[bool]:
    """Return whether ``path`` is on a disk of this host; None where unknown."""
    kind = file_system_of(path, mounts)
    if not kind:
        return None
    return kind in _LOCAL_FUSE or not (kind in _REMOTE_TYPES or kind.startswith("fuse."))


def mounts_below(path: str, mounts: str = "/proc/mounts") -> List[str]:
    """Return where other file systems are mounted in the folder; none where unknown."""
    inside = os.path.realpath(path) + "/"
    try:
        with open(mounts, encoding="utf-8", errors="replace") as stream:
            points = [_unescaped(line.split()[1]) for line in stream if len(line.split()) > 2]
    except OSError:
        return []
    return [point for point in points if point.startswith(inside)]


def candidates() -> List[str]:
    """Return the possible places of the agent's state, best first."""
    chosen = os.environ.get("GENOPS_AGENT_STATE")
    if chosen:
        return [chosen]
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    found = [path for folder in _SHARED_FOLDERS for path in own_folders(folder, _own_name())]
    if os.path.isabs(state):
        found.insert(0, os.path.join(state, "genops-lab"))
    return found


def _own_name() -> str:
    return f"genops-lab-{os.getuid()}"


def state_folder() -> Tuple[str, Optional[bool]]:
    """Return a writable folder, on a local disk if possible, and whether it is. Raises OSError."""
    failure: Optional[OSError] = None
    remote = ""
    for path in candidates():
        local = is_local(path)
        if local is False:
            remote = remote or path
            continue
        try:
            private_folder(path)
            _probe_writing(path)
            return path, local
        except OSError as error:
            failure = failure or error
    if remote:
        _probe_writing(private_folder(remote))
        return remote, False
    if not os.environ.get("GENOPS_AGENT_STATE"):
        for folder in _SHARED_FOLDERS:
            try:
                path = own_folder(folder, _own_name())
                _probe_writing(path)
                return path, is_local(path)
            except OSError as error:
                failure = failure or error
    assert failure is not None
    raise failure


def kept_folder(name: str) -> str:
    """Return the folder of this name where it is already, or a new one in the state folder. Raises OSError.

    Otherwise what is kept there would seem gone while the disk is full: the state folder is then another one.
    """
    for state in candidates():
        path = os.path.join(state, name)
        try:
            check_own(state)
            check_own(path)
        except OSError:
            continue
        return path
    return private_folder(os.path.join(state_folder()[0], name))


def _probe_writing(path: str) -> None:
    # Threads probe at once: without a name of its own, one would remove the other's file, and see a broken folder.
    name = os.path.join(path, f".writable-{os.getpid()}-{os.urandom(4).hex()}")
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, b"x")
    finally:
        os.close(descriptor)
        os.unlink(name)


def unit_folder(unit_id: str, kind: str = "kernel") -> Optional[str]:
    """Return the folder of a unit that this host knows, or None."""
    for path in _known_roots(kind):
        folder = os.path.join(path, unit_id)
        if os.path.isdir(folder) and not os.path.islink(folder):
            return folder
    return None


def known_units(kind: str = "kernel") -> List[str]:
    """Return the ids of all units of a kind that have a folder here."""
    found = []
    for path in _known_roots(kind):
        found += [name for name in os.listdir(path) if unit_id_is_valid(name)]
    return sorted(set(found))


def _known_roots(kind: str) -> Iterator[str]:
    for state in candidates():
        try:
            check_own(state)
            root = os.path.join(state, f"{kind}s")
            check_own(root)
        except OSError:
            continue
        yield root


def new_unit_folder(unit_id: str, kind: str = "kernel") -> str:
    """Make an empty folder for a unit; earlier contents under this id are removed. Raises OSError."""
    old = unit_folder(unit_id, kind)
    if old is not None:
        forget(old)
    return make_unit_folder(unit_id, kind)


def make_unit_folder(unit_id: str, kind: str) -> str:
    """Make a folder for a unit, or return the one that another process has just made. Raises OSError."""
    state, _ = state_folder()
    root = private_folder(os.path.join(state, f"{kind}s"))
    return private_folder(os.path.join(root, unit_id))


def socket_folder(folder: str) -> str:
    """Return the folder of a unit's sockets: its own folder, or one with a short name. Raises OSError."""
    if len(os.fsencode(folder)) <= _MAX_SOCKET_FOLDER_BYTES:
        return folder
    short = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    shared = _SHARED_FOLDERS[-1]
    for root in own_folders(shared, _own_name()):
        if os.path.isdir(os.path.join(root, short)):
            return private_folder(os.path.join(root, short))
    return private_folder(os.path.join(own_folder(shared, _own_name()), short))


def listen(path: str) -> socket.socket:
    """Bind a unix socket that only this user can use. Raises OSError."""
    if os.path.lexists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(16)
    listener.setblocking(False)
    return listener


def forget(folder: str) -> None:
    """Remove a unit's folder, and that of its sockets. The name is gone at once, so that a late process does
    not write into it. The next call finishes an interrupted removal."""
    import shutil

    sockets = socket_folder(folder)
    if sockets != folder:
        shutil.rmtree(sockets, ignore_errors=True)
    root = os.path.dirname(folder)
    try:
        os.rename(folder, os.path.join(root, REMOVED + os.urandom(8).hex()))
    except FileNotFoundError:  # another process was quicker
        return
    for name in os.listdir(root):
        if name.startswith(REMOVED):
            shutil.rmtree(os.path.join(root, name), ignore_errors=True)
