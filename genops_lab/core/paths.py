"""Where GenOps Lab keeps things, and what kind of file system that is.

* data: ``<Jupyter data directory>/genops`` (kept: the embedded MLflow, the store, profiles, deployments);
* runtime: a private 0700 folder on local disk for sockets (paths under 108 bytes).
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path, PurePosixPath

from genops_lab.agent.paths import file_system_of, own_folder

from .errors import Failed, InvalidRequest

# Decision 13: SQLite's write-ahead log needs shared memory, which these do not give between hosts.
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
    """The user's GenOps folder under the Jupyter data directory, made 0700 where it is missing."""
    from jupyter_core.paths import jupyter_data_dir

    return private_dir(Path(jupyter_data_dir()) / "genops")


def runtime_dir() -> Path:
    """A private folder on local disk whose socket paths stay short.

    Where somebody else took its name in /tmp first, it gets one with something behind it.
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
            f"{shared} takes no private folder for sockets: {error.strerror or error}.",
            hint="Point GENOPS_RUNTIME_DIR to a folder of yours on a local disk.",
        ) from error


def private_dir(path: Path) -> Path:
    """Make ``path`` 0700 and ours, or say who holds it: a folder planted by another user is refused."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if hasattr(os, "getuid"):
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode) or found.st_uid != os.getuid():
            raise Failed(
                f"{path} is not a folder of this user's own.",
                hint="Remove it, or point GENOPS_RUNTIME_DIR or JUPYTER_DATA_DIR to a folder of yours.",
            )
        if stat.S_IMODE(found.st_mode) & 0o077:
            path.chmod(0o700)
    return path


def contained(root: Path, *parts: str) -> Path:
    """``root/parts``, resolved, refused when it leaves ``root``."""
    target = root.joinpath(*parts).resolve()
    if not target.is_relative_to(root.resolve()):
        raise InvalidRequest(
            f"{'/'.join(parts)!r} leaves its folder.", hint="Use a name without '..' or '/'."
        )
    return target


def contents_path(notebook: str, root: str) -> str:
    """A kernel knows its notebook's file; what the contents manager calls that, empty where it is not under its root.

    Who asks says which it is, so nothing outside comes into question.
    """
    path = PurePosixPath(notebook)
    if path.is_absolute():
        if not root or not path.is_relative_to(folder := Path(root).expanduser().absolute().as_posix()):
            return ""
        path = path.relative_to(folder)
    return "" if ".." in path.parts or not path.name else str(path)


def on_network(path: Path) -> bool:
    """Whether several hosts may share the file system of ``path``."""
    return file_system_of(path) in NETWORK_FILE_SYSTEMS


def write_private(path: Path, text: str) -> None:
    """Write a 0600 file whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
