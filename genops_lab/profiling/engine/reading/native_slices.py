"""Slices as ``native`` found them."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from ..columns import Int32, Int64
from .events import MISSING, Argument
from .native import Scanned
from .slices import Given, Mask, MemoryEvents, NumberOf, Row, per_mille

_value = msgspec.json.Decoder(str | int | None)


class ScannedSlices:
    """See ``Slices``."""

    def __init__(self, scanned: Scanned) -> None:
        self._scanned = scanned
        self.ts, self.dur, self.row = scanned.ts, scanned.dur, scanned.row
        self._arguments = dict(scanned.arguments)
        self._numbers = np.full(len(scanned.tokens), -1, np.int64)

    def rows(self) -> list[Row]:
        rows = self._scanned.rows
        value: dict[int, Any] = {each: _written(self._scanned, each) for each in np.unique(rows).tolist()}
        return [
            Row(
                value[category],
                value[name] or "",
                value[process],
                value[thread],
                value[device],
                value[stream],
            )
            for category, name, process, thread, device, stream in rows.tolist()
        ]

    def keep(self, kept: Mask) -> None:
        self.ts, self.dur, self.row = self.ts[kept], self.dur[kept], self.row[kept]
        place = np.cumsum(kept, dtype=np.int32) - 1
        for name, (index, values) in self._arguments.items():
            its = kept[index]
            self._arguments[name] = place[index[its]], values[its]

    def whole(self, name: str) -> Int64 | None:
        given = self._arguments.get(name)
        if given is None:
            return None
        return _dense(given, len(self.ts))

    def given(self, argument: Argument, chosen: Mask, number_of: NumberOf) -> Given | None:
        found = self._arguments.get(argument.name)
        if found is None:
            return None
        index, values = found
        its = chosen[index]
        if not its.all():
            index, values = index[its], values[its]
        if argument.type is float:
            values = self._per_mille(values)
            index, values = index[values != MISSING], values[values != MISSING]
        elif argument.type is not int:
            values = self._numbered(values, number_of)
        return Given(index, values)

    def _per_mille(self, tokens: Int64) -> Int64:
        distinct, place = np.unique(tokens, return_inverse=True)
        percents = [float(self._scanned.tokens[each]) for each in distinct.tolist()]
        return per_mille(np.array(percents, np.float64))[place.reshape(-1)]

    def _numbered(self, tokens: Int64, number_of: NumberOf) -> Int64:
        numbers = self._numbers
        for each in np.unique(tokens[numbers[tokens] < 0]).tolist():
            numbers[each] = number_of(self._scanned.tokens[each])
        found: Int64 = numbers[tokens]
        return found


def memory_events(scanned: Scanned) -> MemoryEvents | None:
    """None without any."""
    if not len(scanned.memory_ts):
        return None
    # Both tokens of a thread in one number.
    threads, thread = np.unique(scanned.memory_threads.view(np.int64), return_inverse=True)
    tokens = threads.view(np.int32).reshape(-1, 2).tolist()
    written = [(_written(scanned, process), _written(scanned, thread)) for process, thread in tokens]
    size = len(scanned.memory_ts)
    arguments = {name: _dense(given, size) for name, given in scanned.memory_arguments.items()}
    return MemoryEvents(scanned.memory_ts, thread.reshape(-1), written, arguments)


def _written(scanned: Scanned, token: int) -> Any:
    return _value.decode(scanned.tokens[token]) if token >= 0 else None


def _dense(given: tuple[Int32, Int64], size: int) -> Int64:
    found = np.full(size, MISSING, np.int64)
    found[given[0]] = given[1]
    return found
