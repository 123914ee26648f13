"""Reports of Nsight Compute, written without it: by the public description of the format, field by field.

It shares nothing with the engine's reader, and the real ``ncu --import`` reads what it writes (a test says so)::

    path.write_bytes(report([kernel("gemm", us=120.0, ranges=["genops:cell:In%5B3%5D"])]))

A program that is still running is a Writer: ``head()``, then a ``block([...])`` for what ncu adds. The numbers of
metrics' names go on over all blocks of a file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Value = float | int | str
#: As ``RuleResultMessageType`` and ``RuleResultSpeedupType`` number them.
MESSAGES = {"none": 0, "info": 1, "warning": 2, "error": 3, "optimization": 4}
SPEEDUPS = {"local": 1, "global": 2}


@dataclass(frozen=True)
class Rule:
    """One rule's result; ``speedup`` in percent."""

    identifier: str
    title: str
    text: str
    kind: Literal["none", "info", "warning", "error", "optimization"] = "optimization"
    speedup: float | None = None
    of: Literal["local", "global"] = "global"
    section: str = "SpeedOfLight"


@dataclass(frozen=True)
class Kernel:
    """One result. ``kind`` other than "kernel": one of a range, a graph or a command list."""

    name: str
    metrics: Mapping[str, Value]
    grid: tuple[int, int, int] = (1, 1, 1)
    block: tuple[int, int, int] = (32, 1, 1)
    stream: int = 7
    context: int = 1
    thread: int = 4242
    #: NVTX ranges that were open at the launch, the outermost first.
    ranges: Sequence[str] = ()
    #: The same of other threads, by their numbers.
    others: Mapping[int, Sequence[str]] = field(default_factory=dict)
    #: Ranges that have a start and an end of their own (``range_start``).
    crossing: Sequence[str] = ()
    #: The CPU's call stack, the innermost first: file, function, line.
    frames: Sequence[tuple[str, str, int]] = ()
    rules: Sequence[Rule] = ()
    created: int = 1_700_000_000
    call: int = 1
    #: Values by instance behind a metric.
    instances: Mapping[str, Sequence[Value]] = field(default_factory=dict)
    kind: Literal["kernel", "range", "graph", "cmdlist"] = "kernel"
    mangled: str = ""


def kernel(
    name: str, us: float = 100.0, metrics: Mapping[str, Value] | None = None, **others: object
) -> Kernel:
    """A kernel with the metrics of the set ``basic``; ``metrics`` are put over them."""
    grid, block = others.get("grid", (64, 1, 1)), others.get("block", (256, 1, 1))
    basic: dict[str, Value] = {
        "gpu__time_duration.sum": us * 1000.0,
        "launch__device_id": 0.0,
        "launch__registers_per_thread": 32.0,
        "launch__shared_mem_per_block": 1024.0,
        "launch__waves_per_multiprocessor": 1.5,
        "launch__occupancy_limit_registers": 8.0,
        "launch__occupancy_limit_shared_mem": 16.0,
        "launch__occupancy_limit_warps": 6.0,
        "launch__occupancy_limit_blocks": 16.0,
        "sm__maximum_warps_per_active_cycle_pct": 100.0,
        "sm__warps_active.avg.pct_of_peak_sustained_active": 75.0,
        "sm__throughput.avg.pct_of_peak_sustained_elapsed": 30.0,
        "gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed": 80.0,
        "gpu__dram_throughput.avg.pct_of_peak_sustained_elapsed": 80.0,
        "l1tex__throughput.avg.pct_of_peak_sustained_active": 40.0,
        "lts__throughput.avg.pct_of_peak_sustained_elapsed": 50.0,
        "device__attribute_device_index": 0,
        "device__attribute_display_name": "NVIDIA Test GPU",
        "device__attribute_compute_capability_major": 9,
        "device__attribute_compute_capability_minor": 0,
    }
    made = Kernel(name, basic | dict(metrics or {}), grid=grid, block=block)  # type: ignore[arg-type]
    return replace(made, **{key: value for key, value in others.items() if key not in ("grid", "block")})  # type: ignore[arg-type]


