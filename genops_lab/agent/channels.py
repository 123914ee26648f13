"""Carry one stream of bytes each way, with credit: a channel of a :class:`~genops_lab.agent.mux.Mux`."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Deque, Dict, List, Optional, Tuple

from .frames import DATA, EOF, MAX_PAYLOAD_BYTES, ProtocolError

if TYPE_CHECKING:
    from .mux import Mux

#: Bytes that may be sent before the other side has taken any.
WINDOW_BYTES = 1024 * 1024
_GRANT_BYTES = WINDOW_BYTES // 4
_MAX_CREDIT_BYTES = 1 << 40
#: ``drain`` waits while more bytes than this wait to be sent.
_HIGH_WATER_BYTES = 256 * 1024
_SMALL_BYTES = 4096


class ChannelReset(Exception):
    """A channel ended early. ``code`` is for programs, ``message`` and ``hint`` are for users."""

    def __init__(self, code: str, message: str = "", hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip() or code)
        self.code = code
        self.message = message
        self.hint = hint


class Channel:
    """Made by :meth:`Mux.open` and passed to ``accept``; ``read`` and ``drain`` allow one caller at a time
    each."""

    def __init__(self, mux: "Mux", number: int, service: str, params: Dict[str, Any], urgent: bool) -> None:
        self._mux = mux
        self.id = number
        self.service = service
        self.params = params
        self.urgent = urgent
        #: data sent here waits for every other channel
        self.bulk = False
        self._in: Deque[bytes] = deque()
        self._in_eof = False
        self._allowed = WINDOW_BYTES
        self._ungranted = 0
        self._out: Deque[memoryview] = deque()
        self._out_bytes = 0
        self._out_eof = False
        self._eof_sent = False
        self._credit = WINDOW_BYTES
        self._queued = False
        self._reset: Optional[ChannelReset] = None
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    # Reading

    @property
    def readable(self) -> bool:
        """Return whether there is something to read at once."""
        return bool(self._in)

    async def read(self, limit: int = 65536) -> bytes:
        """Return up to ``limit`` bytes, as soon as there are any; ``b""`` at the end.

        Raises :class:`ChannelReset` once the bytes before the reset are read.
        """
        while not self._in:
            if self._reset is not None:
                raise self._reset
            if self._in_eof:
                return b""
            self._readable.clear()
            await self._readable.wait()
        pieces: List[bytes] = []
        size = 0
        while self._in and size < limit:
            piece = self._in.popleft()
            if len(piece) > limit - size:
                self._in.appendleft(piece[limit - size :])
                piece = piece[: limit - size]
            pieces.append(piece)
            size += len(piece)
        self._taken(size)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read_exactly(self, n: int) -> bytes:
        """Return ``n`` bytes. Raises :class:`asyncio.IncompleteReadError` when the channel ends before."""
        pieces: List[bytes] = []
        missing = n
        while missing:
            piece = await self.read(min(missing, WINDOW_BYTES))
            if not piece:
                raise asyncio.IncompleteReadError(b"".join(pieces), n)
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces)

    def _taken(self, size: int) -> None:
        self._ungranted += size
        if self._ungranted >= _GRANT_BYTES and not self._in_eof and self._reset is None:
            self._allowed += self._ungranted
            self._mux.channel_credit(self, self._ungranted)
            self._ungranted = 0

    # Writing

    def write(self, data: Any) -> None:
        """Send bytes when there is credit. Raises :class:`ChannelReset` after a reset."""
        if self._reset is not None:
            raise self._reset
        if self._out_eof:
            raise ValueError("The end of the channel was already written.")
        if len(data):
            self._out.append(memoryview(data if isinstance(data, bytes) else bytes(data)))
            self._out_bytes += len(data)
            if self._out_bytes > _HIGH_WATER_BYTES:
                self._writable.clear()
            self._queue()

    async def drain(self) -> None:
        """Wait until little is left to send. Raises :class:`ChannelReset` after a reset."""
        await self._writable.wait()
        if self._reset is not None:
            raise self._reset

    @property
    def crowded(self) -> bool:
        """Whether :meth:`drain` would wait."""
        return not self._writable.is_set()

    def write_eof(self) -> None:
        """End this direction; the other one stays open."""
        if not self._out_eof and self._reset is None:
            self._out_eof = True
            self._queue()

    def reset(self, code: str, message: str, hint: str = "") -> None:
        """End both directions now; unsent bytes are dropped. Does nothing on an ended channel."""
        if self._reset is None:
            self._in.clear()
            self._mux.channel_reset(self, {"code": code, "message": message, "hint": hint})
            self.ended(ChannelReset(code, message, hint))

    def _queue(self) -> None:
        sendable = self._credit > 0 if self._out else self._out_eof and not self._eof_sent
        if sendable and not self._queued:
            self._queued = True
            self._mux.channel_ready(self)

    def take(self) -> Optional[Tuple[int, int, List[memoryview], bool]]:
        """For the mux: return the next frame's kind, payload size and payload, and whether another is ready."""
        self._queued = False
        if self._reset is not None:
            return None
        if not self._out:
            if not self._out_eof or self._eof_sent:
                return None
            self._eof_sent = True
            if self._in_eof:
                self._mux.channel_done(self)
            return EOF, 0, [], False
        limit = min(MAX_PAYLOAD_BYTES, self._credit)
        if limit <= 0:
            return None
        pieces: List[memoryview] = []
        size = 0
        while self._out and size < limit:
            piece = self._out.popleft()
            if len(piece) > limit - size:
                self._out.appendleft(piece[limit - size :])
                piece = piece[: limit - size]
            pieces.append(piece)
            size += len(piece)
        self._out_bytes -= size
        self._credit -= size
        if self._out_bytes <= _HIGH_WATER_BYTES:
            self._writable.set()
        self._queued = bool(self._credit > 0 if self._out else self._out_eof)
        return DATA, size, pieces, self._queued

    # Called by the mux

    def received(self, payload: bytes) -> None:
        """Take received bytes. Raises :class:`ProtocolError` when there was no credit for them."""
        if self._in_eof or len(payload) > self._allowed:
            raise ProtocolError(f"Channel {self.id} received more bytes than its credit.")
        self._allowed -= len(payload)
        if payload:
            if self._in and len(self._in[-1]) + len(payload) <= _SMALL_BYTES:
                self._in[-1] += payload  # many tiny pieces would take far more memory than their bytes
            else:
                self._in.append(payload)
            self._readable.set()

    def received_eof(self) -> None:
        """Note that the other side has written all."""
        if self._in_eof:
            raise ProtocolError(f"Channel {self.id} ended twice.")
        self._in_eof = True
        self._readable.set()
        if self._eof_sent:
            self._mux.channel_done(self)

    def received_credit(self, size: int) -> None:
        """Add credit: the other side can take more."""
        self._credit += size
        if self._credit > _MAX_CREDIT_BYTES:
            raise ProtocolError(f"Channel {self.id} got too much credit.")
        self._queue()

    def ended(self, reason: ChannelReset) -> None:
        """Handle a reset from the other side, or the end of the stream: received bytes can still be read,
        nothing more is sent."""
        if self._reset is not None:
            return
        self._reset = reason
        self._out.clear()
        self._out_bytes = 0
        self._readable.set()
        self._writable.set()
