"""The events of a Chrome trace as they are written, decoded no further than they are asked for.

An event is decoded by its phase; its arguments stay text until its kind is known, then only what that kind needs is
read. Times stay text, for a double cannot hold nanoseconds since 1970.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .kinds import Kind

Raw = msgspec.Raw

#: Stands where a number is not given; below all numbers that are read.
MISSING = -(2**62)
#: Stands where a text is not given. It is told by identity.
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

    pid: Any = None
    tid: Any = None
    ts: Raw = _NULL


class Other(msgspec.Struct, gc=False):
    """An event of which only the phase is looked at: a flow, a counter."""

    ph: str = ""


_PASSED_OVER = tuple(
    msgspec.defstruct(f"Phase{ord(phase)}", [], tag_field="ph", tag=phase, gc=False)
    for phase in "sftCbneSTpFIPNODVvRc(),"
)
Phase: Any = Slice | Metadata | Instant | Begin | End
for _each in _PASSED_OVER:
    Phase = Phase | _each


class CallArguments(msgspec.Struct, gc=False):
    """Of a call of a runtime, and of what no one asks more about."""

    external_id: Any = msgspec.field(name="External id", default=MISSING)
    external_id_old: Any = msgspec.field(name="external id", default=MISSING)
    correlation: Any = MISSING


class PythonArguments(CallArguments, gc=False):
    """Of a function of Python."""

    python_parent: Any = msgspec.field(name="Python parent id", default=MISSING)
    python_id: Any = msgspec.field(name="Python id", default=MISSING)


class OperatorArguments(CallArguments, gc=False):
    """Of an operator or an annotation."""

    sequence: Any = msgspec.field(name="Sequence number", default=MISSING)
    forward_thread: Any = msgspec.field(name="Fwd thread id", default=MISSING)
    concrete: Raw = msgspec.field(name="Concrete Inputs", default=ABSENT)
    types: Raw = msgspec.field(name="Input type", default=ABSENT)
    strides: Raw = msgspec.field(name="Input Strides", default=ABSENT)
    dims: Raw = msgspec.field(name="Input Dims", default=ABSENT)
    stack: Raw = msgspec.field(name="Call stack", default=ABSENT)
    module: Raw = msgspec.field(name="Module Hierarchy", default=ABSENT)
    elements: Any = msgspec.field(name="In msg nelems", default=MISSING)
    group_size: Any = msgspec.field(name="Group size", default=MISSING)
    collective: Raw = msgspec.field(name="Collective name", default=ABSENT)
    dtype: Raw = ABSENT


class DeviceArguments(CallArguments, gc=False):
    """Of what ran on a device."""

    device: Any = None
    stream: Any = None
    bytes: Any = MISSING
    registers: Any = msgspec.field(name="registers per thread", default=MISSING)
    shared_memory: Any = msgspec.field(name="shared memory", default=MISSING)
    grid: Raw = ABSENT
    block: Raw = ABSENT
    occupancy_percent: Any = msgspec.field(name="est. achieved occupancy %", default=MISSING)
    graph: Any = msgspec.field(name="graph id", default=MISSING)
    graph_node: Any = msgspec.field(name="graph node id", default=MISSING)
    elements: Any = msgspec.field(name="In msg nelems", default=MISSING)
    group_size: Any = msgspec.field(name="Group size", default=MISSING)
    collective: Raw = msgspec.field(name="Collective name", default=ABSENT)
    dtype: Raw = ABSENT


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


_CLASSES: dict[Kind, type[CallArguments]] = {
    Kind.OPERATOR: OperatorArguments,
    Kind.ANNOTATION: OperatorArguments,
    Kind.PYTHON: PythonArguments,
    **dict.fromkeys(
        (Kind.WAIT, Kind.DEVICE_ANNOTATION, Kind.COMPUTE, Kind.COMMUNICATION, Kind.COPY, Kind.FILL),
        DeviceArguments,
    ),
}
#: What is read of the arguments, by kind.
ARGUMENTS = {kind: _CLASSES.get(kind, CallArguments) for kind in Kind}
#: Sparse columns by class of arguments. The values of the first are numbers, those of the second texts.
NUMBERS: dict[type[CallArguments], tuple[str, ...]] = {
    CallArguments: (),
    PythonArguments: ("python_parent", "python_id"),
    OperatorArguments: ("sequence", "forward_thread", "elements", "group_size"),
    DeviceArguments: (
        *("bytes", "registers", "shared_memory", "graph", "graph_node", "elements", "group_size"),
    ),
}
TEXTS: dict[type[CallArguments], tuple[str, ...]] = {
    CallArguments: (),
    PythonArguments: (),
    OperatorArguments: ("concrete", "types", "strides", "dims", "stack", "module", "collective", "dtype"),
    DeviceArguments: ("grid", "block", "collective", "dtype"),
}
