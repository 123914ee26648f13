"""From events, one at a time, to columns."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .columns import NO_ID, Allocations, Columns, Lane, Sparse


class Builder:
    """Takes slices as they come. Times in whole nanoseconds, of any origin."""

    def __init__(self) -> None:
        self._ts, self._dur = array("q"), array("q")
        self._name, self._lane = array("i"), array("i")
        self._kind = array("b")
        self._correlation, self._external = array("q"), array("q")
        self._sparse: dict[str, tuple[array[int], array[int]]] = {}
        self._names: dict[str, int] = {}
        self._texts: dict[str, int] = {}
        self._lanes: dict[tuple[str, str, str, str], int] = {}

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
        self._name.append(self._names.setdefault(name, len(self._names)))
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

    def text(self, text: str) -> int:
        """The number that stands for a text in a sparse column."""
        return self._texts.setdefault(text, len(self._texts))

    def lane(self, process: str, thread: str, device: str = "", stream: str = "") -> int:
        """The number of a thread or stream."""
        return self._lanes.setdefault((process, thread, device, stream), len(self._lanes))

    def finish(
        self,
        labels: Mapping[tuple[str, str], str] | None = None,
        allocations: Callable[[int], Allocations | None] = lambda origin_ns: None,
        **others: Any,
    ) -> Columns:
        """The columns, in order. ``labels`` are those of lanes, by process and thread; ``allocations`` is given
        the origin of all times; ``others`` go to Columns."""
        labels = labels or {}
        ts, dur = _taken(self._ts, np.int64), _taken(self._dur, np.int64)
        order = np.lexsort((-dur, ts))
        place = np.empty(len(order), np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        sparse = {}
        for column, (index, values) in self._sparse.items():
            where, what = place[_taken(index, np.int32)], _taken(values, np.int64)
            rising = np.argsort(where, kind="stable")
            sparse[column] = Sparse(where[rising], what[rising])
        origin = int(ts.min()) if len(ts) else 0
        return Columns(
            ts=ts[order] - origin,
            dur=dur[order],
            name=_taken(self._name, np.int32)[order],
            lane=_taken(self._lane, np.int32)[order],
            kind=_taken(self._kind, np.int8)[order],
            correlation=_taken(self._correlation, np.int64)[order],
            external=_taken(self._external, np.int64)[order],
            names=list(self._names),
            lanes=[
                Lane(process, thread, labels.get((process, thread), ""), device, stream)
                for process, thread, device, stream in self._lanes
            ],
            sparse=sparse,
            texts=list(self._texts),
            origin_ns=origin,
            allocations=allocations(origin),
            **others,
        )


def _taken(values: array[int], dtype: Any) -> Any:
    return np.frombuffer(values, dtype=dtype) if len(values) else np.empty(0, dtype)
