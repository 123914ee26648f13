"""The records between a Lab's bridge and the keeper of a kernel; also what a journal's files consist of.

A record is ``kind u8, seq u64, length u32`` and its payload. MESSAGE and RECORD carry one ZMQ message:
``channel u8, timestamp f64, frame count u16``, then each frame as ``length u32`` and bytes.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, List, Sequence, Tuple

from .frames import ProtocolError

HEADER = struct.Struct("!BQI")
_MESSAGE = struct.Struct("!BdH")
_LENGTH = struct.Struct("!I")

HELLO, MESSAGE, ACK = 1, 2, 3
WELCOME, RECORD, SEEN, GONE, TAKEN, BUSY = 4, 5, 6, 7, 8, 9
#: Between ``attach`` and a keeper of the same host alone: one JSON question, one JSON answer.
CALL, ANSWER = 32, 33

SHELL, CONTROL, STDIN, IOPUB, NOTE, REQUEST = 0, 1, 2, 3, 4, 5
CHANNELS = ("shell", "control", "stdin", "iopub", "note", "request")

#: A message larger than this is not relayed; a note says so.
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

Record = Tuple[int, int, bytes]


def record(kind: int, seq: int = 0, payload: bytes = b"") -> bytes:
    """One record as bytes."""
    return HEADER.pack(kind, seq, len(payload)) + payload


def json_record(kind: int, body: Dict[str, Any], seq: int = 0) -> bytes:
    """A record whose payload is JSON."""
    return record(kind, seq, json.dumps(body).encode())


def packed_size(frames: Sequence[Any]) -> int:
    """Bytes of the payload that :func:`pack` makes of ``frames``."""
    return _MESSAGE.size + sum(_LENGTH.size + len(frame) for frame in frames)


def pack_parts(channel: int, timestamp: float, frames: Sequence[Any]) -> List[Any]:
    """The payload in pieces, for a gathering write: large frames are not copied."""
    parts: List[Any] = [_MESSAGE.pack(channel, timestamp, len(frames))]
    for frame in frames:
        parts.append(_LENGTH.pack(len(frame)))
        parts.append(frame)
    return parts


def pack(channel: int, timestamp: float, frames: Sequence[Any]) -> bytes:
    """The payload of a MESSAGE or RECORD. ``timestamp`` in seconds since 1970."""
    return b"".join(pack_parts(channel, timestamp, frames))


def unpack(payload: bytes) -> Tuple[int, float, List[bytes]]:
    """Channel, timestamp and frames. Raises :class:`ProtocolError` when the payload is not one."""
    size = len(payload)
    if size < _MESSAGE.size:
        raise ProtocolError("A message is too short.")
    channel, timestamp, count = _MESSAGE.unpack_from(payload)
    if channel >= len(CHANNELS) or count > MAX_FRAMES:
        raise ProtocolError(f"A message names channel {channel} and {count} frames.")
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


class RecordReader:
    """Takes bytes in any portions, gives whole records. ``allowed``: the kinds that may come."""

    def __init__(self, allowed: Sequence[int] = tuple(_LIMITS)) -> None:
        self._limits = {kind: _LIMITS[kind] for kind in allowed}
        self._rest = b""
        self._begun: Tuple[int, int] = (0, 0)
        self._pieces: List[bytes] = []
        self._missing = 0

    @property
    def empty(self) -> bool:
        """Whether the bytes so far ended with a record."""
        return not self._rest and not self._missing

    def feed(self, data: bytes) -> List[Record]:
        """The records that are complete now. Raises :class:`ProtocolError` on an impossible header."""
        found: List[Record] = []
        if self._missing:
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
        offset, size = 0, len(data)
        while size - offset >= HEADER.size:
            kind, seq, length = HEADER.unpack_from(data, offset)
            if length > self._limits.get(kind, -1):
                raise ProtocolError(f"A record of kind {kind} with {length} bytes is not allowed here.")
            offset += HEADER.size
            if size - offset < length:
                self._begun = kind, seq
                self._pieces.append(data[offset:])
                self._missing = length - (size - offset)
                offset = size
                break
            found.append((kind, seq, data[offset : offset + length]))
            offset += length
        self._rest = data[offset:]
        return found
