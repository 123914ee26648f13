"""Read Protocol Buffers messages field by field, only as far as needed.

The protobuf library is not used. The engine also runs on hosts without it, and it makes objects of a whole
message, many times its size, where a reader needs a few fields
(https://protobuf.dev/programming-guides/encoding/).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

Value = int | float | memoryview
_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")
_LONGEST = 63


class Damaged(ValueError):
    """An invalid message."""


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """Yield the number and the value of each field: integers as they are, eight bytes as a double, four as a
    float, all others as bytes. Raises Damaged for an invalid message."""
    at, end = 0, len(message)
    while at < end:
        # Most numbers take one byte.
        key, at = (message[at], at + 1) if message[at] < 0x80 else _varint(message, at, end)
        number, wire = key >> 3, key & 7
        if not number:
            raise Damaged("a field has no number")
        if wire == 2:
            length, at = _varint(message, at, end)
            if length > end - at:
                raise Damaged("a field is longer than its message")
            yield number, message[at : at + length]
            at += length
        elif wire == 0:
            value, at = _varint(message, at, end)
            yield number, value
        elif wire == 1 and at + 8 <= end:
            yield number, _DOUBLE.unpack_from(message, at)[0]
            at += 8
        elif wire == 5 and at + 4 <= end:
            yield number, _FLOAT.unpack_from(message, at)[0]
            at += 4
        else:
            raise Damaged("a field has an unknown form")


def parts(message: memoryview, number: int) -> Iterator[memoryview]:
    """Yield the messages in the field ``number``."""
    for found, value in fields(message):
        if found == number and isinstance(value, memoryview):
            yield value


def picked(message: memoryview, *numbers: int) -> dict[int, Value]:
    """Return the last value of each of these fields; a message may have millions of others."""
    return {number: value for number, value in fields(message) if number in numbers}


def natural(value: Value) -> int:
    """Return an integer; 0 for another value."""
    return value if isinstance(value, int) else 0


def text(value: Value, most: int = 1 << 16) -> str:
    """Return a text of at most so many bytes; empty for another value."""
    return bytes(value[:most]).decode("utf-8", "replace") if isinstance(value, memoryview) else ""


def _varint(message: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > _LONGEST:
            raise Damaged("a number has no end")
    raise Damaged("it ends in the middle of a field")
