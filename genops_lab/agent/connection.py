"""Serve one client of a keeper: its data becomes records, and it gets the journal."""

from __future__ import annotations

import socket
import struct
from typing import Any, Dict, List, Optional

from . import records
from .frames import ProtocolError
from .journal import Journal
from .reader import JournalReader

_PORTION_BYTES = 262144
#: Portions that one client gets before others have their turn.
_PORTIONS = 16
_BUFFER_BYTES = 1024 * 1024
#: One for all: making one costs more than most messages.
_incoming = memoryview(bytearray(_PORTION_BYTES))


def peer_is_own(sock: socket.socket, uid: int) -> bool:
    """Return whether the other end of a unix socket belongs to this user; the folder's mode ensures it too."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return True
    found = sock.getsockopt(socket.SOL_SOCKET, option, struct.calcsize("3i"))
    return bool(struct.unpack("3i", found)[1] == uid)


class Connection:
    """One accepted socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
        self.sock = sock
        self.number = sock.fileno()
        self.client = ""
        self.label = ""
        self.since = 0.0
        #: The connection ends once all due data was sent.
        self.closing = False
        self._records = records.RecordReader((records.HELLO, records.MESSAGE, records.ACK, records.CALL))
        self._out = memoryview(b"")
        self._first: List[bytes] = []
        self._journal: Optional[JournalReader] = None

    @property
    def attached(self) -> bool:
        """Whether this is the kernel's client."""
        return self._journal is not None

    @property
    def delivered(self) -> bool:
        """Whether the client has the whole journal."""
        return self._journal is not None and not self._journal.behind and not self._out

    def receive(self) -> Optional[List[records.Record]]:
        """Return the received records; None when the client has left. Raises :class:`ProtocolError`."""
        try:
            size = self.sock.recv_into(_incoming)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not size:
            return None
        return self._records.feed(bytes(_incoming[:size]))

    def send(self, data: bytes) -> None:
        """Send data before more of the journal."""
        self._first.append(data)

    def follow(self, journal: Journal, after: int) -> None:
        """Send the journal after the record ``after``, for as long as it grows."""
        self._journal = journal.reader(after)

    def leave_journal(self) -> None:
        """Stop sending the journal; a started record is finished."""
        if self._journal is not None:
            rest = []
            while not self._journal.at_boundary:
                rest.append(self._journal.read(_PORTION_BYTES))
            self._first[:0] = rest
            self._journal.close()
            self._journal = None

    def pump(self) -> Optional[bool]:
        """Send what the socket takes. True: wait until it takes more; None: the client has left."""
        try:
            for _ in range(_PORTIONS):
                if (
                    not self._out
                    and self._journal is not None
                    and self._journal.pass_on(self.sock, _PORTION_BYTES)
                ):
                    continue
                if not self._out and not self._next():
                    return None if self.closing else False
                self._out = self._out[self.sock.send(self._out) :]
        except BlockingIOError:
            return True
        except OSError:
            return None
        return True

    def _next(self) -> bool:
        if self._first and (self._journal is None or self._journal.at_boundary):
            self._out = memoryview(b"".join(self._first))
            self._first.clear()
        elif self._journal is not None:
            self._out = memoryview(self._journal.read(_PORTION_BYTES))
        return bool(self._out)

    def answer(self, result: Any) -> None:
        """Answer a CALL; then the connection ends."""
        self.send(records.json_record(records.ANSWER, {"result": result}))
        self.closing = True

    def refuse(self, code: str, message: str, hint: str = "") -> None:
        """Refuse a CALL; then the connection ends."""
        error: Dict[str, str] = {"code": code, "message": message, "hint": hint}
        self.send(records.json_record(records.ANSWER, {"error": error}))
        self.closing = True

    def close(self) -> None:
        """Close the socket."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        self.sock.close()


__all__ = ["Connection", "ProtocolError", "peer_is_own"]
