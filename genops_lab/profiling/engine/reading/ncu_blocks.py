"""The blocks of a report of Nsight Compute: what it says of the session, the names, and where its results are.

After the magic and the file's header a file is a row of blocks, each a header and a payload of messages, all with their
lengths before them. Nsight Compute appends blocks while the program runs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

from genops_lab.core.errors import InvalidRequest

from .kinds_of_files import NCU_REPORT
from .wire import Damaged, fields, natural, parts, picked, text

#: More is no header (names are some 50 KB), and no single result: it is left out.
MOST_HEADER, MOST_MESSAGE = 16 << 20, 128 << 20
#: So many are read of a file.
MOST_BLOCKS, MOST_NAMES, MOST_DEVICES, MOST_ATTRIBUTES = 1 << 18, 1 << 17, 256, 1 << 12
_LENGTH = struct.Struct("<I")
#: What a payload holds, in the order in which it lies there, by the fields of the header that count it.
SOURCE: Literal["source"] = "source"
Kind = Literal["kernel", "range", "graph", "cmdlist"]
_KINDS: tuple[Kind | Literal["source"], ...] = (SOURCE, "kernel", "range", "cmdlist", "graph")
_COUNTS = {1: 0, 2: 1, 7: 2, 8: 3, 9: 4}
_SESSION, _NAMES, _PAYLOAD, _PROCESS = 3, 4, 5, 6


class Block(NamedTuple):
    """``counts``: how many messages of each kind the bytes from ``begin`` to ``end`` hold."""

    at: int
    begin: int
    end: int
    process: int
    counts: tuple[int, ...]


class Device(NamedTuple):
    """As the session tells it."""

    number: int
    name: str
    attributes: dict[str, float | str]


class Outline:
    """What all headers of a file say. ``damage`` tells where they end too early."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """``name``: of the file. Raises InvalidRequest when it is no report of Nsight Compute; OSError."""
        self.names: list[str] = []
        self.blocks: list[Block] = []
        self.devices: dict[int, Device] = {}
        self.command = ""
        self.clock_control = ""
        self.damage: list[str] = []
        size = stream.seek(0, 2)
        stream.seek(0)
        if stream.read(len(NCU_REPORT)) != NCU_REPORT:
            raise InvalidRequest(
                f"{name} is no report of Nsight Compute.", hint="Give a file that ncu wrote (.ncu-rep)."
            )
        try:
            _message(stream, size, MOST_HEADER)
        except Damaged as error:
            raise InvalidRequest(
                f"{name} is no whole report of Nsight Compute: {error}.", hint="Copy it again."
            ) from error
        self._walk(stream, size)

    def _walk(self, stream: BinaryIO, size: int) -> None:
        for _ in range(MOST_BLOCKS):
            at = stream.tell()
            if at == size:
                return
            try:
                block = self._block(_message(stream, size, MOST_HEADER), at, stream.tell())
            except Damaged as error:
                self.damage.append(f"The report is damaged and was read up to byte {at:,} ({error}).")
                return
            if any(block.counts[1:]):
                self.blocks.append(block)
            if block.end > size:
                self.damage.append(
                    f"The report is cut: {block.end - size:,} bytes of its last block, at byte {at:,}, are missing."
                )
                return
            stream.seek(block.end)
        self.damage.append(f"Only the first {MOST_BLOCKS:,} blocks of the report were read.")

    def _block(self, header: memoryview, at: int, begin: int) -> Block:
        if not len(header):
            raise Damaged("a block without a header")
        counts = [0] * len(_KINDS)
        process = payload = 0
        for number, value in fields(header):
            if number in _COUNTS:
                counts[_COUNTS[number]] = natural(value)
            elif number == _PAYLOAD:
                payload = natural(value)
            elif isinstance(value, memoryview):
                if number == _NAMES:
                    self._names(value)
                elif number == _SESSION:
                    self._session(value)
                elif number == _PROCESS:
                    process = next((natural(each) for key, each in fields(value) if key == 1), 0)
        if payload >= 1 << 32 or sum(counts) > payload:
            # Each message has its length before it.
            raise Damaged("a block that says more than it has")
        return Block(at, begin, begin + payload, process, tuple(counts))

    def _names(self, table: memoryview) -> None:
        for name in parts(table, 1):
            if len(self.names) >= MOST_NAMES:
                raise Damaged("more names than a report has")
            self.names.append(text(name, 1 << 10))

    def _session(self, session: memoryview) -> None:
        for number, value in fields(session):
            if number == 11:
                self.command = text(value)
            elif number == 6 and isinstance(value, memoryview):
                device = _device(value)
                if len(self.devices) < MOST_DEVICES:
                    self.devices[device.number] = device
            elif number == 10 and isinstance(value, memoryview):
                self.clock_control = next((text(each, 64) for key, each in fields(value) if key == 8), "")


def messages(
    stream: BinaryIO, block: Block, size: int, only: int | None = None
) -> Iterator[tuple[Kind, memoryview | None]]:
    """The kind and the bytes of each result of a block; None for one that is larger than any, and for all others where
    one ``only`` is asked for. They are not read then.

    Raises Damaged where the payload is not what its lengths say.
    """
    stream.seek(block.begin)
    number = 0
    for kind, count in zip(_KINDS, block.counts, strict=True):
        for _ in range(count):
            length = _length(stream, min(block.end, size))
            if kind == SOURCE:
                stream.seek(length, 1)
                continue
            if length > MOST_MESSAGE or only not in (None, number):
                stream.seek(length, 1)
                yield kind, None
            else:
                yield kind, memoryview(stream.read(length))
            number += 1


def value_of(message: memoryview) -> float | str | None:
    """A metric's value: a text or a number, whichever of the five fields has it."""
    for number, value in fields(message):
        if number == 1 and isinstance(value, memoryview):
            return text(value)
        if 2 <= number <= 5 and not isinstance(value, memoryview):
            return value
    return None


def _device(message: memoryview) -> Device:
    number, name = 0, ""
    attributes: dict[str, float | str] = {}
    for field, value in fields(message):
        if field == 1:
            number = natural(value)
        elif field == 2:
            name = text(value, 256)
        elif field == 3 and isinstance(value, memoryview):
            inside = picked(value, 1, 2)
            told = inside.get(2)
            found = value_of(told) if isinstance(told, memoryview) else None
            if len(attributes) == MOST_ATTRIBUTES:
                raise Damaged("a device with more attributes than there are")
            if found is not None:
                attributes[text(inside.get(1, 0), 256)] = found
    return Device(number, name, attributes)


def _message(stream: BinaryIO, end: int, most: int) -> memoryview:
    length = _length(stream, end)
    if length > most:
        raise Damaged(f"a header of {length:,} bytes")
    return memoryview(stream.read(length))


def _length(stream: BinaryIO, end: int) -> int:
    """That of the next message, which ends before ``end``."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise Damaged("it ends in the middle of a length")
    length: int = _LENGTH.unpack(head)[0]
    if stream.tell() + length > end:
        raise Damaged("a length that leads past the end")
    return length
