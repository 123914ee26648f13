"""Encode and decode the records between a Lab and the keeper of a kernel or command; a journal's files
consist of them too.

A record is ``kind u8, seq u64, length u32`` and its payload. MESSAGE and RECORD carry one ZMQ message, or a
piece of a command's output: ``channel u8, timestamp f64, frame count u16``, then each frame as ``length u32``
and bytes.
"""

from __future__ import annotations

import io
import json
import struct
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

from .frames import ProtocolError, document

HEADER = struct.Struct("!BQI")
_MESSAGE = struct.Struct("!BdH")
_LENGTH = struct.Struct("!I")

HELLO, MESSAGE, ACK = 1, 2, 3
WELCOME, RECORD, SEEN, GONE, TAKEN, BUSY = 4, 5, 6, 7, 8, 9
#: Only between ``attach`` and a keeper of the same host: one JSON question, one JSON answer.
CALL, ANSWER = 32, 33

SHELL, CONTROL, STDIN, IOPUB, NOTE, REQUEST = 0, 1, 2, 3, 4, 5
#: A command's output: one frame of bytes.
STDOUT, STDERR = 6, 7
CHANNELS = ("shell", "control", "stdin", "iopub", "note", "request", "stdout", "stderr")

#: Bytes. A larger message is not relayed; a note reports it.
MAX_RECORD_BYTES = 256 * 1024 * 1024
MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_FRAMES = 4096
_LIMITS = {
    HELLO: 65536,
    MESSAGE: MAX_RECORD_BYTES,
    ACK: 0,
    WELCOME: MAX_JSON_BYTES,
    RECORD: MAX_RECORD_BYTES,
    SEEN: 0,
    GONE: 65536,
    TAKEN: 65536,
    BUSY: 65536,
    CALL: MAX_JSON_BYTES,
    ANSWER: MAX_JSON_BYTES,
}

#: Bytes. A larger message is taken apart while it arrives, so that no turn of a loop copies all of it.
LARGE_BYTES = 1024 * 1024

#: Channel, timestamp (seconds since 1970), frames.
Message = Tuple[int, float, List[bytes]]


def record(kind: int, seq: int = 0, payload: bytes = b"") -> bytes:
    """Return one record as bytes."""
    return HEADER.pack(kind, seq, len(payload)) + payload


def json_record(kind: int, body: Dict[str, Any], seq: int = 0) -> bytes:
    """Return a record whose payload is JSON."""
    return record(kind, seq, json.dumps(body).encode())


def packed_size(frames: Sequence[Any]) -> int:
    """Return the bytes of the payload that :func:`pack` makes of ``frames``."""
    return _MESSAGE.size + sum(_LENGTH.size + len(frame) for frame in frames)


def pack_parts(channel: int, timestamp: float, frames: Sequence[Any]) -> List[Any]:
    """Return the payload in pieces, for a gathering write: large frames are not copied."""
    parts: List[Any] = [_MESSAGE.pack(channel, timestamp, len(frames))]
    for frame in frames:
        parts.append(_LENGTH.pack(len(frame)))
        parts.append(frame)
    return parts


def pack(channel: int, timestamp: float, frames: Sequence[Any]) -> bytes:
    """Return the payload of a MESSAGE or RECORD. ``timestamp`` in seconds since 1970."""
    return b"".join(pack_parts(channel, timestamp, frames))


class LargeMessage:
    """The payload of a MESSAGE or RECORD, ``size`` bytes, given piece by piece."""

    def __init__(self, size: int) -> None:
        self.missing = size
        self._head = bytearray()
        self._wanted = _MESSAGE.size
        self._channel, self._timestamp, self._count = -1, 0.0, 0
        self._frames: List[bytes] = []
        self._frame: Optional[io.BytesIO] = None

    def feed(self, data: memoryview) -> None:
        """Take its next bytes, at most the missing ones. Raises :class:`ProtocolError` for an invalid
        message."""
        self.missing -= len(data)
        while data:
            piece, data = data[: self._wanted], data[self._wanted :]
            self._wanted -= len(piece)
            if self._frame is None:
                self._head += piece
            else:
                self._frame.write(piece)
            if not self._wanted:
                self._field_ends(self.missing + len(data))

    def _field_ends(self, left: int) -> None:
        if self._frame is not None:
            self._frames.append(self._frame.getvalue())  # not a copy
            self._frame = None
        elif self._channel < 0:
            self._channel, self._timestamp, self._count = _message_head(self._head)
        else:
            (self._wanted,) = _LENGTH.unpack(self._head)
            self._frame = io.BytesIO()
        self._head.clear()
        if self._wanted > left:
            raise ProtocolError("A message ends within a frame.")
        if self._frame is not None and not self._wanted:
            self._field_ends(left)
        elif self._frame is None:
            self._wanted = _LENGTH.size
            if len(self._frames) == self._count and left:
                raise ProtocolError("A message is longer than its frames.")

    def message(self) -> Message:
        """Return the complete message. Raises :class:`ProtocolError` when it is incomplete."""
        if self._channel < 0 or self._frame is not None or len(self._frames) != self._count:
            raise ProtocolError("A message ends within a frame.")
        return self._channel, self._timestamp, self._frames


