"""Name this process among the clients of hosts, and find out which of this machine's processes have ended."""

from __future__ import annotations

import contextlib
import getpass
import socket
import time
import uuid
from pathlib import Path

from ..core.locks import FileLock
from ..core.paths import private_dir

_LABELS_KEPT_S = 30 * 86400.0


class LiveLabs:
    """This process's name among the clients of hosts. ``folder`` is GenOps' data directory."""

    def __init__(self, folder: Path) -> None:
        self._folder = private_dir(private_dir(folder / "remote") / "clients")
        self.process = uuid.uuid4().hex
        self._lock = FileLock(self._folder / self.process)
        self._lock.try_acquire()
        self._count = 0
        self.label = _label()
        self._tidy()

    def new(self) -> str:
        """Return a name for a kernel client."""
        self._count += 1
        return f"{self.process}.{self._count}"

    def is_dead(self, client: str) -> bool:
        """Return whether this names a kernel client of a process of this machine that has ended."""
        process = client.partition(".")[0]
        if process == self.process or not process.isalnum() or not (self._folder / process).exists():
            return False
        lock = FileLock(self._folder / process)
        free = lock.try_acquire()
        lock.release()
        return free

    def is_own(self, client: str) -> bool:
        """Return whether this names a kernel client of this process."""
        return client.partition(".")[0] == self.process

    def _tidy(self) -> None:
        old = time.time() - _LABELS_KEPT_S
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < old and self.is_dead(path.name):
                    path.unlink()

    def close(self) -> None:
        """Give up this process's name; its file stays, for hosts that have not noticed."""
        self._lock.release()


def _label() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "user"
    return f"{user}@{socket.gethostname()}"
