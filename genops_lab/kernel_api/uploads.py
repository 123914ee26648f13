"""Accept files that kernels on other hosts upload: offered with their size, sent, then named by a ticket.

A ticket is this Lab's own random name, so that no path of a host's choosing is ever opened here. All methods
except :meth:`IncomingFiles.offer_file` block.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from genops_lab.core.errors import InvalidRequest, NotAllowed, NotFound, Unavailable
from genops_lab.core.paths import private_dir
from genops_lab.core.principals import Principal, asking_kernel

Kind = Literal["artifact", "trace", "predictions", "rows"]

MAX_BYTES: dict[Kind, int] = {
    "artifact": 16 * 1024**3,
    "trace": 256 * 1024**2,
    "predictions": 256 * 1024**2,
    "rows": 64 * 1024**2,
}
#: Bytes of the Lab's disk that a host may not fill.
KEPT_FREE_BYTES = 1024**3
MAX_TICKETS = 32
_FORGOTTEN_AFTER_S = 3600.0
_ABANDONED_AFTER_S = 24 * 3600.0


class OfferedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a kernel uploads: an artifact of its run, the trace of a profile, predictions, or rows.

    ``size`` in bytes."""

    kind: Kind
    size: int


class FileTicket(msgspec.Struct, frozen=True, kw_only=True):
    """The name of the file: PUT its bytes under it, then send it as ``source``, ``trace_path``, ``path`` or
    ``rows``."""

    ticket: str


@dataclass
class _Incoming:
    kernel: Principal
    kind: Kind
    size: int
    path: Path
    whole: bool = False
    touched: float = field(default_factory=time.monotonic)


class IncomingFiles:
    """The tickets of this process, in a folder of its own below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._parent = folder
        self._own: Path | None = None
        self._tickets: dict[str, _Incoming] = {}
        self._lock = threading.Lock()

    async def offer_file(self, body: OfferedFile) -> FileTicket:
        """Announce a file; its bytes follow under the ticket."""
        return FileTicket(ticket=await asyncio.to_thread(self.offer, asking_kernel(), body.kind, body.size))

    def offer(self, kernel: Principal, kind: Kind, size: int) -> str:
        """Return a ticket for a file of ``size`` bytes.

        Raises InvalidRequest (too large), NotAllowed (too many tickets) or Unavailable (the disk is full).
        """
        if not 0 <= size <= MAX_BYTES[kind]:
            raise InvalidRequest(
                f"The file has {size:,} bytes; a file of the kind {kind} may have {MAX_BYTES[kind]:,}.",
                hint="Record less, or keep the file where it is and log its path.",
            )
        with self._lock:
            self._forget_old()
            mine = [one for one in self._tickets.values() if one.kernel == kernel]
            if len(mine) >= MAX_TICKETS:
                raise NotAllowed(
                    f"The kernel {kernel.name} uploads {len(mine)} files at once.",
                    hint="Wait until some of the uploads have ended.",
                )
            folder = self._folder()
            expected = sum(one.size for one in self._tickets.values() if not one.whole)
            if shutil.disk_usage(folder).free - expected - size < KEPT_FREE_BYTES:
                raise Unavailable(
                    f"The Lab's disk has no space for a file of {size:,} bytes.",
                    hint=f"Free some space below {self._parent} on the Lab's machine.",
                )
            ticket = secrets.token_hex(16)
            self._tickets[ticket] = _Incoming(kernel, kind, size, folder / ticket)
        return ticket

    def expected(self, kernel: Principal, ticket: str) -> int:
        """Return the bytes that a ticket still needs. Raises NotFound."""
        return self._known(kernel, ticket).size

    def create(self, kernel: Principal, ticket: str) -> int:
        """Return a descriptor of a ticket's empty file; the caller writes and closes it."""
        incoming = self._known(kernel, ticket)
        incoming.whole = False
        return os.open(incoming.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def arrived(self, kernel: Principal, ticket: str) -> None:
        """Accept a file that was written. Raises InvalidRequest when its size is not the offered one."""
        incoming = self._known(kernel, ticket)
        found = incoming.path.stat().st_size
        if found != incoming.size:
            self.discard(kernel, ticket)
            raise InvalidRequest(
                f"{found:,} bytes arrived; {incoming.size:,} were offered.", hint="Offer the file again."
            )
        incoming.whole = True

    def take(self, kernel: Principal, ticket: str, kind: Kind) -> Path:
        """Return the complete file of a ticket. Raises NotFound."""
        incoming = self._known(kernel, ticket)
        if not incoming.whole or incoming.kind != kind:
            raise NotFound(f"No file {ticket[:40]!r} has arrived as {kind}.", hint="Upload it first.")
        return incoming.path

    def discard(self, kernel: Principal, ticket: str) -> None:
        """Delete a file that is no longer needed."""
        with self._lock:
            incoming = self._tickets.get(ticket)
            if incoming is not None and incoming.kernel == kernel:
                del self._tickets[ticket]
                incoming.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Delete all files."""
        with self._lock:
            self._tickets.clear()
            if self._own is not None:
                shutil.rmtree(self._own, ignore_errors=True)
                self._own = None

    def _known(self, kernel: Principal, ticket: str) -> _Incoming:
        with self._lock:
            incoming = self._tickets.get(ticket)
        if incoming is None or incoming.kernel != kernel:
            raise NotFound(f"There is no ticket {ticket[:40]!r}.", hint="Offer the file again.")
        incoming.touched = time.monotonic()
        return incoming

    def _folder(self) -> Path:
        if self._own is None or not self._own.is_dir():
            parent = private_dir(self._parent)
            for left in parent.iterdir():  # left by killed Labs
                with contextlib.suppress(OSError):
                    if time.time() - left.stat().st_mtime > _ABANDONED_AFTER_S:
                        shutil.rmtree(left, ignore_errors=True)
            self._own = Path(tempfile.mkdtemp(dir=parent))
        return self._own

    def _forget_old(self) -> None:
        now = time.monotonic()
        for ticket, incoming in list(self._tickets.items()):
            if now - incoming.touched > _FORGOTTEN_AFTER_S:
                del self._tickets[ticket]
                incoming.path.unlink(missing_ok=True)
