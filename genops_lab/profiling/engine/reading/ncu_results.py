"""One result of a report of Nsight Compute: a kernel's, or that of a range, a CUDA graph or a command list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Literal, NamedTuple

from ...models import KernelRule
from .ncu_blocks import Kind, value_of
from .wire import Damaged, Value, fields, natural, parts, picked, text

#: Deeper, or more, is told by no program that runs.
MOST_RANGES, MOST_THREADS, MOST_FRAMES, MOST_RULES = 256, 64, 1024, 256
#: A result with more is damaged: the set "full" has 840 metrics, and some 50 messages in all rules together.
MOST_METRICS, MOST_MESSAGES = 1 << 16, 256
_LONGEST_NAME, _LONGEST_TEXT = 1 << 13, 1 << 14
_SHOWN: dict[Kind, str] = {"range": "(range)", "graph": "(CUDA graph)", "cmdlist": "(command list)"}
_KINDS: tuple[Literal["info", "warning", "error", "optimization"], ...] = (
    "info",
    "info",
    "warning",
    "error",
    "optimization",
)
_SPEEDUPS: tuple[Literal["", "part", "kernel"], ...] = ("", "part", "kernel")
#: ``@section:Occupancy:Occupancy@``, ``@url:Guide:https://…@``
_MARKED = re.compile(r"@(section|url):([^:@]*):([^@]*)@")


class _Numbers(NamedTuple):
    """Where each kind of result has its fields; 0: nowhere."""

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
    """Of the CPU's call stack."""

    file: str
    line: int
    function: str


class Range(NamedTuple):
    """An NVTX range that was open; two with one ``instance`` are the same."""

    name: str
    instance: int


class Result(NamedTuple):
    """``metrics`` are messages still; ``ranges`` are those of its thread, the outermost first, ``others`` of others;
    ``crossing`` begin and end anywhere in the process. ``frames`` begin with the innermost. ``number`` counts from 0,
    also those that were left out."""

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
    """Raises Damaged where the message is no such result."""
    numbers = _NUMBERS[kind]
    metrics: list[memoryview] = []
    rules: list[memoryview] = []
    found: dict[int, memoryview] = {}
    single = {6, numbers.name, numbers.grid, numbers.block, numbers.nvtx, numbers.stack, numbers.clock}
    thread = stream = 0
    for key, value in fields(message):
        if key == numbers.metrics and isinstance(value, memoryview):
            if len(metrics) == MOST_METRICS:
                raise Damaged("a result has more metrics than there are")
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
        # The one that waits for it (autograd's threads have no ranges of the program).
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
    """The number of each metric's name, and its message."""
    for metric in result.metrics:
        for number, value in fields(metric):
            if number == 1:
                yield natural(value), metric
                break


def metric_value(metric: memoryview) -> float | str | None:
    """None where the metric has instances alone."""
    for number, value in fields(metric):
        if number == 2 and isinstance(value, memoryview):
            return value_of(value)
        if number == 3:
            break
    return None


def metric_instances(metric: memoryview) -> int:
    """How many values lie behind it."""
    return sum(1 for _ in parts(metric, 3))


def rules_of(result: Result) -> Iterator[KernelRule]:
    """One for each message of each rule; rules that have nothing to say are left out.

    Raises Damaged where they have more to say than any."""
    said = 0
    for rule in result.rules:
        told = picked(rule, 1, 2, 3, 4)
        identifier, title, section = (text(told.get(number, 0), 256) for number in (1, 2, 4))
        for item in parts(_inner(told, 3), 1):
            inside = picked(item, 1, 10)
            if isinstance(inside.get(1), memoryview):
                said += 1
                if said > MOST_MESSAGES:
                    raise Damaged("the rules of a result have more messages than there are")
                yield _rule(identifier, title, section, _inner(inside, 1), _inner(inside, 10))


def _inner(told: dict[int, Value], number: int) -> memoryview:
    """The message in a field; an empty one without it."""
    value = told.get(number)
    return value if isinstance(value, memoryview) else memoryview(b"")


def _rule(identifier: str, title: str, section: str, message: memoryview, speedup: memoryview) -> KernelRule:
    said = name = ""
    kind = of = 0
    percent: float | None = None
    for number, value in fields(message):
        if number == 1:
            said = _MARKED.sub(_unmarked, text(value, _LONGEST_TEXT))
        elif number == 2:
            kind = natural(value)
        elif number == 4:
            name = text(value, 256)
    for number, value in fields(speedup):
        if number == 1:
            of = natural(value)
        elif number == 2 and isinstance(value, float) and 0 <= value <= 100:
            percent = value
    known = of if of < len(_SPEEDUPS) else 0
    return KernelRule(
        identifier=identifier,
        title=f"{title}: {name}" if name and name != title else title or identifier,
        text=said,
        kind=_KINDS[kind] if kind < len(_KINDS) else "info",
        section=section,
        speedup_pct=percent if known else None,
        of=_SPEEDUPS[known] if percent is not None else "",
    )


def _unmarked(found: re.Match[str]) -> str:
    what, first, second = found.groups()
    return second if what == "section" else f"{first} ({second})"


def _nvtx(state: memoryview) -> tuple[dict[int, list[Range]], list[Range]]:
    """The ranges of each thread, and those that begin and end anywhere. Of several domains the later one is inside."""
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
                    told = islice(parts(domain, 3), MOST_RANGES - len(ranges))
                    ranges += [_range(each, 1, 3) for each in told]
            if ranges and len(threads) < MOST_THREADS:
                threads[whose] = ranges
        elif number == 3:
            crossing += [_range(each, 2, 1) for each in islice(parts(value, 3), MOST_RANGES - len(crossing))]
    return threads, crossing


def _range(message: memoryview, name: int, instance: int) -> Range:
    said, known = "", 0
    for number, value in fields(message):
        if number == name:
            said = text(value, _LONGEST_NAME)
        elif number == instance:
            known = natural(value)
    return Range(said or "(unnamed range)", known)


def _frames(stack: memoryview) -> list[Frame]:
    found = []
    for each in parts(stack, 1):
        file = function = ""
        line = 0
        for number, value in fields(each):
            if number == 3:
                file = text(value, 1 << 12)
            elif number == 4:
                function = text(value, 1 << 10)
            elif number == 5:
                line = natural(value)
        found.append(Frame(file, line, function))
        if len(found) == MOST_FRAMES:
            break
    return found


def _three(message: memoryview) -> str:
    """As JSON, like other traces have it; empty where it is not told."""
    if not len(message):
        return ""
    told = picked(message, 1, 2, 3)
    return str([natural(told.get(number, 0)) for number in (1, 2, 3)])


def _locked(message: memoryview) -> bool | None:
    return next((bool(natural(value)) for number, value in fields(message) if number == 2), None)
