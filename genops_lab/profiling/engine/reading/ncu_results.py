"""Read the blocks of a report of Nsight Compute, and a result: that of a kernel, a range, a CUDA graph or a
command list.

After the magic and the file's header, a file is a sequence of blocks. Each has a header and a payload of
messages, all with their lengths before them. Nsight Compute appends blocks while the program runs.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice
from typing import BinaryIO, Literal, NamedTuple

from genops_lab.core.errors import InvalidRequest

from ...models import KernelRule
from .kinds_of_files import NCU_REPORT
from .wire import Damaged, Value, fields, natural, parts, picked, text

#: Largest header (names take some 50 KB) and largest result; a larger result is left out.
MOST_HEADER, MOST_MESSAGE = 16 << 20, 128 << 20
#: Most blocks of a file.
MOST_BLOCKS, MOST_NAMES, MOST_DEVICES, MOST_ATTRIBUTES = 1 << 18, 1 << 17, 256, 1 << 12
_LENGTH = struct.Struct("<I")
#: Messages of a payload in their order, by the header field that counts them.
SOURCE: Literal["source"] = "source"
Kind = Literal["kernel", "range", "graph", "cmdlist"]
_KINDS: tuple[Kind | Literal["source"], ...] = (SOURCE, "kernel", "range", "cmdlist", "graph")
_COUNTS = {1: 0, 2: 1, 7: 2, 8: 3, 9: 4}
_SESSION, _NAMES, _PAYLOAD, _PROCESS = 3, 4, 5, 6


class Block(NamedTuple):
    """A block. ``counts`` has the number of messages of each kind between ``begin`` and ``end``."""

    at: int
    begin: int
    end: int
    process: int
    counts: tuple[int, ...]


class Device(NamedTuple):
    """A device of the session."""

    number: int
    name: str
    attributes: dict[str, float | str]


class Outline:
    """The content of all headers of a file. ``damage`` has sentences on headers that end too early."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """``name`` is the file's name. Raises OSError, and InvalidRequest for a file that is not a report of
        Nsight Compute."""
        self.names: list[str] = []
        self.blocks: list[Block] = []
        self.devices: dict[int, Device] = {}
        self.command = ""
        self.damage: list[str] = []
        size = stream.seek(0, 2)
        stream.seek(0)
        if stream.read(len(NCU_REPORT)) != NCU_REPORT:
            raise InvalidRequest(
                f"{name} is not a report of Nsight Compute.", hint="Give a file that ncu wrote (.ncu-rep)."
            )
        try:
            _message(stream, size, MOST_HEADER)
        except Damaged as error:
            raise InvalidRequest(
                f"{name} is an incomplete report of Nsight Compute: {error}.", hint="Copy it again."
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
                    f"The report is cut off: {block.end - size:,} bytes of its last block, at byte {at:,}, are missing."
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
            raise Damaged("a block with too many messages for its size")
        return Block(at, begin, begin + payload, process, tuple(counts))

    def _names(self, table: memoryview) -> None:
        for name in parts(table, 1):
            if len(self.names) >= MOST_NAMES:
                raise Damaged("too many names")
            self.names.append(text(name, 1 << 10))

    def _session(self, session: memoryview) -> None:
        for number, value in fields(session):
            if number == 11:
                self.command = text(value)
            elif number == 6 and isinstance(value, memoryview):
                device = _device(value)
                if len(self.devices) < MOST_DEVICES:
                    self.devices[device.number] = device


def messages(
    stream: BinaryIO, block: Block, size: int, only: int | None = None
) -> Iterator[tuple[Kind, memoryview | None]]:
    """Yield the kind and the bytes of each result of a block. None stands for a result that is too large, and
    for all others if only ``only`` is wanted; these are not read.

    Raises Damaged where the payload does not match its lengths.
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
    """Return a metric's value: a text or a number from one of the five fields."""
    for number, value in fields(message):
        if number == 1 and isinstance(value, memoryview):
            return text(value)
        if 2 <= number <= 5 and not isinstance(value, memoryview):
            return value
    return None


def _device(message: memoryview) -> Device:
    values = picked(message, 1, 2)
    attributes: dict[str, float | str] = {}
    for attribute in parts(message, 3):
        inside = picked(attribute, 1, 2)
        found = value_of(_inner(inside, 2)) if 2 in inside else None
        if len(attributes) == MOST_ATTRIBUTES:
            raise Damaged("a device with too many attributes")
        if found is not None:
            attributes[text(inside.get(1, 0), 256)] = found
    return Device(natural(values.get(1, 0)), text(values.get(2, 0), 256), attributes)


def _message(stream: BinaryIO, end: int, most: int) -> memoryview:
    length = _length(stream, end)
    if length > most:
        raise Damaged(f"a header of {length:,} bytes")
    return memoryview(stream.read(length))


