"""Read the graph of an ONNX file: inputs, outputs, weights, operators, and where external weights lie.

Source of the field numbers: ``onnx/onnx.proto`` of the repository onnx/onnx.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .judged import Header, Judged, code, data
from .models import ModelField
from .protobuf import Entry, entries, numbers, text
from .source import Damaged, Source

FORMAT = "ONNX"
MAX_NAME = 4096
MAX_RANK = 64
MAX_DEPTH = 12
MAX_SHOWN = 200
MAX_EXTERNALS = 10_000
MAX_SIZE = 1 << 62

#: Domains whose operators are built into ONNX runtimes.
DOMAINS = frozenset(
    [
        "",
        "ai.onnx",
        "ai.onnx.ml",
        "ai.onnx.training",
        "ai.onnx.preview",
        "ai.onnx.preview.training",
        "com.microsoft",
        "com.microsoft.nchwc",
        "com.ms.internal.nhwc",
    ]
)
#: Bits and name of the types of ``TensorProto.DataType``.
DTYPES: dict[int, tuple[int, str]] = {
    1: (32, "fp32"), 2: (8, "uint8"), 3: (8, "int8"), 4: (16, "uint16"), 5: (16, "int16"), 6: (32, "int32"),
    7: (64, "int64"), 8: (0, "string"), 9: (8, "bool"), 10: (16, "fp16"), 11: (64, "fp64"), 12: (32, "uint32"),
    13: (64, "uint64"), 14: (64, "complex64"), 15: (128, "complex128"), 16: (16, "bf16"), 17: (8, "fp8"),
    18: (8, "fp8"), 19: (8, "fp8"), 20: (8, "fp8"), 21: (4, "uint4"), 22: (4, "int4"), 23: (4, "fp4"),
    24: (8, "fp8"), 25: (2, "uint2"), 26: (2, "int2"),
}  # fmt: skip
#: Names of the same types in signatures.
_LONG = {"fp32": "float32", "fp16": "float16", "fp64": "float64", "bf16": "bfloat16"}


@dataclass
class _Graph:
    inputs: list[ModelField] = field(default_factory=list)
    outputs: list[ModelField] = field(default_factory=list)
    weights: set[str] = field(default_factory=set)
    dtypes: dict[str, int] = field(default_factory=dict)
    domains: set[str] = field(default_factory=set)
    externals: dict[str, int] = field(default_factory=dict)


def judge(source: Source) -> Judged:
    """Judge an ONNX file. Raises Damaged and TooLarge."""
    graph = _Graph()
    found_graph = version = False
    own: set[str] = set()
    for entry in entries(source):
        if entry.number == 1 and not entry.is_range:
            version = True
        elif entry.number == 7 and entry.is_range:
            found_graph = True
            _graph(source, entry, graph, 0)
        elif entry.number == 20 and entry.is_range:  # how to go on training
            for inner in entries(source, entry.start, entry.start + entry.length):
                if inner.number in (1, 2):
                    _graph(source, inner, graph, 1)
        elif entry.number == 25 and entry.is_range:
            own.add(_function(source, entry, graph))
    if not (found_graph and version):
        raise Damaged("It has no ONNX graph.")
    for location in graph.externals:
        problem = escape(location)
        if problem:
            raise Damaged(f"Its weights lie in {location[:80]!r}, {problem}.")
    inputs = tuple(each for each in graph.inputs if each.name not in graph.weights)
    header = Header(
        dtypes=graph.dtypes,
        inputs=inputs[:MAX_SHOWN],
        outputs=tuple(graph.outputs[:MAX_SHOWN]),
        externals=tuple(graph.externals.items()),
    )
    foreign = sorted(graph.domains - DOMAINS - own)
    if foreign:
        unsafe = code(
            FORMAT, f"It uses operators of {foreign[0][:80]!r}: a library with native code must bring them."
        )
        return Judged(format=unsafe.format, verdict=unsafe.verdict, reason=unsafe.reason, header=header)
    return data(FORMAT, header=header)


def escape(location: str) -> str:
    """Say why the location of external weights leaves the model's folder; empty if it does not."""
    parts = location.replace("\\", "/").split("/")
    if location.startswith(("/", "\\")) or ":" in parts[0]:
        return "which is no path in the model's folder"
    if ".." in parts or not location or not location.isprintable():
        return "which is outside of the model's folder"
    return ""


def _inner(source: Source, entry: Entry) -> list[Entry]:
    if not entry.is_range:
        raise Damaged("It has a number where a message belongs.")
    return list(entries(source, entry.start, entry.start + entry.length))