class Writer:
    """The bytes of one report, part by part."""

    def __init__(self, process: int = 4242, name: str = "python") -> None:
        self.process, self.name = process, name
        self._strings: list[str] = []

    def head(self, *, command: str = "ncu -o report python", created: int = 1_700_000_000) -> bytes:
        """What a file begins with: the magic, the version, a block of the session."""
        session = _number(1, self.process) + _number(2, created)
        session += message(8, _text(1, "CUDA Version") + _text(2, "12.4")) + _text(11, command)
        version = _number(1, 7)
        return b"NVR\0" + _sized(version) + self._block(session=session)

    def block(
        self,
        kernels: Iterable[Kernel] = (),
        *,
        sources: Sequence[bytes] = (),
        process: int | None = None,
        name: str | None = None,
    ) -> bytes:
        """A block with results, of another process where one is named."""
        results: dict[str, list[bytes]] = {"kernel": [], "range": [], "cmdlist": [], "graph": []}
        before = len(self._strings)
        for each in kernels:
            results[each.kind].append(self._result(each))
        return self._block(
            sources=[_number(1, number + 1) + _bytes(4, code) for number, code in enumerate(sources)],
            results=results,
            strings=self._strings[before:],
            process=self.process if process is None else process,
            name=self.name if name is None else name,
        )

    def raw(self, results: Sequence[bytes]) -> bytes:
        """A block with these bytes as the results of kernels, whatever they are."""
        return self._block(results={"kernel": results})

    def device(self, number: int, name: str, attributes: Mapping[str, Value]) -> bytes:
        """A block that tells a device's attributes, as the session has them."""
        parts = b"".join(
            message(3, _text(1, key) + message(2, _value(value))) for key, value in attributes.items()
        )
        return self._block(session=message(6, _number(1, number) + _text(2, name) + parts))

    def _block(
        self,
        *,
        session: bytes | None = None,
        sources: Sequence[bytes] = (),
        results: Mapping[str, Sequence[bytes]] | None = None,
        strings: Sequence[str] = (),
        process: int | None = None,
        name: str = " ",
    ) -> bytes:
        found = results or {}
        payload = b"".join(
            map(
                _sized,
                [
                    *sources,
                    *(
                        each
                        for kind in ("kernel", "range", "cmdlist", "graph")
                        for each in found.get(kind, ())
                    ),
                ],
            )
        )
        header = _number(1, len(sources)) + _number(2, len(found.get("kernel", ())))
        if session is not None:
            header += message(3, session)
        header += message(4, b"".join(_text(1, each) for each in strings))
        header += _number(5, len(payload))
        header += message(6, _number(1, process or self.process) + _text(2, "127.0.0.1") + _text(3, name))
        for number, kind in ((7, "range"), (8, "cmdlist"), (9, "graph")):
            if found.get(kind):
                header += _number(number, len(found[kind]))
        return _sized(header) + payload

    def _name(self, name: str) -> int:
        if name not in self._strings:
            self._strings.append(name)
        return self._strings.index(name)

    def _result(self, of: Kernel) -> bytes:
        metrics = [self._metric(name, value, of) for name, value in of.metrics.items()]
        stack = b"".join(
            message(
                1,
                _text(1, "libpython.so")
                + _number(2, 1)
                + _text(3, file)
                + _text(4, function)
                + _number(5, line),
            )
            for file, function, line in of.frames
        )
        rules = [_rule(rule) for rule in of.rules]
        sections = [_text(1, "SpeedOfLight") + _text(2, "GPU Speed Of Light Throughput") + _number(3, 10)]
        if of.kind == "kernel":
            return b"".join(
                (
                    _number(1, of.thread), _number(2, of.call), _number(3, 1), _number(4, 1),
                    _text(5, of.mangled or of.name), _text(6, of.name.partition("(")[0]), _text(7, of.name),
                    _number(8, 3), message(9, _three((0, 0, 0))),
                    message(10, _three(of.grid)), message(11, _three(of.block)),
                    *(message(13, each) for each in metrics), _number(14, of.created),
                    message(15, _number(1, 1)), _number(16, 0),
                    *(message(17, each) for each in sections), *(message(19, each) for each in rules),
                    message(21, _nvtx(of)), _number(22, of.context), _number(23, of.stream),
                    message(25, _number(1, 1) + _number(2, 1)),
                    *((message(28, stack),) if stack else ()),
                )
            )  # fmt: skip
        common = _number(1, of.thread) + _number(2, of.call) + b"".join(message(4, each) for each in metrics)
        common += _number(5, of.created) + b"".join(message(7, each) for each in sections)
        common += message(10, _nvtx(of)) + _number(11, of.context)
        if of.kind == "range":
            return common + (message(14, stack) if stack else b"")
        common += _number(12, of.stream) + (message(16, stack) if stack else b"")
        return common + (_text(18, of.name) if of.kind == "cmdlist" else b"")

    def _metric(self, name: str, value: Value, of: Kernel) -> bytes:
        behind = b"".join(
            message(3, message(1, _number(5, number)) + message(2, _value(each)))
            for number, each in enumerate(of.instances.get(name, ()))
        )
        return _number(1, self._name(name)) + message(2, _value(value)) + behind + _number(4, 0)


def report(kernels: Iterable[Kernel], *, process: int = 4242) -> bytes:
    """A whole file with one block a kernel, as ncu writes it."""
    writer = Writer(process)
    return writer.head() + b"".join(writer.block([each]) for each in kernels)


def _rule(rule: Rule) -> bytes:
    item = message(
        1, _text(1, rule.text) + _number(2, MESSAGES[rule.kind]) + _number(3, 0) + _text(4, rule.title)
    )
    if rule.speedup is not None:
        item += message(10, _number(1, SPEEDUPS[rule.of]) + _double(2, rule.speedup))
    body = message(3, message(1, item))
    return _text(1, rule.identifier) + _text(2, rule.title) + body + _text(4, rule.section)


def _nvtx(of: Kernel) -> bytes:
    """Names are those of the default domain, number 0."""
    state = message(1, _number(1, 0) + _text(2, "<default domain>"))
    for thread, ranges in ({of.thread: of.ranges} | dict(of.others)).items():
        stack = b"".join(message(3, _text(1, name)) for name in ranges)
        if stack:
            state += message(2, _number(1, thread) + message(2, _number(1, 0) + stack))
    crossing = b"".join(
        message(3, _number(1, number + 1) + _text(2, name) + _number(5, of.thread))
        for number, name in enumerate(of.crossing)
    )
    if crossing:
        state += message(3, _number(1, 0) + crossing)
    return state + _number(4, 0)


def _three(of: tuple[int, int, int]) -> bytes:
    return b"".join(_number(number + 1, each) for number, each in enumerate(of))


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return _text(1, value)
    return _double(3, value) if isinstance(value, float) else _number(5, value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field_number: int, value: int) -> bytes:
    return _varint(field_number << 3) + _varint(value)


def _double(field_number: int, value: float) -> bytes:
    return _varint(field_number << 3 | 1) + struct.pack("<d", value)


def _bytes(field_number: int, value: bytes) -> bytes:
    return _varint(field_number << 3 | 2) + _varint(len(value)) + value


#: A message in a field of another one.
message = _bytes


def _text(field_number: int, value: str) -> bytes:
    return _bytes(field_number, value.encode())


def _sized(content: bytes) -> bytes:
    return struct.pack("<I", len(content)) + content
