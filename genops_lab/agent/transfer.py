"""What travels on a ``folder`` channel, both ways: JSON documents, and the bytes of files between them.

A document says what follows; nothing waits for an answer before the next, so that many small files cost one round
trip together.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, Iterator, Tuple, Union

DOCUMENT, DATA = 1, 2
HEADER = struct.Struct("!BI")
MAX_PARCEL_BYTES = 256 * 1024

Parcel = Tuple[int, bytes]


class BadTransfer(ValueError):
    """The other side sent what this protocol does not allow."""


def document(body: Dict[str, Any]) -> bytes:
    """A document as bytes. Raises BadParcel for one that is too long."""
    payload = json.dumps(body, separators=(",", ":")).encode()
    if len(payload) > MAX_PARCEL_BYTES:
        raise BadTransfer(f"A document of {len(payload)} bytes is too long.")
    return HEADER.pack(DOCUMENT, len(payload)) + payload


def data(payload: Union[bytes, memoryview]) -> bytes:
    """A piece of a file as bytes."""
    return HEADER.pack(DATA, len(payload)) + bytes(payload)


def read_document(payload: bytes) -> Dict[str, Any]:
    """Raises BadParcel for what is no JSON object."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise BadTransfer("A document cannot be read.")
    return found


class TransferReader:
    """Takes bytes in any portions, gives whole parcels."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, portion: bytes) -> Iterator[Parcel]:
        """The parcels that are complete now. Raises BadParcel on an impossible header."""
        buffer = self._rest + portion if self._rest else portion
        offset, size = 0, len(buffer)
        try:
            while size - offset >= HEADER.size:
                kind, length = HEADER.unpack_from(buffer, offset)
                if kind not in (DOCUMENT, DATA) or length > MAX_PARCEL_BYTES:
                    raise BadTransfer(f"A parcel of kind {kind} with {length} bytes is not allowed.")
                end = offset + HEADER.size + length
                if size < end:
                    break
                start, offset = offset + HEADER.size, end
                yield kind, buffer[start:end]
        finally:
            self._rest = buffer[offset:]