def _graph(source: Source, entry: Entry, graph: _Graph, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Damaged(f"It nests graphs over {MAX_DEPTH} levels.")
    if not entry.is_range:
        raise Damaged("It has a number where a graph belongs.")
    for inner in entries(source, entry.start, entry.start + entry.length):
        if inner.number == 1:
            _node(source, inner, graph, depth)
        elif inner.number == 5:
            _tensor(source, inner, graph)
        elif inner.number == 15:  # sparse: values and indices are tensors
            for each in _inner(source, inner):
                if each.number in (1, 2):
                    _tensor(source, each, graph)
        elif inner.number in (11, 12) and depth == 0:
            (graph.inputs if inner.number == 11 else graph.outputs).append(_value(source, inner))


def _function(source: Source, entry: Entry, graph: _Graph) -> str:
    domain = ""
    for inner in _inner(source, entry):
        if inner.number == 7:
            _node(source, inner, graph, 1)
        elif inner.number == 10:
            domain = text(source, inner, MAX_NAME)
    return domain


def _node(source: Source, entry: Entry, graph: _Graph, depth: int) -> None:
    domain = ""
    for inner in _inner(source, entry):
        if inner.number == 7:
            domain = text(source, inner, MAX_NAME)
        elif inner.number == 5:
            for each in _inner(source, inner):
                if each.number in (6, 11):
                    _graph(source, each, graph, depth + 1)
                elif each.number in (5, 10):
                    _tensor(source, each, graph, counts=False)
                elif each.number in (22, 23):
                    for part in _inner(source, each):
                        if part.number in (1, 2):
                            _tensor(source, part, graph, counts=False)
    graph.domains.add(domain)


def _tensor(source: Source, entry: Entry, graph: _Graph, *, counts: bool = True) -> None:
    count, dtype, name, external = 1, 0, "", False
    place: dict[str, str] = {}
    for inner in _inner(source, entry):
        if inner.number == 1:
            for length in numbers(source, inner, MAX_RANK):
                count *= length
                if count > MAX_SIZE:
                    raise Damaged("A tensor in it has an impossible shape.")
        elif inner.number == 2:
            dtype = inner.value
        elif inner.number == 8:
            name = text(source, inner, MAX_NAME)
        elif inner.number == 13:
            key, value = "", ""
            for each in _inner(source, inner):
                if each.number == 1:
                    key = text(source, each, MAX_NAME)
                elif each.number == 2:
                    value = text(source, each, MAX_NAME)
            place[key] = value
        elif inner.number == 14:
            external = inner.value == 1
    bits, known = DTYPES.get(dtype, (0, f"type {dtype}"))
    if counts:
        graph.weights.add(name)
        graph.dtypes[known] = graph.dtypes.get(known, 0) + count
    if external or place:
        location = place.get("location", "")
        offset, length = _place(place.get("offset", "0")), _place(place.get("length", "0"))
        end = offset + (length or (count * bits + 7) // 8)
        graph.externals[location] = max(end, graph.externals.get(location, 0))
        if len(graph.externals) > MAX_EXTERNALS:
            raise Damaged(f"Its weights lie in over {MAX_EXTERNALS:,} files.")


def _place(number: str) -> int:
    if not (number.isascii() and number.isdigit()) or len(number) > 18:
        raise Damaged("The place of its external weights is no number.")
    return int(number)


def _value(source: Source, entry: Entry) -> ModelField:
    name, kind = "", "?"
    for inner in _inner(source, entry):
        if inner.number == 1:
            name = text(source, inner, MAX_NAME)
        elif inner.number == 2:
            kind = _type(source, inner)
    return ModelField(name=name[:200], type=kind)


def _type(source: Source, entry: Entry) -> str:
    for inner in _inner(source, entry):
        if inner.number != 1:
            return {4: "sequence", 5: "map", 8: "sparse tensor", 9: "optional"}.get(inner.number, "?")
        dtype, shape = 0, ""
        for each in _inner(source, inner):
            if each.number == 1:
                dtype = each.value
            elif each.number == 2:
                lengths = [_length(source, one) for one in _inner(source, each) if one.number == 1]
                shape = f"[{', '.join(lengths[:MAX_RANK])}]"
        known = DTYPES.get(dtype, (0, "?"))[1]
        return _LONG.get(known, known) + shape
    return "?"


def _length(source: Source, entry: Entry) -> str:
    for inner in _inner(source, entry):
        if inner.number == 1:
            return str(inner.value)
        if inner.number == 2:
            return text(source, inner, MAX_NAME)[:40] or "?"
    return "?"
