"""Find the folders of GenOps Lab and the kinds of their file systems.

* data: ``<Jupyter data directory>/genops`` with the embedded MLflow, the store, profiles and deployments;
* runtime: a private 0700 folder on a local disk for sockets, whose paths must be shorter than 108 bytes.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from genops_lab.agent.paths import file_system_of, own_folder

from .errors import Failed, InvalidRequest

# Decision 13: SQLite's write-ahead log needs shared memory, which these file systems lack between hosts.
NETWORK_FILE_SYSTEMS = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "lustre",
        "ceph",
        "glusterfs",
        "fuse.glusterfs",
        "afs",
        "gpfs",
        "beegfs",
        "fuse.sshfs",
        "9p",
        "efs",
        "fuse.s3fs",
        "fuse.juicefs",
        "wekafs",
    }
)


def data_dir() -> Path:
    """Return the user's GenOps folder in the Jupyter data directory; create it with mode 0700."""
    from jupyter_core.paths import jupyter_data_dir

    return private_dir(Path(jupyter_data_dir()) / "genops")


def runtime_dir() -> Path:
    """Return a private folder on a local disk for sockets with short paths.

    If another user has its name in /tmp, the folder's name gets a suffix.
    """
    given = os.environ.get("GENOPS_RUNTIME_DIR")
    if given:
        return private_dir(Path(given))
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and Path(base).is_dir() and os.access(base, os.W_OK) and len(base) < 60:
        return private_dir(Path(base) / "genops")
    shared = tempfile.gettempdir()
    if not hasattr(os, "getuid"):
        return private_dir(Path(shared) / "genops-user")
    try:
        return Path(own_folder(shared, f"genops-{os.getuid()}"))
    except OSError as error:
        raise Failed(
            f"Cannot create a private folder for sockets in {shared}: {error.strerror or error}.",
            hint="Set GENOPS_RUNTIME_DIR to a folder of yours on a local disk.",
        ) from error


def private_dir(path: Path) -> Path:
    """Create the folder ``path`` with mode 0700. Raises Failed if it is a link or belongs to another user."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if hasattr(os, "getuid"):
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or found.st_uid != os.getuid():
            raise Failed(
                f"The folder {path} is a link or belongs to another user.",
                hint="Remove it, or set GENOPS_RUNTIME_DIR or JUPYTER_DATA_DIR to a folder of yours.",
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            path.chmod(0o700)
    return path


def contained(root: Path, *parts: str) -> Path:
    """Return ``root/parts``, resolved. Raises InvalidRequest if it is outside ``root``."""
    target = root.joinpath(*parts).resolve()
    if not target.is_relative_to(root.resolve()):
        raise InvalidRequest(
            f"The path {'/'.join(parts)!r} is outside its folder.", hint="Use a name without '..' and '/'."
        )
    return target


def contents_path(notebook: str, root: str) -> str:
    """Return the contents manager's path of a kernel's notebook file; empty if the file is outside its root.

    The kernel itself names the file, so a path outside the root is never used.
    """
    path = PurePosixPath(notebook)
    if path.is_absolute():
        if not root or not path.is_relative_to(folder := Path(root).expanduser().absolute().as_posix()):
            return ""
        path = path.relative_to(folder)
    return "" if ".." in path.parts or not path.name else str(path)


def on_network(path: Path) -> bool:
    """Return whether the file system of ``path`` is a network file system."""
    return file_system_of(path) in NETWORK_FILE_SYSTEMS


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 0600, whole or not at all."""
    temporary = _written_beside(path, text.encode())
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_or_create_private(path: Path, content: Callable[[], bytes]) -> bytes:
    """Return the bytes of a file; create a missing file with mode 0600.

    All threads and processes that create the file at once get the same bytes.
    """
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes()
    temporary = _written_beside(path, content())
    try:
        os.link(temporary, path)  # unlike a rename, a link never replaces a file
    except FileExistsError:
        pass  # another thread or process was first
    except OSError:  # a file system without links: the last one wins
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path.read_bytes()


def _written_beside(path: Path, content: bytes) -> Path:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)
