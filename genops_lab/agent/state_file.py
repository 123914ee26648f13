"""What a unit's folder says of it, for whoever comes after its keeper.

The file has its full size from the start and is written in place, so that a full disk cannot keep the end of a
unit from being told.
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
    """Raises OSError when the file cannot be made; ValueError when ``state`` is too large."""
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
    """None when there is none that can be read."""
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
    """``kernel`` or ``command``; agents of before knew kernels alone and did not say."""
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
    """What a state file tells others."""
    return {name: value for name, value in state.items() if name not in _PRIVATE}


class FolderLock:
    """Held by the process that a unit's folder (or, by another name, a part of it) belongs to, for its life."""

    def __init__(self, folder: str, name: str = LOCK) -> None:
        self._path = os.path.join(folder, name)
        self._descriptor = -1

    def take(self) -> bool:
        """False when another process has it. Raises OSError when the folder cannot be written."""
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
