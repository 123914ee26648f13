"""Files that kernels on other hosts hand over: offered with their size, sent, then named by a ticket.

A ticket is this Lab's own random name, so that no path of a host's choosing is ever opened here. All methods
but :meth:`IncomingFiles.offer_file` block.
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

Kind = Literal["artifact", "trace"]

MAX_BYTES: dict[Kind, int] = {"artifact": 16 * 1024**3, "trace": 256 * 1024**2}
#: What a host may not fill of the Lab's disk.
KEPT_FREE_BYTES = 1024**3
MAX_TICKETS = 32
_FORGOTTEN_AFTER_S = 3600.0
_ABANDONED_AFTER_S = 24 * 3600.0


class OfferedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a kernel hands over: an artifact of its run or the trace of a profile. ``size`` in bytes."""

    kind: Kind
    size: int


class FileTicket(msgspec.Struct, frozen=True, kw_only=True):
    """What names the file from now on: PUT its bytes under it, then send it as ``source`` or ``trace_path``."""

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
        """A ticket for a file of ``size`` bytes.

        Raises InvalidRequest (too large), NotAllowed (too many tickets) or Unavailable (no room on the disk).
        """
        if not 0 <= size <= MAX_BYTES[kind]:
            raise InvalidRequest(
                f"A file of {size:,} bytes is not taken: at most {MAX_BYTES[kind]:,} as {kind}.",
                hint="Record less, or keep it where it is and log its path.",
            )
        with self._lock:
            self._forget_old()
            mine = [one for one in self._tickets.values() if one.kernel == kernel]
            if len(mine) >= MAX_TICKETS:
                raise NotAllowed(
                    f"The kernel {kernel.name} hands over {len(mine)} files at once.",
                    hint="Wait until some of them are kept.",
                )
            folder = self._folder()
            expected = sum(one.size for one in self._tickets.values() if not one.whole)
            if shutil.disk_usage(folder).free - expected - size < KEPT_FREE_BYTES:
                raise Unavailable(
                    f"The Lab's disk has no room for a file of {size:,} bytes.",
                    hint=f"Free some space below {self._parent} on the Lab's machine.",
                )
            ticket = secrets.token_hex(16)
            self._tickets[ticket] = _Incoming(kernel, kind, size, folder / ticket)
        return ticket

    def expected(self, kernel: Principal, ticket: str) -> int:
        """The bytes that are to come under a ticket. Raises NotFound."""
        return self._known(kernel, ticket).size

    def create(self, kernel: Principal, ticket: str) -> int:
        """A descriptor of the empty file of a ticket, to be written and closed by the caller."""
        incoming = self._known(kernel, ticket)
        incoming.whole = False
        return os.open(incoming.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def arrived(self, kernel: Principal, ticket: str) -> None:
        """All of it was written. Raises InvalidRequest when it is shorter or longer than it was offered."""
        incoming = self._known(kernel, ticket)
        found = incoming.path.stat().st_size
        if found != incoming.size:
            self.discard(kernel, ticket)
            raise InvalidRequest(
                f"{found:,} bytes came, {incoming.size:,} were offered.", hint="Offer the file again."
            )
        incoming.whole = True

    def take(self, kernel: Principal, ticket: str, kind: Kind) -> Path:
        """The whole file of a ticket. Raises NotFound."""
        incoming = self._known(kernel, ticket)
        if not incoming.whole or incoming.kind != kind:
            raise NotFound(f"The file {ticket[:40]!r} has not arrived as {kind}.", hint="Hand it over first.")
        return incoming.path

    def discard(self, kernel: Principal, ticket: str) -> None:
        """The file is not needed any more."""
        with self._lock:
            incoming = self._tickets.get(ticket)
            if incoming is not None and incoming.kernel == kernel:
                del self._tickets[ticket]
                incoming.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Delete what is left."""
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
            for left in parent.iterdir():  # by Labs that were killed
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
