"""Walk over protobuf messages without their schema, skipping what is not asked for.

The protobuf runtime and the ``onnx`` package read a whole file into memory, weights included; this reads headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .source import Cursor, Damaged, Source

_MAX_VARINT_BYTES = 10
_VARINT, _I64, _LENGTH, _I32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Entry:
    """A field of a message: its number, and either a number or a range of bytes."""

    number: int
    value: int
    start: int
    length: int
    is_range: bool


def entries(source: Source, start: int = 0, end: int | None = None) -> Iterator[Entry]:
    """Yield the fields of the message in a range. Raises Damaged and TooLarge."""
    cursor = Cursor(source, start, source.size if end is None else end)
    while cursor.offset < cursor.end:
        source.budget.step()
        tag = _varint(cursor)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise Damaged("It has a field with the number 0.")
        if kind == _VARINT:
            yield Entry(number, _varint(cursor), 0, 0, False)
        elif kind == _LENGTH:
            length = _varint(cursor)
            at = cursor.offset
            cursor.skip(length)
            yield Entry(number, 0, at, length, True)
        elif kind in (_I64, _I32):
            yield Entry(number, cursor.number(8 if kind == _I64 else 4), 0, 0, False)
        else:
            raise Damaged("It has a field of an unknown kind.")


def text(source: Source, entry: Entry, limit: int) -> str:
    """Return a field that is text. Raises Damaged if it is none, or over ``limit`` bytes."""
    if not entry.is_range or entry.length > limit:
        raise Damaged("A name in it is no text of a usual length.")
    return source.read(entry.start, entry.length).decode("utf-8", "replace")


def numbers(source: Source, entry: Entry, limit: int) -> list[int]:
    """Return one number, or the packed numbers of a field. Raises Damaged."""
    if not entry.is_range:
        return [entry.value]
    if entry.length > limit * _MAX_VARINT_BYTES:
        raise Damaged("It has a shape of too many dimensions.")
    cursor = Cursor(source, entry.start, entry.start + entry.length)
    found = []
    while cursor.offset < cursor.end:
        found.append(_varint(cursor))
    return found


def _varint(cursor: Cursor) -> int:
    whole = 0
    for at in range(_MAX_VARINT_BYTES):
        byte = cursor.take(1)[0]
        whole |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            return whole & ((1 << 64) - 1)
    raise Damaged("It has a number that does not end.")
