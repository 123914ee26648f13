"""The events of a Chrome trace as they are written, decoded no further than they are asked for.

An event is decoded by its phase. Its arguments stay text until its kind is known, of which each needs some.
"""

from __future__ import annotations

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


class Placed(msgspec.Struct, gc=False):
    """Any other event on a thread; not all have all of this."""

    name: str = ""
    pid: Any = None
    tid: Any = None
    ts: Raw = _NULL
    args: Raw = _NOTHING


class Metadata(Placed, gc=False, tag_field="ph", tag="M"):
    """A name of a process or a thread."""


class Instant(Placed, gc=False, tag_field="ph", tag="i"):
    """Memory events are such."""


class Counter(Placed, gc=False, tag_field="ph", tag="C"):
    """Values of one moment, by the names of their series."""

    id: Any = None


class Begin(Placed, gc=False, tag_field="ph", tag="B"):
    """The start of a slice; ``End`` on the same thread ends the innermost."""

    cat: str | None = None


class End(Placed, gc=False, tag_field="ph", tag="E"):
    """The end of what ``Begin`` began."""


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
_TYPES: dict[type, Any] = {int: Any, float: Any, Raw: Raw, str: Any}


def argument_type(arguments: tuple[Argument, ...]) -> type[msgspec.Struct]:
    """A type that decodes ``arguments``, its fields in their order."""
    return msgspec.defstruct(
        "Arguments",
        [
            (each.name, _TYPES[each.type], msgspec.field(name=each.key, default=_DEFAULTS[each.type]))
            for each in arguments
        ],
        gc=False,
    )


#: All arguments that are read, in the order in which profilers write them: so they are found at once.
ALL = tuple(dict.fromkeys((*OPERATOR[:1], *OPERATOR[5:9], *DEVICE[3:5], *DEVICE, *OPERATOR, *PYTHON)))
#: Those of memory events, by the names of their fields.
MEMORY_KEYS = tuple(
    Argument(each.name, each.encode_name, int) for each in msgspec.structs.fields(MemoryArguments)
)


_PASSED_OVER = tuple(
    msgspec.defstruct(f"Phase{ord(phase)}", [], tag_field="ph", tag=phase, gc=False)
    for phase in "sftTpIPNODVvRc(),"
)

#: All phases, for a decoder.
Phase: Any = (
    Slice
    | Instant
    | Counter
    | Metadata
    | Begin
    | End
    | AsyncBegin
    | AsyncEnd
    | AsyncInstant
    | OldBegin
    | OldEnd
)
for _each in _PASSED_OVER:
    Phase |= _each