def _length(stream: BinaryIO, end: int) -> int:
    """Return the length of the next message, which must end before ``end``."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise Damaged("it ends in the middle of a length")
    length: int = _LENGTH.unpack(head)[0]
    if stream.tell() + length > end:
        raise Damaged("a length beyond the end")
    return length


#: Limits of frames, ranges and depth; no real program has more.
MOST_RANGES, MOST_THREADS, MOST_FRAMES, MOST_RULES = 256, 64, 1024, 256
#: A result with more is damaged: the set "full" has 840 metrics, and its rules have some 50 messages.
MOST_METRICS, MOST_MESSAGES = 1 << 16, 256
_LONGEST_NAME, _LONGEST_TEXT = 1 << 13, 1 << 14
_SHOWN: dict[Kind, str] = {"range": "(range)", "graph": "(CUDA graph)", "cmdlist": "(command list)"}
_RULE_KINDS: tuple[Literal["info", "warning", "error", "optimization"], ...] = (
    "info",
    "info",
    "warning",
    "error",
    "optimization",
)
_SPEEDUPS: tuple[Literal["", "part", "kernel"], ...] = ("", "part", "kernel")
#: Matches ``@section:Occupancy:Occupancy@``, ``@url:Guide:https://…@``
_MARKED = re.compile(r"@(section|url):([^:@]*):([^@]*)@")


class _Numbers(NamedTuple):
    """Field numbers of each kind of result; 0: it has no such field."""

    metrics: int
    nvtx: int
    context: int
    stack: int
    clock: int
    stream: int = 0
    rules: int = 0
    name: int = 0
    grid: int = 0
    block: int = 0


_NUMBERS: dict[Kind, _Numbers] = {
    "kernel": _Numbers(13, 21, 22, 28, 25, stream=23, rules=19, name=7, grid=10, block=11),
    "range": _Numbers(4, 10, 11, 14, 12),
    "cmdlist": _Numbers(4, 10, 11, 16, 13, stream=12, rules=21, name=18),
    "graph": _Numbers(4, 10, 11, 16, 13, stream=12),
}


class Frame(NamedTuple):
    """A frame of the CPU's call stack."""

    file: str
    line: int
    function: str


class Range(NamedTuple):
    """An NVTX range that was open; ranges with the same ``instance`` are the same."""

    name: str
    instance: int


class Result(NamedTuple):
    """A result. ``metrics`` are still messages. ``ranges`` are those of its thread, outermost first,
    ``others`` those of other threads; ``crossing`` may begin and end anywhere in the process. ``frames``
    begin with the innermost. ``number`` counts from 0, with results that were left out."""

    number: int
    kind: Kind
    process: int
    thread: int
    name: str
    grid: str
    block: str
    stream: int
    metrics: list[memoryview]
    rules: list[memoryview]
    ranges: list[Range]
    others: dict[int, list[Range]]
    crossing: list[Range]
    frames: list[Frame]
    locked: bool | None


def result_of(kind: Kind, message: memoryview, process: int, number: int) -> Result:
    """Read a result. Raises Damaged for an invalid message."""
    numbers = _NUMBERS[kind]
    metrics: list[memoryview] = []
    rules: list[memoryview] = []
    found: dict[int, memoryview] = {}
    single = {6, numbers.name, numbers.grid, numbers.block, numbers.nvtx, numbers.stack, numbers.clock}
    thread = stream = 0
    for key, value in fields(message):
        if key == numbers.metrics and isinstance(value, memoryview):
            if len(metrics) == MOST_METRICS:
                raise Damaged("a result has too many metrics")
            metrics.append(value)
        elif key == 1:
            thread = natural(value)
        elif key == numbers.stream:
            stream = natural(value)
        elif key == numbers.rules and isinstance(value, memoryview):
            if len(rules) < MOST_RULES:
                rules.append(value)
        elif key in single and isinstance(value, memoryview):
            found[key] = value
    empty = memoryview(b"")
    name = text(found.get(numbers.name, empty), _LONGEST_NAME)
    if kind == "kernel":
        name = name or text(found.get(6, empty), _LONGEST_NAME) or "(unnamed kernel)"
    threads, crossing = _nvtx(found.get(numbers.nvtx, empty))
    if thread not in threads and len(threads) == 1:
        # The thread that waits for it; autograd's threads have no ranges of the program.
        threads = {thread: threads.popitem()[1]}
    return Result(
        number=number,
        kind=kind,
        process=process,
        thread=thread,
        name=name or _SHOWN[kind],
        grid=_three(found.get(numbers.grid, empty)),
        block=_three(found.get(numbers.block, empty)),
        stream=stream,
        metrics=metrics,
        rules=rules,
        ranges=threads.pop(thread, []),
        others=threads,
        crossing=crossing,
        frames=_frames(found.get(numbers.stack, empty)),
        locked=_locked(found.get(numbers.clock, empty)),
    )


