"""Slices as msgspec decoded them, one object each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from ..columns import Int32, Int64
from .events import (
    ABSENT,
    ARGUMENTS,
    DEVICE,
    FIELDS,
    IN_TEXT,
    IN_WHOLE,
    MEMORY_KEYS,
    MISSING,
    Argument,
    Written,
)
from .parts import Numbering
from .slices import Given, Mask, MemoryEvents, NumberOf, Row, per_mille, remembered_kind_of
from .times import LARGEST, all_nanoseconds, of_numbers, of_whole_numbers

#: No text of JSON has this byte, and the decoder refuses it.
BETWEEN = b"\0"
_NO_TEXT = (bytes(ABSENT), b"null")


class Odd(Exception):
    """A number is larger, or a time finer, than what is read so."""


class DecodedSlices:
    """See ``Slices``. Raises Odd."""

    def __init__(self, slices: list[Any], written: Written) -> None:
        self._slices = slices
        self._arguments = [each.args for each in slices]
        self.ts = times([each.ts for each in slices], written)
        self.dur = times([each.dur for each in slices], written)
        self._rows, self.row = self._by_row()
        #: Who was asked for last, most often for many arguments.
        self._chosen: Mask | None = None
        self._members: npt.NDArray[np.intp] = np.empty(0, np.intp)
        self._theirs: list[Any] = []

    def _by_row(self) -> tuple[list[Row], Int32]:
        shared, finer = Numbering(), Numbering()
        row = np.array([shared[each.cat, each.name, each.pid, each.tid] for each in self._slices], np.int32)
        rows = [
            Row(category, name, process, thread, None, None) for category, name, process, thread in shared
        ]
        # Only those of devices are looked at once more.
        of_device = np.array(
            [ARGUMENTS[remembered_kind_of(each.category or "", each.name)] is DEVICE for each in rows], bool
        )
        members = np.flatnonzero(of_device[row])
        given = [self._arguments[place] for place in members.tolist()]
        row[members] = [
            len(rows) + finer[number, its.device, its.stream]
            for number, its in zip(row[members].tolist(), given, strict=True)
        ]
        return rows + [
            rows[number]._replace(device=device, stream=stream) for number, device, stream in finer
        ], row

    def rows(self) -> list[Row]:
        return self._rows

    def keep(self, kept: Mask) -> None:
        self.ts, self.dur, self.row = self.ts[kept], self.dur[kept], self.row[kept]
        self._arguments = [self._arguments[place] for place in np.flatnonzero(kept).tolist()]

    def whole(self, name: str) -> Int64 | None:
        return integers(FIELDS[name](self._arguments))

    def given(self, argument: Argument, chosen: Mask, number_of: NumberOf) -> Given | None:
        if chosen is not self._chosen:
            self._chosen, self._members = chosen, np.flatnonzero(chosen)
            self._theirs = [self._arguments[place] for place in self._members.tolist()]
        fields = FIELDS[argument.name](self._theirs)
        if argument.type is int:
            values = integers(fields)
        elif argument.type is float:
            values = None if _all_missing(fields) else per_mille(np.array(fields, np.float64))
        else:
            values = _numbers(fields, number_of)
        if values is None:
            return None
        given = np.abs(values) < LARGEST
        return Given(self._members[given], values[given]) if given.any() else None


def memory_events(events: list[Any], written: Written) -> MemoryEvents | None:
    """Those among instants; None without any. Raises Odd."""
    found = [event for event in events if event.name == "[memory]"]
    if not found:
        return None
    threads = Numbering()
    thread = np.array([threads[each.pid, each.tid] for each in found], np.int32)
    given = [each.args for each in found]
    columns = {each.name: integers(FIELDS[each.name](given)) for each in MEMORY_KEYS}
    arguments = {name: values for name, values in columns.items() if values is not None}
    return MemoryEvents(times([each.ts for each in found], written), thread, list(threads), arguments)


def times(micros: Sequence[Any], written: Written) -> Int64:
    """As nanoseconds. Raises Odd."""
    if written is IN_TEXT:
        return all_nanoseconds(micros)
    found = of_whole_numbers(micros) if written is IN_WHOLE else of_numbers(micros)
    if found is None:
        raise Odd
    return found


def integers(values: Sequence[int | None]) -> Int64 | None:
    """None where all are missing. Raises Odd."""
    if _all_missing(values):
        return None
    try:
        return np.array(values, np.int64)
    except TypeError:
        return integers([MISSING if each is None else each for each in values])
    except OverflowError as error:
        raise Odd from error


def _all_missing(values: Sequence[Any]) -> bool:
    # Most often the first one tells that they are not.
    return not values or (values[0] == MISSING and values.count(MISSING) == len(values))


def _numbers(texts: Sequence[msgspec.Raw], number_of: NumberOf) -> Int64 | None:
    if texts.count(ABSENT) == len(texts):
        return None
    distinct = Numbering()
    number = [distinct[each] for each in _all_bytes(texts)]
    table = [MISSING if each in _NO_TEXT else number_of(each) for each in distinct]
    return np.array(table, np.int64)[number]


def _all_bytes(texts: Sequence[msgspec.Raw]) -> list[bytes]:
    """Of each its bytes: one by one that takes four times as long as cutting all of them."""
    return BETWEEN.join(texts).split(BETWEEN)
