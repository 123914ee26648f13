"""Kineto and Chrome traces as columns."""

from __future__ import annotations

import json
import math
import re
from array import array
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from .building import Builder
from .columns import NO_ID, Allocations, Columns
from .kinds import Kind, kind_of
from .pieces import Arguments, Event, TraceFile

_LARGEST = 2**62
_NUMBERS = (
    *("sequence", "forward_thread", "bytes", "python_id", "python_parent", "elements", "group_size"),
    *("graph", "graph_node", "shared_memory", "registers"),
)
_TEXTS = ("dims", "strides", "types", "concrete", "grid", "block", "collective", "dtype")
_KEYS = {
    "device_properties": re.compile(rb'"deviceProperties"\s*:\s*'),
    "distributed": re.compile(rb'"distributedInfo"\s*:\s*'),
}


def read(path: Path) -> Columns:
    """Raises InvalidRequest when it is no trace, OSError; damage is told in ``damage``."""
    reading, source = _Reading(), TraceFile(path)
    for batch in source.batches():
        reading.take(batch)
    return reading.finish(source)


class _Reading:
    def __init__(self) -> None:
        self.builder = Builder()
        self.events = self.unusable = 0
        self.labels: dict[tuple[str, str], str] = {}
        self.memory = _Memory()

    def take(self, batch: list[Event]) -> None:
        self.events += len(batch)
        for event in batch:
            if event.ph == "X":
                self._slice(event)
            elif event.ph == "M":
                if (
                    event.name == "thread_name"
                    and event.args is not None
                    and isinstance(event.args.name, str)
                ):
                    self.labels[str(event.pid), str(event.tid)] = event.args.name
            elif event.ph == "i" and event.name == "[memory]" and event.args is not None:
                ts = nanoseconds(event.ts)
                if ts is not None:
                    self.memory.add(ts, self.builder.lane(str(event.pid), str(event.tid)), event.args)

    def _slice(self, event: Event) -> None:
        kind = kind_of(event.cat or "", event.name)
        start = nanoseconds(event.ts)
        length = nanoseconds(event.dur) if bytes(event.dur) else 0
        if start is None or length is None or length < 0:
            self.unusable += kind != Kind.OTHER
            return
        arguments = event.args
        correlation = external = NO_ID
        device = stream = ""
        if arguments is not None:
            correlation = _identity(arguments.correlation)
            given = arguments.external_id
            external = _identity(given if given is not None else arguments.external_id_old)
            if kind in (Kind.WAIT, Kind.DEVICE_ANNOTATION) or kind >= Kind.COMPUTE:
                stream = "" if arguments.stream is None else str(arguments.stream)
        if kind >= Kind.COMPUTE:
            found = arguments.device if arguments is not None else None
            device = str(found if found is not None else event.pid)
        builder = self.builder
        lane = builder.lane(str(event.pid), str(event.tid), device, stream)
        number = builder.add(start, length, event.name, lane, kind, correlation, external)
        if arguments is None:
            return
        for column in _NUMBERS:
            value = getattr(arguments, column)
            if value is not None and isinstance(value, int) and -_LARGEST < value < _LARGEST:
                builder.mark(number, column, value)
        for column in _TEXTS:
            text = bytes(getattr(arguments, column))
            if text and text != b"null":
                builder.mark(number, column, builder.text(text.decode("utf-8", "replace")))

    def finish(self, source: TraceFile) -> Columns:
        around = source.head + b" " + source.tail
        info = _value(around, "distributed")
        info = info if isinstance(info, dict) else {}
        properties = _value(around, "device_properties")
        damage = [source.damage] if source.damage else []
        if source.skipped:
            damage.append(f"{source.skipped} events could not be read.")
        if self.unusable:
            damage.append(f"{self.unusable} events have no usable time.")
        return self.builder.finish(
            self.labels,
            allocations=self.memory.table,
            events=self.events,
            rank=_natural(info.get("rank")),
            world_size=_natural(info.get("world_size")),
            device_properties=(
                [item for item in properties if isinstance(item, dict)]
                if isinstance(properties, list)
                else []
            ),
            damage=damage,
        )


class _Memory:
    """What the allocators did: ``[memory]`` events of a profile with ``profile_memory``."""

    def __init__(self) -> None:
        self._columns = {name: array("q") for name in ("ts", "lane", "device", "bytes", "address")}
        self._columns |= {name: array("q") for name in ("allocated", "reserved")}
        self._devices: dict[str, int] = {}

    def add(self, ts: int, lane: int, arguments: Arguments) -> None:
        number = arguments.memory_device
        device = str(number) if isinstance(number, int) and number >= 0 else "cpu"
        values = (
            ts,
            lane,
            self._devices.setdefault(device, len(self._devices)),
            _number(arguments.memory_bytes, 0),
            _number(arguments.address, 0),
            _number(arguments.allocated, NO_ID),
            _number(arguments.reserved, NO_ID),
        )
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def table(self, origin_ns: int) -> Allocations | None:
        if not self._columns["ts"]:
            return None
        taken = {name: np.frombuffer(column, np.int64) for name, column in self._columns.items()}
        order = np.argsort(taken["ts"], kind="stable")
        taken = {name: column[order] for name, column in taken.items()}
        return Allocations(
            ts=taken["ts"] - origin_ns,
            lane=taken["lane"].astype(np.int32),
            device=taken["device"].astype(np.int8),
            bytes=taken["bytes"],
            address=taken["address"],
            allocated=taken["allocated"],
            reserved=taken["reserved"],
            devices=list(self._devices),
        )


def nanoseconds(raw: bytes | msgspec.Raw) -> int | None:
    """Microseconds as written (``1717.25``, ``"12"``, ``1e3``) in whole nanoseconds; None: no finite number."""
    text = bytes(raw).decode("ascii", "replace").strip('" ')
    try:
        if text.isdigit():
            value = int(text) * 1000
        else:
            scaled = Decimal(text) * 1000
            value = (
                int(scaled.to_integral_value()) if scaled.is_finite() and scaled.adjusted() < 20 else _LARGEST
            )
    except (InvalidOperation, ValueError):
        return None
    return value if -_LARGEST < value < _LARGEST else None


def _identity(value: Any) -> int:
    """A correlation or external id; 0 and what is no number mean none."""
    number = _number(value, NO_ID)
    return number if number > 0 else NO_ID


def _number(value: Any, otherwise: int) -> int:
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    return value if isinstance(value, int) and -_LARGEST < value < _LARGEST else otherwise


def _natural(value: Any) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _value(text: bytes, key: str) -> Any:
    """What a key of the document has; None where it is not there or not whole."""
    found = _KEYS[key].search(text)
    if found is None:
        return None
    try:
        return json.JSONDecoder().raw_decode(text[found.end() :].decode("utf-8", "replace"))[0]
    except ValueError:
        return None
