"""The events of a Chrome trace as they are written, decoded no further than they are asked for.

An event is decoded by its phase. Events as profilers write them have strict types, which decode in one pass: their
arguments are those of all kinds, of which each kind needs some. All others have loose types, whose arguments stay text
until the kind is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from ..kinds import Kind

Raw = msgspec.Raw

#: Stands where a number is not given; below all numbers that are read.
MISSING = -(2**62)
#: Stands where a text is not given. It is told by identity.
ABSENT = Raw(b"")
_NULL, _ZERO, _NOTHING = Raw(b"null"), Raw(b"0"), Raw(b"{}")


class Slice(msgspec.Struct, gc=False, tag_field="ph", tag="X"):
    """Any complete event."""

    cat: str | None = None
    name: str = ""
    pid: Any = None
    tid: Any = None
    ts: Raw = _NULL
    dur: Raw = _ZERO
    args: Raw = _NOTHING


class Metadata(msgspec.Struct, gc=False, tag_field="ph", tag="M"):
    """A name of a process or a thread."""

    name: str = ""
    pid: Any = None
    tid: Any = None
    args: Raw = _NOTHING


class Instant(msgspec.Struct, gc=False, tag_field="ph", tag="i"):
    """Memory events are such."""

    name: str = ""
    pid: Any = None
    tid: Any = None
    ts: Raw = _NULL
    args: Raw = _NOTHING


class Counter(msgspec.Struct, gc=False, tag_field="ph", tag="C"):
    """Values of one moment, by the names of their series."""

    name: str = ""
    pid: Any = None
    id: Any = None
    ts: Raw = _NULL
    args: Raw = _NOTHING


class Begin(msgspec.Struct, gc=False, tag_field="ph", tag="B"):
    """The start of a slice; ``End`` on the same thread ends the innermost."""

    cat: str | None = None
    name: str = ""
    pid: Any = None
    tid: Any = None
    ts: Raw = _NULL
    args: Raw = _NOTHING


class End(msgspec.Struct, gc=False, tag_field="ph", tag="E"):
    """The end of what ``Begin`` began."""

    name: str = ""
    pid: Any = None
    tid: Any = None
    ts: Raw = _NULL


class Async(msgspec.Struct, gc=False):
    """A begin or an end that an id ties to others of its category, on no thread."""

    cat: str | None = None
    name: str = ""
    pid: Any = None
    id: Any = None
    id2: Any = None
    scope: Any = None
    ts: Raw = _NULL


class AsyncBegin(Async, gc=False, tag_field="ph", tag="b"):
    """Of a slice in which others of its id may lie."""


class AsyncEnd(Async, gc=False, tag_field="ph", tag="e"):
    """The end of what ``AsyncBegin`` began."""


class AsyncInstant(Async, gc=False, tag_field="ph", tag="n"):
    """A moment between them."""


class OldBegin(Async, gc=False, tag_field="ph", tag="S"):
    """As it was written before there were nested ones."""


class OldEnd(Async, gc=False, tag_field="ph", tag="F"):
    """The end of what ``OldBegin`` began."""


class Other(msgspec.Struct, gc=False):
    """An event of which only the phase is looked at: a flow."""

    ph: str = ""


class MemoryArguments(msgspec.Struct, gc=False):
    """Of a memory event."""

    device: int = msgspec.field(name="Device Id", default=-1)
    bytes: int = msgspec.field(name="Bytes", default=0)
    address: int = msgspec.field(name="Addr", default=0)
    allocated: int = msgspec.field(name="Total Allocated", default=MISSING)
    reserved: int = msgspec.field(name="Total Reserved", default=MISSING)


class LooseMemoryArguments(msgspec.Struct, gc=False):
    """Of any memory event."""

    device: Any = msgspec.field(name="Device Id", default=None)
    bytes: Any = msgspec.field(name="Bytes", default=0)
    address: Any = msgspec.field(name="Addr", default=0)
    allocated: Any = msgspec.field(name="Total Allocated", default=MISSING)
    reserved: Any = msgspec.field(name="Total Reserved", default=MISSING)


class NameArguments(msgspec.Struct, gc=False):
    """Of a thread's name."""

    name: Any = None


class Argument(NamedTuple):
    """Of an event: its name here, which is that of a column, and in traces; what it is: a number (``int``), one with
    a fraction (``float``), a text of JSON (``Raw``) or a part of the place (``str``)."""

    name: str
    key: str
    type: type


