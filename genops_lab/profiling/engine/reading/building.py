"""From events, one at a time, to columns."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..columns import NO_ID, Allocations, Columns
from .parts import MEMORY, Joined, Numbering, Part


class Builder:
    """Takes slices as they come. Times in whole nanoseconds, of any origin."""

    def __init__(self) -> None:
        self._ts, self._dur = array("q"), array("q")
        self._name, self._lane = array("i"), array("i")
        self._kind = array("b")
        self._correlation, self._external = array("q"), array("q")
        self._sparse: dict[str, tuple[array[int], array[int]]] = {}
        self._memory: list[array[int]] = [array("q") for _ in MEMORY]
        self._names, self._texts = Numbering(), Numbering()
        self._lanes, self._devices = Numbering(), Numbering()

    def add(
        self,
        ts: int,
        dur: int,
        name: str,
        lane: int,
        kind: int,
        correlation: int = NO_ID,
        external: int = NO_ID,
    ) -> int:
        """Returns the slice's number, for ``mark``."""
        self._ts.append(ts)
        self._dur.append(dur)
        self._name.append(self._names[name])
        self._lane.append(lane)
        self._kind.append(kind)
        self._correlation.append(correlation)
        self._external.append(external)
        return len(self._ts) - 1

    def mark(self, slice_number: int, column: str, value: int) -> None:
        """Give the newest slice a value of a sparse column."""
        index, values = self._sparse.setdefault(column, (array("i"), array("q")))
        index.append(slice_number)
        values.append(value)

    def mark_text(self, slice_number: int, column: str, text: str) -> None:
        """Give the newest slice a text."""
        self.mark(slice_number, column, self.text(text))

    def text(self, text: str) -> int:
        """The number that stands for a text in a sparse column."""
        return self._texts[text]

    def lane(self, process: str, thread: str, device: str = "", stream: str = "") -> int:
        """The number of a thread or stream."""
        return self._lanes[process, thread, device, stream]

    def add_memory(
        self,
        ts: int,
        lane: int,
        device: str,
        size: int,
        address: int,
        allocated: int = NO_ID,
        reserved: int = NO_ID,
    ) -> None:
        """``size`` bytes were taken on ``device``, or given back (below 0); what the allocator has afterwards."""
        values = (ts, lane, self._devices[device], size, address, allocated, reserved)
        for column, value in zip(self._memory, values, strict=True):
            column.append(value)

    def part(self) -> Part:
        """What was taken, as it came."""
        return Part(
            slices={
                "ts": _taken(self._ts, np.int64),
                "dur": _taken(self._dur, np.int64),
                "name": _taken(self._name, np.int32),
                "lane": _taken(self._lane, np.int32),
                "kind": _taken(self._kind, np.int8),
                "correlation": _taken(self._correlation, np.int64),
                "external": _taken(self._external, np.int64),
            },
            names=list(self._names),
            lanes=list(self._lanes),
            sparse={
                column: (_taken(index, np.int32), _taken(values, np.int64))
                for column, (index, values) in self._sparse.items()
            },
            texts=list(self._texts),
            memory=(
                {name: _taken(column, np.int64) for name, column in zip(MEMORY, self._memory, strict=True)}
                if self._memory[0]
                else {}
            ),
            memory_devices=list(self._devices),
        )

    def finish(
        self,
        labels: Mapping[tuple[str, str], str] | None = None,
        allocations: Callable[[int], Allocations | None] | None = None,
        **others: Any,
    ) -> Columns:
        """The columns, in order. ``labels`` are those of lanes, by process and thread; ``allocations`` is given
        the origin of all times; ``others`` go to Columns."""
        part = self.part()
        part.labels = dict(labels or {})
        joined = Joined()
        joined.add(part)
        columns = joined.columns(**others)
        if allocations is None:
            return columns
        return dataclasses.replace(columns, allocations=allocations(columns.origin_ns))


def _taken(values: array[int], dtype: Any) -> Any:
    return np.frombuffer(values, dtype=dtype) if len(values) else np.empty(0, dtype)
