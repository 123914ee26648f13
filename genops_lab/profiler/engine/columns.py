"""Events as columns of integers: what the engine keeps of a trace (about 40 bytes an operator or kernel)."""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Hashable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import msgspec

from .pieces import Event, TraceFile

COMPUTE, COMMUNICATION, MEMORY = range(3)

# Old traces capitalise their categories; other accelerators have event kinds of their own.
_KERNELS = frozenset({"kernel", "concurrent_kernel"})
# Everything that such a device does comes under one category, copies too.
_ACCELERATORS = frozenset({"mtia_ccp_events", "hpu_op"})
_COPIES = frozenset({"gpu_memcpy", "gpu_memset", "memcpy", "memset"})
_OPERATORS = frozenset({"cpu_op", "operator"})
_LAUNCHES = frozenset(
    {
        "cuda_runtime",
        "cuda_driver",
        "runtime",
        "mtia_runtime",
        "xpu_runtime",
        "xpu_driver",
        "privateuse1_runtime",
        "privateuse1_driver",
    }
)
_COMMUNICATION = re.compile(r"nccl|rccl|hccl|gloo|deep_?ep|dpsk::ep|nvshmem", re.IGNORECASE)
_TRANSFERS = re.compile(r"^(dma_|memcpy|memset)", re.IGNORECASE)
_DISTRIBUTED = re.compile(rb'"distributedInfo"\s*:\s*')

NO_ID = -1
_LARGEST = 2**62


class Operators:
    """CPU operators: one entry each in every column. Times in nanoseconds."""

    def __init__(self) -> None:
        self.start, self.end = array("q"), array("q")
        self.lane, self.name, self.external = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self.start)


class Launches:
    """Calls of a device's runtime, which start what runs on the device."""

    def __init__(self) -> None:
        self.start, self.lane = array("q"), array("q")
        self.correlation, self.external = array("q"), array("q")

    def __len__(self) -> int:
        return len(self.start)


class DeviceEvents:
    """What ran on one device: kernels and copies."""

    def __init__(self) -> None:
        self.start, self.end = array("q"), array("q")
        self.kind = array("b")
        self.name, self.correlation, self.external = array("q"), array("q"), array("q")

    def __len__(self) -> int:
        return len(self.start)


class Trace:
    """One file's columns. ``names`` are indexed by the ``name`` columns, ``lanes`` number the threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events = 0
        self.rank: int | None = None
        self.damage: list[str] = []
        self.names: list[str] = []
        self.operators, self.launches = Operators(), Launches()
        self.devices: dict[str, DeviceEvents] = {}
        self._unusable = 0
        self._name_ids: dict[str, int] = {}
        self._lane_ids: dict[Hashable, int] = {}

    @staticmethod
    def read(path: Path) -> Trace:
        """Read a file. Raises InvalidRequest when it is no trace; damage is told in ``damage``."""
        trace, source = Trace(path), TraceFile(path)
        for batch in source.batches():
            trace.events += len(batch)
            for event in batch:
                if event.ph == "X" and event.cat:
                    trace._add(event, event.cat.lower())
        trace.rank = _rank(source.head) if b"distributedInfo" in source.head else _rank(source.tail)
        if source.damage:
            trace.damage.append(source.damage)
        if source.skipped:
            trace.damage.append(f"{source.skipped} events could not be read.")
        if trace._unusable:
            trace.damage.append(f"{trace._unusable} events have no usable time.")
        return trace

    def _add(self, event: Event, category: str) -> None:
        is_operator, is_launch = category in _OPERATORS, category in _LAUNCHES
        kind = _device_kind(category, event.name)
        if kind is None and not is_operator and not is_launch:
            return
        start = nanoseconds(event.ts)
        length = nanoseconds(event.dur) if bytes(event.dur) else 0
        if start is None or length is None or length < 0:
            self._unusable += 1
            return
        arguments = event.args
        correlation = _identity(arguments.correlation) if arguments else NO_ID
        external = NO_ID
        if arguments is not None:
            given = arguments.external_id
            external = _identity(given if given is not None else arguments.external_id_old)
        if is_operator:
            operators = self.operators
            operators.start.append(start)
            operators.end.append(start + length)
            operators.lane.append(self._lane(event))
            operators.name.append(self._name(event.name))
            operators.external.append(external)
        elif kind is None:
            launches = self.launches
            launches.start.append(start)
            launches.lane.append(self._lane(event))
            launches.correlation.append(correlation)
            launches.external.append(external)
        else:
            device = self._device(event)
            device.start.append(start)
            device.end.append(start + length)
            device.kind.append(kind)
            device.name.append(self._name(event.name))
            device.correlation.append(correlation)
            device.external.append(external)

    def _device(self, event: Event) -> DeviceEvents:
        given = event.args.device if event.args is not None else None
        key = str(given if given is not None else event.pid)
        if key not in self.devices:
            self.devices[key] = DeviceEvents()
        return self.devices[key]

    def _name(self, name: str) -> int:
        found = self._name_ids.get(name)
        if found is None:
            found = self._name_ids[name] = len(self.names)
            self.names.append(name)
        return found

    def _lane(self, event: Event) -> int:
        key = (str(event.pid), str(event.tid))
        return self._lane_ids.setdefault(key, len(self._lane_ids))


def _device_kind(category: str, name: str) -> int | None:
    if category in _COPIES or (category in _ACCELERATORS and _TRANSFERS.match(name)):
        return MEMORY
    if category in _KERNELS or category in _ACCELERATORS:
        return COMMUNICATION if _COMMUNICATION.search(name) else COMPUTE
    return None


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
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, float) and math.isfinite(value):
        value = int(value)
    return value if isinstance(value, int) and 0 < value < _LARGEST else NO_ID


def _rank(text: bytes) -> int | None:
    found = _DISTRIBUTED.search(text)
    if found is None:
        return None
    try:
        info, _end = json.JSONDecoder().raw_decode(text[found.end() :].decode("utf-8", "replace"))
    except ValueError:
        return None
    rank = info.get("rank") if isinstance(info, dict) else None
    return rank if isinstance(rank, int) and rank >= 0 else None