Payload = Union[bytes, LargeMessage]
#: Kind, sequence number, payload.
Record = Tuple[int, int, Payload]


def _message_head(payload: Any) -> Tuple[int, float, int]:
    channel, timestamp, count = _MESSAGE.unpack_from(payload)
    if channel >= len(CHANNELS) or count > MAX_FRAMES:
        raise ProtocolError(f"A message names channel {channel} and {count} frames.")
    return channel, timestamp, count


def unpack(payload: Payload) -> Message:
    """Return channel, timestamp and frames. Raises :class:`ProtocolError` for an invalid payload."""
    if isinstance(payload, LargeMessage):
        return payload.message()
    size = len(payload)
    if size < _MESSAGE.size:
        raise ProtocolError("A message is too short.")
    channel, timestamp, count = _message_head(payload)
    frames = []
    offset = _MESSAGE.size
    for _ in range(count):
        if size < offset + _LENGTH.size:
            raise ProtocolError("A message ends within a frame.")
        (length,) = _LENGTH.unpack_from(payload, offset)
        offset += _LENGTH.size
        if size < offset + length:
            raise ProtocolError("A message ends within a frame.")
        frames.append(bytes(payload[offset : offset + length]))
        offset += length
    if offset != size:
        raise ProtocolError("A message is longer than its frames.")
    return channel, timestamp, frames


def body(payload: Payload) -> Dict[str, Any]:
    """Return the JSON object of a record of another kind. Raises :class:`ProtocolError` for an invalid one."""
    if isinstance(payload, LargeMessage):
        raise ProtocolError("A message came in place of JSON.")
    return document(payload)


class RecordReader:
    """Takes bytes in any portions, returns whole records. ``allowed``: the kinds that may come."""

    def __init__(self, allowed: Sequence[int] = tuple(_LIMITS)) -> None:
        self._limits = {kind: _LIMITS[kind] for kind in allowed}
        self._rest = b""
        self._begun: Tuple[int, int] = (0, 0)
        self._pieces: List[bytes] = []
        self._missing = 0
        self._large: Optional[LargeMessage] = None

    @property
    def empty(self) -> bool:
        """Whether the bytes so far ended with a record."""
        return not self._rest and not self._missing and self._large is None

    def feed(self, data: bytes) -> List[Record]:
        """Return the records that are complete now. Raises :class:`ProtocolError` on an impossible header."""
        found: List[Record] = []
        if self._large is not None:
            data = self._feed_large(self._large, data, found)
        elif self._missing:
            self._pieces.append(data[: self._missing])
            taken = len(self._pieces[-1])
            self._missing -= taken
            if self._missing:
                return found
            found.append((*self._begun, b"".join(self._pieces)))
            self._pieces.clear()
            data = data[taken:]
        elif self._rest:
            data = self._rest + data
        self._rest = b""
        offset, size = 0, len(data)
        while size - offset >= HEADER.size:
            kind, seq, length = HEADER.unpack_from(data, offset)
            if length > self._limits.get(kind, -1):
                raise ProtocolError(f"A record of kind {kind} with {length} bytes is not allowed here.")
            offset += HEADER.size
            if size - offset < length:
                self._begin(kind, seq, length, data, offset)
                return found
            found.append((kind, seq, data[offset : offset + length]))
            offset += length
        self._rest = data[offset:]
        return found

    def _begin(self, kind: int, seq: int, length: int, data: bytes, offset: int) -> None:
        """Take the first part of an incomplete record."""
        self._begun = kind, seq
        if length > LARGE_BYTES and kind in (MESSAGE, RECORD):
            self._large = LargeMessage(length)
            self._large.feed(memoryview(data)[offset:])
        else:
            self._pieces.append(data[offset:])
            self._missing = length - (len(data) - offset)

    def _feed_large(self, large: LargeMessage, data: bytes, found: List[Record]) -> bytes:
        """Feed the large record; return the bytes after it."""
        taken = min(large.missing, len(data))
        large.feed(memoryview(data)[:taken])
        if not large.missing:
            self._large = None
            found.append((*self._begun, large))
        return data[taken:]