def metrics_of(result: Result) -> Iterator[tuple[int, memoryview]]:
    """Yield the number of each metric's name, and its message."""
    for metric in result.metrics:
        for number, value in fields(metric):
            if number == 1:
                yield natural(value), metric
                break


def metric_value(metric: memoryview) -> float | str | None:
    """Return the value; None for a metric that has only instances."""
    for number, value in fields(metric):
        if number == 2 and isinstance(value, memoryview):
            return value_of(value)
        if number == 3:
            break
    return None


def metric_instances(metric: memoryview) -> int:
    """Return the number of per-instance values."""
    return sum(1 for _ in parts(metric, 3))


def rules_of(result: Result) -> Iterator[KernelRule]:
    """Yield one rule result for each message of each rule; rules without messages are left out.

    Raises Damaged for too many messages.
    """
    said = 0
    for rule in result.rules:
        values = picked(rule, 1, 2, 3, 4)
        identifier, title, section = (text(values.get(number, 0), 256) for number in (1, 2, 4))
        for item in parts(_inner(values, 3), 1):
            inside = picked(item, 1, 10)
            if isinstance(inside.get(1), memoryview):
                said += 1
                if said > MOST_MESSAGES:
                    raise Damaged("the rules of a result have too many messages")
                yield _rule(identifier, title, section, _inner(inside, 1), _inner(inside, 10))


def _inner(values: dict[int, Value], number: int) -> memoryview:
    """Return the message in a field; an empty one without it."""
    value = values.get(number)
    return value if isinstance(value, memoryview) else memoryview(b"")


def _rule(identifier: str, title: str, section: str, message: memoryview, speedup: memoryview) -> KernelRule:
    values, estimated = picked(message, 1, 2, 4), picked(speedup, 1, 2)
    said = _MARKED.sub(_unmarked, text(values.get(1, 0), _LONGEST_TEXT))
    kind, name = natural(values.get(2, 0)), text(values.get(4, 0), 256)
    of, part = natural(estimated.get(1, 0)), estimated.get(2)
    percent = part if isinstance(part, float) and 0 <= part <= 100 else None
    known = of if of < len(_SPEEDUPS) else 0
    return KernelRule(
        identifier=identifier,
        title=f"{title}: {name}" if name and name != title else title or identifier,
        text=said,
        kind=_RULE_KINDS[kind] if kind < len(_RULE_KINDS) else "info",
        section=section,
        speedup_pct=percent if known else None,
        of=_SPEEDUPS[known] if percent is not None else "",
    )


def _unmarked(found: re.Match[str]) -> str:
    what, first, second = found.groups()
    return second if what == "section" else f"{first} ({second})"


def _nvtx(state: memoryview) -> tuple[dict[int, list[Range]], list[Range]]:
    """Return the ranges of each thread, and those that begin and end anywhere. Ranges of a later domain are
    inside those of an earlier one."""
    threads: dict[int, list[Range]] = {}
    crossing: list[Range] = []
    for number, value in fields(state):
        if not isinstance(value, memoryview):
            continue
        if number == 2:
            whose, ranges = 0, list[Range]()
            for inner, domain in fields(value):
                if inner == 1:
                    whose = natural(domain)
                elif inner == 2 and isinstance(domain, memoryview):
                    messages = islice(parts(domain, 3), MOST_RANGES - len(ranges))
                    ranges += [_range(each, 1, 3) for each in messages]
            if ranges and len(threads) < MOST_THREADS:
                threads[whose] = ranges
        elif number == 3:
            crossing += [_range(each, 2, 1) for each in islice(parts(value, 3), MOST_RANGES - len(crossing))]
    return threads, crossing


def _range(message: memoryview, name: int, instance: int) -> Range:
    values = picked(message, name, instance)
    said = text(values.get(name, 0), _LONGEST_NAME)
    return Range(said or "(unnamed range)", natural(values.get(instance, 0)))


def _frames(stack: memoryview) -> list[Frame]:
    frames = (picked(each, 3, 4, 5) for each in islice(parts(stack, 1), MOST_FRAMES))
    return [
        Frame(text(each.get(3, 0), 1 << 12), natural(each.get(5, 0)), text(each.get(4, 0), 1 << 10))
        for each in frames
    ]


def _three(message: memoryview) -> str:
    """Return three numbers as JSON, as in other traces; empty where they are missing."""
    if not len(message):
        return ""
    values = picked(message, 1, 2, 3)
    return str([natural(values.get(number, 0)) for number in (1, 2, 3)])


def _locked(message: memoryview) -> bool | None:
    return next((bool(natural(value)) for number, value in fields(message) if number == 2), None)
