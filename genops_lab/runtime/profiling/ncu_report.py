"""The report of Nsight Compute while ncu still adds to it, and ncu's log beside it: what is new, and is it whole?

A report is ``NVR\\0``, a sized header, then blocks: a sized header that numbers the block's sources, results and the
bytes of both, then these, each with its size. Names of metrics are numbers into the strings of all blocks before, so a
cell's own report keeps every header and every source, and leaves out the results of others. Nothing but the framing is
read here, with no library: kernels run in any environment.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import BinaryIO, Iterator, List, NamedTuple, Tuple

from ..errors import GenOpsError

MAGIC = b"NVR\0"
_SIZE = struct.Struct("<I")
#: Of a block's header: the bytes that follow it, the sources first among them, and each kind of result behind those.
_SOURCES, _PAYLOAD = 1, 5
_RESULTS = (2, 7, 8, 9)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: More is no header of a block.
_MOST = 256 * 1024 * 1024
_PROFILING = re.compile(r'^==PROF== Profiling "', re.MULTILINE)
_FAILED = re.compile(r"^==ERROR== Failed to profile", re.MULTILINE)


class Broken(GenOpsError):
    """What ncu wrote is no report, as far as we know reports."""


class Field(NamedTuple):
    """One field of a message: its number, its value where it is a number, and its bytes with the tag."""

    number: int
    value: int
    raw: bytes


class Block(NamedTuple):
    """One block: where its payload lies, and what is in it."""

    fields: List[Field]
    begin: int
    end: int
    sources: int
    results: int


def blocks(stream: BinaryIO) -> Iterator[Block]:
    """The whole blocks of a report; one that is being written ends them. Raises Broken."""
    size = stream.seek(0, 2)
    stream.seek(0)
    if size and stream.read(4) != MAGIC[: min(size, 4)]:
        raise Broken(
            "Nsight Compute's report begins with something else.", "Is this version of ncu newer than ours?"
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
    """How many results a report has, and whether it ends with a whole block. Raises Broken, OSError."""
    if not report.exists():
        return 0, True
    results, whole_to = 0, 0
    with report.open("rb") as stream:
        for block in blocks(stream):
            results, whole_to = results + block.results, block.end
        size = stream.seek(0, 2)
    return results, not size or whole_to == size


def cut(report: Path, first: int, target: Path) -> int:
    """Write a report with the results from number ``first`` (from 0) on; how many those are. Raises Broken, OSError."""
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
    """How many kernels ncu's log tells of that must come into the report."""
    return len(_PROFILING.findall(log)) - len(_FAILED.findall(log))


def _copy(stream: BinaryIO, block: Block, leave_out: int, out: BinaryIO) -> int:
    """A block without its first so many results."""
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
    """A message of a payload with its size."""
    size = stream.read(_SIZE.size)
    length = _SIZE.unpack(size)[0] if len(size) == _SIZE.size else end
    if stream.tell() + length > end:
        raise Broken("A part of Nsight Compute's report is longer than its block.", "Run the cell again.")
    return size + stream.read(length)


def _sized(stream: BinaryIO, size: int, at: "int | None" = None) -> "bytes | None":
    """A message with its size before it; None where it is not there as a whole."""
    if at is not None:
        stream.seek(at)
    here = stream.tell()
    if here + _SIZE.size > size:
        return None
    length: int = _SIZE.unpack(stream.read(_SIZE.size))[0]
    if length > _MOST:
        raise Broken(
            "Nsight Compute's report has a block of a kind that is not known.", "Run the cell again."
        )
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
            raise Broken(
                "Nsight Compute's report has a header of a kind that is not known.", "Run the cell again."
            )
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
