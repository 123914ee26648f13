"""Record which files were equal on both sides after a folder's last synchronisation: one JSON file per folder
and target.

All methods block. Without these files equal files are found by their hashes.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from genops_lab.agent.tree import State
from genops_lab.core.paths import private_dir, read_or_create_private, write_private
from genops_lab.hosts.providers import provider_of

if TYPE_CHECKING:
    from genops_lab.hosts.link.route import Route

#: Kernels whose folder is recorded.
_KEPT_KERNELS = 100


class Known(msgspec.Struct, frozen=True, array_like=True):
    """A file on both sides, when both had the same bytes."""

    size: int
    mtime_ns: int
    mode: int
    sha: str
    size_there: int
    mtime_there: int

    @property
    def there(self) -> State:
        """Return the host's state, which shows whether the file was changed."""
        return self.size_there, self.mtime_there


class LastSync(msgspec.Struct, kw_only=True):
    """The record of one folder on one target.

    ``agreed``: the files and bytes that a user agreed to send. ``host_id``: the target's host that has the
    copy, where each has its own files. ``shared``: the host has the folder itself, and there is no copy.
    """

    target: str
    root: str
    there: str
    host_id: str = ""
    synced_at: float | None = None
    files: dict[str, Known] = {}
    kernels: dict[str, str] = {}
    agreed: tuple[int, int] = (0, 0)
    shared: bool = False

    def remember_kernel(self, kernel_id: str, inside: str) -> None:
        """Record that this kernel runs in that part of the folder."""
        self.kernels.pop(kernel_id, None)
        self.kernels[kernel_id] = inside
        for old in list(self.kernels)[:-_KEPT_KERNELS]:
            del self.kernels[old]


def copies_on(host: Route) -> str:
    """Return the ``host_id`` of copies on this host: empty where a target's hosts share their files."""
    shared = provider_of(host.kind).shares_storage(host.config)
    return "" if shared else host.host_id


class LastSyncs:
    """All records, in a folder of the Lab's."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    @property
    def _folder(self) -> Path:
        return private_dir(self._data_dir / "folders")

    def _installation(self) -> str:
        """Return an id of this Lab, to distinguish its folders from those of another machine with the same
        account on the host."""
        path = self._folder / "installation"
        return read_or_create_private(path, lambda: secrets.token_hex(8).encode()).decode().strip()

    def _path(self, target: str, root: str, host_id: str = "") -> Path:
        place = "\0".join(filter(None, (target, root, host_id)))
        digest = hashlib.sha256(place.encode("utf-8", "surrogateescape")).hexdigest()[:24]
        return self._folder / f"{digest}.json"

    def lock_path(self, target: str, root: str, host_id: str = "") -> Path:
        """Return the file to lock while a folder is synchronised."""
        return self._path(target, root, host_id).with_suffix(".lock")

    def get(self, target: str, root: str, host_id: str = "") -> LastSync:
        """Return the record of a folder; a new one where there is none."""
        found = self._read(self._path(target, root, host_id))
        if found is not None and (found.target, found.root, found.host_id) == (target, root, host_id):
            return found
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(root).name).strip("-.")[:40] or "folder"
        digest = hashlib.sha256(
            f"{self._installation()}\0{root}".encode("utf-8", "surrogateescape")
        ).hexdigest()
        return LastSync(target=target, root=root, there=f"~/genops/{name}-{digest[:8]}", host_id=host_id)

    def put(self, memory: LastSync) -> None:
        """Store a record."""
        path = self._path(memory.target, memory.root, memory.host_id)
        write_private(path, msgspec.json.encode(memory).decode())

    def drop(self, memory: LastSync) -> None:
        """Delete a record."""
        self._path(memory.target, memory.root, memory.host_id).unlink(missing_ok=True)

    def host_is_gone(self, host_id: str, target: str) -> None:
        """Delete the records of copies on a host that no longer exists; does nothing for an empty
        ``host_id``."""
        for each in self._all() if host_id else ():
            if (each.target, each.host_id) == (target, host_id):
                self.drop(each)

    def of_copy(self, there: str) -> list[LastSync]:
        """Return the records of folders that have this copy, on any target."""
        return [each for each in self._all() if each.there == there]

    def of_root(self, root: str) -> list[LastSync]:
        """Return the records of a folder on all targets, the last synchronised first."""
        found = [each for each in self._all() if each.root == root]
        return sorted(found, key=lambda each: each.synced_at or 0.0, reverse=True)

    def roots_around(self, folder: str) -> list[str]:
        """Return the recorded folders that are ``folder`` or contain it, the nearest first."""
        inner = Path(folder)
        found = {each.root for each in self._all() if inner.is_relative_to(each.root)}
        return sorted(found, key=len, reverse=True)

    def of_kernel(self, target: str, kernel_id: str) -> LastSync | None:
        """Return the record of the folder in which a kernel was started."""
        return next(
            (each for each in self._all() if each.target == target and kernel_id in each.kernels), None
        )

    def _all(self) -> list[LastSync]:
        found = (self._read(path) for path in sorted(self._folder.glob("*.json")))
        return [each for each in found if each is not None]

    @staticmethod
    def _read(path: Path) -> LastSync | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=LastSync)
        except (OSError, msgspec.MsgspecError):
            return None