#: Of a call of a runtime, and of what no one asks more about.
CALL = (
    Argument("external_id", "External id", int),
    Argument("external_id_old", "external id", int),
    Argument("correlation", "correlation", int),
)
PYTHON = (
    *CALL,
    Argument("python_parent", "Python parent id", int),
    Argument("python_id", "Python id", int),
)
_COLLECTIVE = (
    Argument("collective", "Collective name", Raw),
    Argument("elements", "In msg nelems", int),
    Argument("group_size", "Group size", int),
    Argument("dtype", "dtype", Raw),
)
#: Of an operator or an annotation.
OPERATOR = (
    *CALL,
    Argument("sequence", "Sequence number", int),
    Argument("forward_thread", "Fwd thread id", int),
    Argument("concrete", "Concrete Inputs", Raw),
    Argument("types", "Input type", Raw),
    Argument("strides", "Input Strides", Raw),
    Argument("dims", "Input Dims", Raw),
    Argument("stack", "Call stack", Raw),
    Argument("module", "Module Hierarchy", Raw),
    *_COLLECTIVE,
)
#: Of what ran on a device.
DEVICE = (
    *CALL,
    Argument("device", "device", str),
    Argument("stream", "stream", str),
    Argument("bytes", "bytes", int),
    Argument("registers", "registers per thread", int),
    Argument("shared_memory", "shared memory", int),
    Argument("grid", "grid", Raw),
    Argument("block", "block", Raw),
    Argument("occupancy", "est. achieved occupancy %", float),
    Argument("graph", "graph id", int),
    Argument("graph_node", "graph node id", int),
    *_COLLECTIVE,
)
#: What is read of the arguments, by kind.
ARGUMENTS: dict[Kind, tuple[Argument, ...]] = {
    **dict.fromkeys(Kind, CALL),
    Kind.OPERATOR: OPERATOR,
    Kind.ANNOTATION: OPERATOR,
    Kind.PYTHON: PYTHON,
    **dict.fromkeys(
        (Kind.WAIT, Kind.DEVICE_ANNOTATION, Kind.COMPUTE, Kind.COMMUNICATION, Kind.COPY, Kind.FILL), DEVICE
    ),
}
SETS = (CALL, PYTHON, OPERATOR, DEVICE)
_DEFAULTS: dict[type, Any] = {int: MISSING, float: MISSING, Raw: ABSENT, str: None}
_STRICT: dict[type, Any] = {int: int | None, float: int | float, Raw: Raw, str: int | str | None}
_LOOSE: dict[type, Any] = {int: Any, float: Any, Raw: Raw, str: Any}


def argument_type(arguments: tuple[Argument, ...], *, strict: bool) -> type[msgspec.Struct]:
    """A type that decodes ``arguments``, its fields in their order."""
    types = _STRICT if strict else _LOOSE
    return msgspec.defstruct(
        "Arguments",
        [(each.name, types[each.type], _field(each)) for each in arguments],
        gc=False,
    )


def _field(argument: Argument) -> Any:
    return msgspec.field(name=argument.key, default=_DEFAULTS[argument.type])


#: All arguments that are read, in the order in which profilers write them: so they are found at once.
ALL = tuple(dict.fromkeys((*OPERATOR[:1], *OPERATOR[5:9], *DEVICE[3:5], *DEVICE, *OPERATOR, *PYTHON)))
Arguments = argument_type(ALL, strict=True)
#: Those of memory events, by the names of their fields.
MEMORY_KEYS = tuple(
    Argument(each.name, each.encode_name, int) for each in msgspec.structs.fields(MemoryArguments)
)


def _reader(name: str) -> Callable[[list[Any]], list[Any]]:
    # An attribute that the code names is read four times faster than by ``getattr``.
    return eval(f"lambda rows: [row.{name} for row in rows]")  # type: ignore[no-any-return]  # noqa: S307 - names of this file


#: Of structs, the field of that name of each.
FIELDS = {name: _reader(name) for name in (*Arguments.__struct_fields__, *MemoryArguments.__struct_fields__)}

_PASSED_OVER = tuple(
    msgspec.defstruct(f"Phase{ord(phase)}", [], tag_field="ph", tag=phase, gc=False)
    for phase in "sftTpIPNODVvRc(),"
)


def _phases(timed: Any) -> Any:
    found = timed | Metadata | Begin | End | AsyncBegin | AsyncEnd | AsyncInstant | OldBegin | OldEnd
    for phase in _PASSED_OVER:
        found |= phase
    return found


def _slice_type(time: Any) -> Any:
    """A complete event with times of the type ``time`` and the arguments of all kinds."""
    defaults = (MISSING, 0) if time is not Raw else (_NULL, _ZERO)
    return msgspec.defstruct(
        "Slice",
        [
            ("cat", str | None, None),
            ("name", str, ""),
            ("pid", int | str | None, None),
            ("tid", int | str | None, None),
            ("ts", time, defaults[0]),
            ("dur", time, defaults[1]),
            ("args", Arguments, msgspec.field(default_factory=Arguments)),
        ],
        tag_field="ph",
        tag="X",
        gc=False,
    )


class Written(NamedTuple):
    """Events as profilers write them."""

    slice: Any
    instant: Any
    counter: Any
    #: All phases, for a decoder.
    phase: Any


def _written(time: Any) -> Written:
    slice_type = _slice_type(time)
    instant = msgspec.defstruct(
        "Instant",
        [
            ("name", str, ""),
            ("pid", int | str | None, None),
            ("tid", int | str | None, None),
            ("ts", time, MISSING if time is not Raw else _NULL),
            ("args", MemoryArguments, msgspec.field(default_factory=MemoryArguments)),
        ],
        tag_field="ph",
        tag="i",
        gc=False,
    )
    counter = msgspec.defstruct(
        "Counter",
        [
            ("name", str, ""),
            ("pid", int | str | None, None),
            ("id", int | str | None, None),
            ("ts", time, MISSING if time is not Raw else _NULL),
            ("args", Raw, _NOTHING),
        ],
        tag_field="ph",
        tag="C",
        gc=False,
    )
    return Written(slice_type, instant, counter, _phases(slice_type | instant | counter))


Phase = _phases(Slice | Instant | Counter)
#: Times as whole numbers, which need no look at their types.
IN_WHOLE = _written(int)
#: Times as numbers, of which floats may be inexact.
IN_NUMBERS = _written(int | float)
#: Times as they are written, for a double cannot hold nanoseconds since 1970.
IN_TEXT = _written(Raw)
