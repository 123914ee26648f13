"""Read events one by one: all that ``native`` does not read, and slices that are written as a begin and an
end."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from ..columns import NO_ID
from ..kinds import Kind, kind_of, may_name_a_device
from . import spans
from .counters import Samples
from .events import (
    ABSENT,
    ARGUMENTS,
    CALL,
    DEVICE,
    MISSING,
    SETS,
    Argument,
    Async,
    Begin,
    Counter,
    End,
    Instant,
    MemoryArguments,
    Metadata,
    NameArguments,
    Other,
    Phase,
    Slice,
    argument_type,
)
from .locations import device_of, place, stream_of
from .parts import ALL_THREADS, Builder, Part
from .times import LARGEST, UNUSABLE, all_nanoseconds, nanoseconds

#: Numbers of a memory event, and the value of missing ones.
MEMORY_NUMBERS = {"bytes": 0, "address": 0, "allocated": NO_ID, "reserved": NO_ID}
#: A larger occupancy is invalid.
LARGEST_PER_MILLE = 1_000_000

#: Names repeat in every batch.
remembered_kind_of = lru_cache(1 << 14)(kind_of)

_raws = msgspec.json.Decoder(list[msgspec.Raw])
_phases = msgspec.json.Decoder(list[Phase])
_phase = msgspec.json.Decoder(Phase)
_other = msgspec.json.Decoder(Other)
_values = msgspec.json.Decoder(dict[str, msgspec.Raw])
_memory_arguments = msgspec.json.Decoder(MemoryArguments)
_name_arguments = msgspec.json.Decoder(NameArguments)


class _Set:
    """How a set of arguments is read."""

    def __init__(self, arguments: tuple[Argument, ...]) -> None:
        self.decoder = msgspec.json.Decoder(argument_type(arguments))
        self.is_of_device = arguments is DEVICE
        #: Besides ``CALL``, whose arguments have a column for each slice.
        self.own = arguments[len(CALL) :]
        #: Reading all at once is faster than one by one.
        self.values = attrgetter(*(each.name for each in self.own)) if self.own else None


_sets: dict[tuple[Argument, ...], _Set] = {arguments: _Set(arguments) for arguments in SETS}
_set_of = [_sets[ARGUMENTS[kind]] for kind in Kind]


def read(text: bytes | bytearray) -> Part:
    """Return the part of a JSON array of events. Raises the errors of ``batches.read``."""
    reading = _Reading()
    events: Iterable[Any]
    try:
        events = _phases.decode(text)
    except msgspec.ValidationError:
        events = reading.decoded(_raws.decode(text))
    reading.take(events)
    return reading.part()


def paired(events: Iterable[Any]) -> Part:
    """Return slices of begins and ends, which are in file order."""
    reading = _Reading()
    for begin, end in _pairs(events):
        start = _at(begin)
        stop = UNUSABLE if end is None else _at(end)
        reading.slice(begin, start, UNUSABLE if UNUSABLE in (start, stop) else stop - start)
    part = reading.part()
    part.events = 0
    return part


def labels(events: Iterable[Metadata]) -> dict[tuple[str, str], str]:
    """Return the names of threads from metadata events, and those of processes."""
    found = {}
    for event in events:
        if event.name not in ("thread_name", "process_name"):
            continue
        with contextlib.suppress(msgspec.ValidationError):
            name = _name_arguments.decode(event.args).name
            if isinstance(name, str):
                thread = place(event.tid) if event.name == "thread_name" else ALL_THREADS
                found[place(event.pid), thread] = name
    return found


def memory_device(number: Any) -> str:
    """Return the key of the device of a memory event."""
    known = _number(number, -1)
    return str(known) if known >= 0 else "cpu"


def _arguments_of(text: msgspec.Raw, decoder: Any) -> Any:
    """Return the arguments; null, a list or a text count as no arguments, and the event still counts."""
    return decoder.decode(text if bytes(text)[:1] == b"{" else b"{}")


def _decoded(raw: msgspec.Raw) -> Any:
    """Decode an event. Raises msgspec.ValidationError for invalid ones."""
    try:
        return _phase.decode(raw)
    except msgspec.ValidationError:
        with contextlib.suppress(msgspec.ValidationError):
            return _phase.decode(_of_keys_twice_the_last(raw))
        other = _other.decode(raw)
        if other.ph in ("X", "M", "i", "B", "E"):
            raise
        return other


def _of_keys_twice_the_last(raw: msgspec.Raw) -> bytes:
    """Keep the last of two equal keys. The decoder does this itself, except for the key of the phase."""
    return msgspec.json.encode(_values.decode(raw))


def _phase_of(raw: msgspec.Raw) -> str:
    try:
        return _other.decode(raw).ph
    except msgspec.ValidationError:
        return ""


def _pairs(events: Iterable[Any]) -> Iterable[tuple[Begin, End | None]]:
    """Yield each begin with its end, or without one, sorted by time and then in file order.

    An end belongs to the innermost begin; an end with a name belongs to the innermost begin of that name.
    """
    begun: dict[tuple[str, str], list[Begin]] = {}
    for event in sorted(events, key=_at):
        waiting = begun.setdefault((place(event.pid), place(event.tid)), [])
        if type(event) is Begin:
            waiting.append(event)
            continue
        fitting = (at for at in range(len(waiting) - 1, -1, -1) if event.name in ("", waiting[at].name))
        innermost = next(fitting, None)
        if innermost is not None:
            yield waiting.pop(innermost), event
    for waiting in begun.values():
        for begin in waiting:
            yield begin, None


def _at(event: Begin | End) -> int:
    at = nanoseconds(bytes(event.ts))
    return UNUSABLE if at is None else at


class _Reading:
    def __init__(self) -> None:
        self.builder = Builder()
        self.events = self.skipped = self.unusable = self.strange = 0
        self.metadata: list[Metadata] = []
        self.samples = Samples()
        self.pairs: list[Any] = []
        self.tied: list[Async] = []

    def decoded(self, raws: Iterable[msgspec.Raw]) -> Iterable[Any]:
        """Return the events among the entries."""
        for raw in raws:
            try:
                yield _decoded(raw)
            except msgspec.ValidationError:
                self.skipped += 1
                self.strange += not _phase_of(raw)

    def take(self, events: Iterable[Any]) -> None:
        slices = []
        for event in events:
            self.events += 1
            if type(event) is Slice:
                slices.append(event)
            elif type(event) is Instant:
                if event.name == "[memory]":
                    self._memory(event)
            elif isinstance(event, Async):
                self.tied.append(event)
            elif type(event) is Counter:
                self._counter(event)
            elif type(event) is Metadata:
                self.metadata.append(event)
            elif type(event) is Begin or type(event) is End:
                self.pairs.append(event)
            elif type(event) is Other and not event.ph:
                self.strange += 1
        times = [each.ts for each in slices], [each.dur for each in slices]
        starts, lengths = (all_nanoseconds(texts).tolist() for texts in times)
        for event, start, length in zip(slices, starts, lengths, strict=True):
            self.slice(event, start, length)

    def slice(self, event: Slice | Begin, start: int, length: int) -> None:
        """Add a slice; times are nanoseconds, UNUSABLE where they are not known."""
        kind = remembered_kind_of(event.cat or "", event.name)
        if start == UNUSABLE or length < 0:
            self.unusable += kind != Kind.OTHER
            return
        its_set = _set_of[kind]
        try:
            arguments = _arguments_of(event.args, its_set.decoder)
        except msgspec.ValidationError:
            self._skip()
            return
        if its_set.is_of_device and arguments.device in (None, "") and may_name_a_device(event.cat):
            kind = Kind.RUNTIME
            its_set = _set_of[kind]
        device = stream = ""
        if its_set.is_of_device:
            stream = stream_of(arguments.stream)
            if kind >= Kind.COMPUTE:
                device = device_of(arguments.device, event.pid)
        given = arguments.external_id
        if given is None or given == MISSING:
            given = arguments.external_id_old
        number = self.builder.add(
            start,
            length,
            event.name,
            self.builder.lane(place(event.pid), place(event.tid), device, stream),
            kind,
            _identity(arguments.correlation),
            _identity(given),
        )
        self._mark(number, its_set, arguments)

    def _mark(self, number: int, its_set: _Set, arguments: Any) -> None:
        if its_set.values is None:
            return
        for (name, _, its_type), value in zip(its_set.own, its_set.values(arguments), strict=True):
            if value is MISSING or value is ABSENT:
                continue
            if its_type is int:
                whole = _number(value, MISSING)
                if whole != MISSING:
                    self.builder.mark(number, name, whole)
            elif its_type is float:
                if isinstance(value, (int, float)) and abs(value * 10) < LARGEST_PER_MILLE:
                    self.builder.mark(number, name, round(value * 10))
            elif its_type is msgspec.Raw:
                text = bytes(value)
                if text and text != b"null":
                    self.builder.mark_text(number, name, text.decode("utf-8", "replace"))

    def _skip(self) -> None:
        """Skip an event whose arguments fit no type."""
        self.events, self.skipped = self.events - 1, self.skipped + 1

    def _memory(self, event: Instant) -> None:
        ts = nanoseconds(bytes(event.ts))
        try:
            arguments = _arguments_of(event.args, _memory_arguments)
        except msgspec.ValidationError:
            self._skip()
            return
        if ts is not None:
            self.builder.add_memory(
                ts,
                self.builder.lane(place(event.pid), place(event.tid)),
                memory_device(arguments.device),
                *(_number(getattr(arguments, name), otherwise) for name, otherwise in MEMORY_NUMBERS.items()),
            )

    def _counter(self, event: Counter) -> None:
        ts = nanoseconds(bytes(event.ts))
        if ts is None:
            self.unusable += 1
            return
        # Numbers that fit no type are missing.
        with contextlib.suppress(msgspec.DecodeError):
            self.samples.add(ts, place(event.pid), event.name, event.id, event.args)

    def part(self) -> Part:
        part = self.builder.part()
        part.sampled, part.counters = self.samples.sampled(), list(self.samples.series)
        part.labels = labels(self.metadata)
        part.marks, untimed = spans.marks(self.tied)
        part.events, part.skipped = self.events + self.skipped, self.skipped
        part.unusable = self.unusable + untimed
        part.strange = self.strange
        part.pairs = self.pairs
        return part


def _identity(value: Any) -> int:
    """Return a correlation or external id; 0 and other values mean none."""
    number = _number(value, NO_ID)
    return number if number > 0 else NO_ID


def _number(value: Any, otherwise: int) -> int:
    if type(value) is int:  # the usual case
        return value if -LARGEST < value < LARGEST else otherwise
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    return value if isinstance(value, int) and -LARGEST < value < LARGEST else otherwise
