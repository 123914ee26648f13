"""Encode and decode the frames of a stream between a Lab and a host: a preamble, then header, payload,
header, payload ...

Nothing here reads or writes; :mod:`.mux` does. A frame's payload has at most 64 KiB, so that an urgent frame
never waits long behind a large one.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, List, Optional, Tuple

MAGIC = b"\0GENOPS1 "
#: Bytes that a remote shell may print before the preamble.
MAX_NOISE_BYTES = 65536
MAX_PREAMBLE_BYTES = 65536

HEADER = struct.Struct("!BII")
MAX_PAYLOAD_BYTES = 65536

OPEN, DATA, EOF, RESET, CREDIT, PING, PONG = 1, 2, 3, 4, 5, 6, 7
#: Payload sizes that each kind allows: minimum and maximum.
_SIZES = {
    OPEN: (2, MAX_PAYLOAD_BYTES),
    DATA: (0, MAX_PAYLOAD_BYTES),
    EOF: (0, 0),
    RESET: (2, MAX_PAYLOAD_BYTES),
    CREDIT: (4, 4),
    PING: (8, 8),
    PONG: (8, 8),
}

Frame = Tuple[int, int, bytes]


class ProtocolError(Exception):
    """The other side broke the protocol. The stream cannot continue."""


def frame(kind: int, channel: int, payload: bytes = b"") -> bytes:
    """Return one frame as bytes."""
    return HEADER.pack(kind, channel, len(payload)) + payload


def preamble(hello: Dict[str, Any]) -> bytes:
    """Return the first bytes that a host writes."""
    return MAGIC + json.dumps(hello).encode() + b"\n"


class PreambleReader:
    """Finds the preamble after a remote shell's output."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._found = False
        self.noise = b""

    def feed(self, data: bytes) -> Optional[Tuple[Dict[str, Any], bytes]]:
        """Return the preamble and the bytes after it, once it is complete.

        Raises :class:`ProtocolError`, with the end of the shell's output, when more than 64 KiB come before
        the preamble.
        """
        self._buffer += data
        if not self._found:
            start = self._buffer.find(MAGIC)
            if start > MAX_NOISE_BYTES or (start < 0 and len(self._buffer) > MAX_NOISE_BYTES + len(MAGIC)):
                raise ProtocolError(f"The host's shell printed no agent's greeting, but: {self.tail()}")
            if start < 0:
                return None
            self.noise = bytes(self._buffer[:start])
            del self._buffer[: start + len(MAGIC)]
            self._found = True
        end = self._buffer.find(b"\n")
        if end > MAX_PREAMBLE_BYTES or (end < 0 and len(self._buffer) > MAX_PREAMBLE_BYTES):
            raise ProtocolError("The agent's greeting is too long.")
        if end < 0:
            return None
        try:
            hello = json.loads(bytes(self._buffer[:end]))
        except (ValueError, RecursionError):
            hello = None
        if not isinstance(hello, dict):
            raise ProtocolError("The agent's greeting is invalid.")
        return hello, bytes(self._buffer[end + 1 :])

    def tail(self, size: int = 400) -> str:
        """Return the end of the shell's output."""
        printed = self.noise if self._found else bytes(self._buffer)
        return printed[-size:].decode("utf-8", "replace").strip()


class FrameReader:
    """Takes bytes in any portions, returns whole frames. Keeps at most one incomplete frame between calls."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def empty(self) -> bool:
        """Whether the bytes so far ended with a frame."""
        return not self._rest

    def feed(self, data: bytes) -> List[Frame]:
        """Return the frames that are complete now. Raises :class:`ProtocolError` on an impossible header."""
        if self._rest:
            data = self._rest + data
        found: List[Frame] = []
        offset, size = 0, len(data)
        while size - offset >= HEADER.size:
            kind, channel, length = HEADER.unpack_from(data, offset)
            least, most = _SIZES.get(kind, (1, 0))
            if not least <= length <= most:
                raise ProtocolError(f"A frame of kind {kind} with {length} bytes is not allowed.")
            end = offset + HEADER.size + length
            if size < end:
                break
            found.append((kind, channel, data[offset + HEADER.size : end]))
            offset = end
        self._rest = data[offset:]
        return found


def document(payload: bytes) -> Dict[str, Any]:
    """Return a frame's JSON object. Raises :class:`ProtocolError` for an invalid one."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ProtocolError("A frame's JSON is invalid.")
    return found
