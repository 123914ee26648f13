"""Folders of this user's own on local disk: journals and sockets must outlive a file server's absence."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import stat
from typing import Iterator, List, Optional, Tuple

#: A unix socket's path has 107 bytes on Linux and 103 on macOS; names in the folder take some.
_MAX_SOCKET_FOLDER_BYTES = 84
_SHARED_FOLDERS = ("/var/tmp", "/tmp")  # noqa: S108  # a folder of the user's own in them, checked
#: What is being deleted is called so, with something random.
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
    """A folder is a link, or somebody else's."""


def unit_id_is_valid(unit_id: object) -> bool:
    """Whether it can be a folder's name."""
    return isinstance(unit_id, str) and _UNIT_ID.match(unit_id) is not None


def private_folder(path: str) -> str:
    """Make the folder 0700, or check that it is this user's own and no link. Raises OSError."""
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        os.makedirs(parent, 0o700, exist_ok=True)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        check_own(path)
    return path


def check_own(path: str) -> None:
    """Raises :class:`UnsafeFolder` for a link and for what belongs to others; takes others' rights away."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UnsafeFolder(1, "is not a folder of your own", path)
    if found.st_mode & 0o077:
        os.chmod(path, 0o700)


def own_folders(shared: str, name: str) -> List[str]:
    """The user's folders of this name in a folder that others use, too: where somebody else took the name first, those
    with something behind it. The first need not be there yet; empty where one must be made (:func:`own_folder`)."""
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
    """Make a private folder in a folder that others use, too, or find the one that is there. Raises OSError."""
    try:
        return private_folder(os.path.join(shared, name))
    except UnsafeFolder:
        import tempfile  # imports much, as shutil does, that keepers do not need

        found = own_folders(shared, name)
        return found[0] if found else tempfile.mkdtemp(prefix=name + "-", dir=shared)


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field)


def file_system_of(path: "str | os.PathLike[str]", mounts: str = "/proc/mounts") -> str:
    """The type of the file system that holds ``path``, or what exists above it (``ext4``, ``nfs4``, ...); empty where
    that cannot be seen."""
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
    """Whether ``path`` lies on a disk of this host; None where that cannot be seen."""
    kind = file_system_of(path, mounts)
    if not kind:
        return None
    return kind in _LOCAL_FUSE or not (kind in _REMOTE_TYPES or kind.startswith("fuse."))


def mounts_below(path: str, mounts: str = "/proc/mounts") -> List[str]:
    """Where other file systems are mounted in the folder; none where that cannot be seen."""
    inside = os.path.realpath(path) + "/"
    try:
        with open(mounts, encoding="utf-8", errors="replace") as stream:
            points = [_unescaped(line.split()[1]) for line in stream if len(line.split()) > 2]
    except OSError:
        return []
    return [point for point in points if point.startswith(inside)]


def candidates() -> List[str]:
    """Where the agent's state may be, best first."""
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
    """A folder that can be written, on local disk if there is one, and whether it is. Raises OSError."""
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


def _probe_writing(path: str) -> None:
    name = os.path.join(path, f".writable-{os.getpid()}")
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, b"x")
    finally:
        os.close(descriptor)
        os.unlink(name)


def unit_folder(unit_id: str, kind: str = "kernel") -> Optional[str]:
    """The folder of a unit that this host knows, else None."""
    for path in _known_roots(kind):
        folder = os.path.join(path, unit_id)
        if os.path.isdir(folder) and not os.path.islink(folder):
            return folder
    return None


def known_units(kind: str = "kernel") -> List[str]:
    """The ids of all units of a kind that have a folder here."""
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
    """A fresh, empty folder for a unit; what was there under this id goes. Raises OSError."""
    old = unit_folder(unit_id, kind)
    if old is not None:
        forget(old)
    return make_unit_folder(unit_id, kind)


def make_unit_folder(unit_id: str, kind: str) -> str:
    """A folder for a unit, the one that somebody else has just made. Raises OSError."""
    state, _ = state_folder()
    root = private_folder(os.path.join(state, f"{kind}s"))
    return private_folder(os.path.join(root, unit_id))


def socket_folder(folder: str) -> str:
    """Where a unit's sockets are: its own folder, or one with a short name. Raises OSError."""
    if len(os.fsencode(folder)) <= _MAX_SOCKET_FOLDER_BYTES:
        return folder
    short = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    shared = _SHARED_FOLDERS[-1]
    for root in own_folders(shared, _own_name()):
        if os.path.isdir(os.path.join(root, short)):
            return private_folder(os.path.join(root, short))
    return private_folder(os.path.join(own_folder(shared, _own_name()), short))


def listen(path: str) -> socket.socket:
    """A unix socket of this user's alone, bound anew. Raises OSError."""
    if os.path.lexists(path):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(16)
    listener.setblocking(False)
    return listener


def forget(folder: str) -> None:
    """Remove a unit's folder, and that of its sockets: its name is gone at once, so that who comes late finds none
    to write into. What was cut in the middle of its removal goes with the next."""
    import shutil

    sockets = socket_folder(folder)
    if sockets != folder:
        shutil.rmtree(sockets, ignore_errors=True)
    root = os.path.dirname(folder)
    try:
        os.rename(folder, os.path.join(root, REMOVED + os.urandom(8).hex()))
    except FileNotFoundError:  # somebody else was quicker
        return
    for name in os.listdir(root):
        if name.startswith(REMOVED):
            shutil.rmtree(os.path.join(root, name), ignore_errors=True)
