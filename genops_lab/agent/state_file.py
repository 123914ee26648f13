"""Record a unit's state in its folder, for readers after its keeper.

The file has its full size from the start and is written in place, so that a full disk cannot prevent the
record of a unit's end.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any, Dict, Mapping, Optional

STATE_BYTES = 16384
STATE, LOCK, CONNECTION, JOURNAL = "state.json", "lock", "connection.json", "journal"
KERNEL_LOG, KEEPER_LOG, SOCKET, IPC = "kernel.log", "keeper.log", "keeper.sock", "k"


def write_state(folder: str, state: Dict[str, Any]) -> None:
    """Write the state. Raises OSError when the file cannot be made; ValueError when ``state`` is too large."""
    data = json.dumps(state).encode()
    if len(data) > STATE_BYTES:
        raise ValueError(f"A state of {len(data)} bytes is too large.")
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(os.path.join(folder, STATE), flags, 0o600)
    try:
        os.pwrite(descriptor, data.ljust(STATE_BYTES), 0)
    finally:
        os.close(descriptor)


def read_state(folder: str) -> Optional[Dict[str, Any]]:
    """Return the state; None without a readable one."""
    try:
        descriptor = os.open(os.path.join(folder, STATE), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            found = json.loads(os.pread(descriptor, STATE_BYTES, 0))
        finally:
            os.close(descriptor)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def kind_of(state: Mapping[str, Any]) -> str:
    """Return ``kernel`` or ``command``; older agents had only kernels and wrote no kind."""
    return str(state.get("kind") or "kernel")


_PRIVATE = (
    "key",
    "seen",
    "noted",
    "signature_scheme",
    "pid_started",
    "boot_id",
    "keeper_pid",
    "keeper_started",
    "order_digest",
    "journal_max_bytes",
)


def public(state: Dict[str, Any]) -> Dict[str, Any]:
    """Return the public part of a state file."""
    return {name: value for name, value in state.items() if name not in _PRIVATE}


class FolderLock:
    """Held by the process that owns a unit's folder (or, by another name, a part of it), for its life."""

    def __init__(self, folder: str, name: str = LOCK) -> None:
        self._path = os.path.join(folder, name)
        self._descriptor = -1

    def take(self) -> bool:
        """Return False when another process has the lock. Raises OSError when the folder cannot be written."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Let go."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
