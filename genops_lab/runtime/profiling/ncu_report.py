r"""Find the new and complete parts of an Nsight Compute report while ncu still appends to it.

A report is ``NVR\0``, a sized header, then blocks. A block is a sized header with the number and bytes of its
sources and results, then these, each with its size. Names of metrics are numbers into the strings of all
earlier blocks. So a cell's own report keeps every header and every source, and leaves out the results of
others. Only this framing is read here, without a library, because kernels run in any environment.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import BinaryIO, Iterator, List, NamedTuple, Tuple

from ..errors import GenOpsError

MAGIC = b"NVR\0"
_SIZE = struct.Struct("<I")
#: Fields of a block's header: the following bytes, those of the sources (which come first), and the number of
#: each kind of result.
_SOURCES, _PAYLOAD = 1, 5
_RESULTS = (2, 7, 8, 9)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: Larger than any block header.
_MOST = 256 * 1024 * 1024
_PROFILING = re.compile(r'^==PROF== Profiling "', re.MULTILINE)
_FAILED = re.compile(r"^==ERROR== Failed to profile", re.MULTILINE)


class Broken(GenOpsError):
    """ncu's output does not have the known form of a report."""


class Field(NamedTuple):
    """One field of a message: its number, its value if it is a number, and its bytes with the tag."""

    number: int
    value: int
    raw: bytes


class Block(NamedTuple):
    """One block: the place of its payload, and its content."""

    fields: List[Field]
    begin: int
    end: int
    sources: int
    results: int


def blocks(stream: BinaryIO) -> Iterator[Block]:
    """Yield the complete blocks of a report. Raises Broken."""
    size = stream.seek(0, 2)
    stream.seek(0)
    if size and stream.read(4) != MAGIC[: min(size, 4)]:
        raise Broken(
            "Nsight Compute's report has an unknown beginning.",
            "This version of ncu may be newer than "
            "GenOps Lab supports. Choose another "
            "ncu, then restart the kernel.",
        )
    if _sized(stream, size) is None:
        return
    while True:
        header = _sized(stream, size)
        if header is None:
            return
        found = list(_fields(header))
        begin = stream.tell()
        end = begin + _number(found, _PAYLOAD)
        if end > size:
            return
        yield Block(
            found, begin, end, _number(found, _SOURCES), sum(_number(found, each) for each in _RESULTS)
        )
        stream.seek(end)


def state(report: Path) -> Tuple[int, bool]:
    """Return the number of results, and whether the report ends with a complete block. Raises Broken,
    OSError.
    """
    if not report.exists():
        return 0, True
    results, whole_to = 0, 0
    with report.open("rb") as stream:
        for block in blocks(stream):
            results, whole_to = results + block.results, block.end
        size = stream.seek(0, 2)
    return results, not size or whole_to == size


def cut(report: Path, first: int, target: Path) -> int:
    """Write a report with the results from number ``first`` (from 0) on; return their number.

    Raises Broken, OSError.
    """
    kept = before = 0
    with report.open("rb") as stream, target.open("xb") as out:
        stream.seek(4)
        version = _sized(stream, stream.seek(0, 2), 4) or b""
        out.write(MAGIC + _SIZE.pack(len(version)) + version)
        for block in blocks(stream):
            kept += _copy(stream, block, max(0, first - before), out)
            before += block.results
    return kept


def measured_in(log: str) -> int:
    """Return how many kernels ncu's log names that must come into the report."""
    return len(_PROFILING.findall(log)) - len(_FAILED.findall(log))


def _copy(stream: BinaryIO, block: Block, leave_out: int, out: BinaryIO) -> int:
    """Copy a block without its first ``leave_out`` results."""
    stream.seek(block.begin)
    parts = [_message(stream, block.end) for _ in range(block.sources)]
    numbers = {}
    for field in block.fields:
        if field.number in _RESULTS:
            gone = min(field.value, leave_out)
            leave_out -= gone
            for _ in range(gone):
                _message(stream, block.end)
            parts += [_message(stream, block.end) for _ in range(field.value - gone)]
            numbers[field.number] = field.value - gone
    numbers[_PAYLOAD] = sum(map(len, parts))
    header = b"".join(
        _varint(field.number << 3) + _varint(numbers[field.number]) if field.number in numbers else field.raw
        for field in block.fields
    )
    out.write(_SIZE.pack(len(header)) + header)
    out.writelines(parts)
    return sum(count for number, count in numbers.items() if number in _RESULTS)


def _message(stream: BinaryIO, end: int) -> bytes:
    """Return a message of a payload with its size."""
    size = stream.read(_SIZE.size)
    length = _SIZE.unpack(size)[0] if len(size) == _SIZE.size else end
    if stream.tell() + length > end:
        raise Broken("A part of Nsight Compute's report is longer than its block.", "Run the cell again.")
    return size + stream.read(length)


def _sized(stream: BinaryIO, size: int, at: "int | None" = None) -> "bytes | None":
    """Return a message with its size before it; None if it is incomplete."""
    if at is not None:
        stream.seek(at)
    here = stream.tell()
    if here + _SIZE.size > size:
        return None
    length: int = _SIZE.unpack(stream.read(_SIZE.size))[0]
    if length > _MOST:
        raise Broken("Nsight Compute's report has an unknown kind of block.", "Run the cell again.")
    return stream.read(length) if here + _SIZE.size + length <= size else None


def _fields(message: bytes) -> Iterator[Field]:
    at = 0
    while at < len(message):
        begin = at
        tag, at = _read_varint(message, at)
        value, kind = 0, tag & 7
        if kind == _VARINT:
            value, at = _read_varint(message, at)
        elif kind == _BYTES:
            length, at = _read_varint(message, at)
            at += length
        elif kind in (_FIXED64, _FIXED32):
            at += 8 if kind == _FIXED64 else 4
        else:
            raise Broken("Nsight Compute's report has an unknown kind of header.", "Run the cell again.")
        if at > len(message):
            raise Broken("A header of Nsight Compute's report ends too early.", "Run the cell again.")
        yield Field(tag >> 3, value, message[begin:at])


def _number(fields: List[Field], number: int) -> int:
    return next((field.value for field in fields if field.number == number), 0)


def _read_varint(message: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 70:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise Broken("A number in Nsight Compute's report ends too early.", "Run the cell again.")


def _varint(value: int) -> bytes:
    said = bytearray()
    while value > 0x7F:
        said.append(value & 0x7F | 0x80)
        value >>= 7
    said.append(value)
    return bytes(said)
