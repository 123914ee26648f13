"""The events of a Chrome trace as written, decoded only as far as needed.

An event is decoded by its phase. Its arguments stay text until its kind is known, because each kind needs
only some of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from ..kinds import Kind

Raw = msgspec.Raw

#: Value of a missing number; below all numbers that are read.
MISSING = -(2**62)
#: Value of a missing text, compared by identity.
ABSENT = Raw(b"")
_NULL, _ZERO, _NOTHING = Raw(b"null"), Raw(b"0"), Raw(b"{}")


class Slice(msgspec.Struct, gc=False, tag_field="ph", tag="X"):
    """A complete event."""

    cat: str | None = None
    name: str = ""
    pid: Any = None
    tid: Any = None
    ts: Raw = _NULL
    dur: Raw = _ZERO
    args: Raw = _NOTHING


class Placed(msgspec.Struct, gc=False):
    """Another event on a thread; some fields may be missing."""

    name: str = ""
    pid: Any = None
    tid: Any = None
    ts: Raw = _NULL
    args: Raw = _NOTHING


class Metadata(Placed, gc=False, tag_field="ph", tag="M"):
    """The name of a process or a thread."""


class Instant(Placed, gc=False, tag_field="ph", tag="i"):
    """An instant; memory events are instants."""


class Counter(Placed, gc=False, tag_field="ph", tag="C"):
    """Values at one moment, by series name."""

    id: Any = None


class Begin(Placed, gc=False, tag_field="ph", tag="B"):
    """The start of a slice; ``End`` on the same thread ends the innermost one."""

    cat: str | None = None


class End(Placed, gc=False, tag_field="ph", tag="E"):
    """The end of a ``Begin``."""


class Async(msgspec.Struct, gc=False):
    """A begin or an end with an id that links it to others of its category; it has no thread."""

    cat: str | None = None
    name: str = ""
    pid: Any = None
    id: Any = None
    id2: Any = None
    scope: Any = None
    ts: Raw = _NULL


class AsyncBegin(Async, gc=False, tag_field="ph", tag="b"):
    """The begin of a slice, which may contain others with its id."""


class AsyncEnd(Async, gc=False, tag_field="ph", tag="e"):
    """The end of an ``AsyncBegin``."""


class AsyncInstant(Async, gc=False, tag_field="ph", tag="n"):
    """A moment inside an async slice."""


class OldBegin(Async, gc=False, tag_field="ph", tag="S"):
    """The begin of an async slice in the old format without nesting."""


class OldEnd(Async, gc=False, tag_field="ph", tag="F"):
    """The end of an ``OldBegin``."""


class Other(msgspec.Struct, gc=False):
    """An event whose phase alone is read: a flow."""

    ph: str = ""


class MemoryArguments(msgspec.Struct, gc=False):
    """The arguments of a memory event."""

    device: Any = msgspec.field(name="Device Id", default=None)
    bytes: Any = msgspec.field(name="Bytes", default=0)
    address: Any = msgspec.field(name="Addr", default=0)
    allocated: Any = msgspec.field(name="Total Allocated", default=MISSING)
    reserved: Any = msgspec.field(name="Total Reserved", default=MISSING)


class NameArguments(msgspec.Struct, gc=False):
    """The argument of a thread's name."""

    name: Any = None


class Argument(NamedTuple):
    """An argument: its name here (that of a column), its name in traces, and its type. Types are an integer
    (``int``), a number with a fraction (``float``), JSON text (``Raw``) or a part of the place (``str``)."""

    name: str
    key: str
    type: type


#: Arguments of a runtime call, and of kinds without others.
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
#: Arguments of an operator or an annotation.
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
#: Arguments of device work.
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
#: The arguments that are read, by kind.
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
    """Return a type that decodes ``arguments``, with the fields in their order."""
    return msgspec.defstruct(
        "Arguments",
        [
            (each.name, _TYPES[each.type], msgspec.field(name=each.key, default=_DEFAULTS[each.type]))
            for each in arguments
        ],
        gc=False,
    )


#: All arguments that are read, in the order in which profilers write them, because decoding is fastest then.
ALL = tuple(dict.fromkeys((*OPERATOR[:1], *OPERATOR[5:9], *DEVICE[3:5], *DEVICE, *OPERATOR, *PYTHON)))
#: Those of memory events, by field name.
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
