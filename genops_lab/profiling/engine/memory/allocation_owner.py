"""Whose the memory events of a trace are: of the line that asked for the memory, else of the operator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...models import Place
from ..attribution.lines import Lines
from ..attribution.moments import lines_of_moments
from ..columns import Allocations, Int32, Int64
from ..kinds import Kind
from ..nesting import NOTHING
from ..positions import present
from ..traces import Trace
from .holders import TOLD_FRAMES, Who

NO_OPERATOR = "(no operator around it)"


@dataclass(frozen=True)
class AllocationOwner:
    """``of`` has for each memory event a position in ``who``; ``backward``: whether the backward pass made it."""

    of: Int64
    who: list[Who]
    backward: npt.NDArray[np.bool_]

    @staticmethod
    def find(trace: Trace, found: Allocations, lines: Lines) -> AllocationOwner:
        """Of all memory events of a trace."""
        columns = trace.columns
        operator = _operators(trace, found)
        line, backward = lines_of_moments(columns, lines, found.lane, found.ts)
        # A line's number, or behind all lines that of the operator's name, or the one behind all names.
        name = np.where(operator == NOTHING, len(columns.names), columns.name[np.maximum(operator, 0)]
                        if len(columns) else len(columns.names))  # fmt: skip
        key = np.where(line == NOTHING, len(lines.places) + name, line)
        first, of = _firsts(key, len(lines.places) + len(columns.names) + 1)
        who = [
            _who(
                lines.places[int(line[event])] if line[event] != NOTHING else None,
                _calls(trace, int(operator[event])),
            )
            for event in first.tolist()
        ]
        return AllocationOwner(of, who, backward)


def _firsts(key: Int64, size: int) -> tuple[Int64, Int64]:
    """Where each key, all below ``size``, comes first, by key; and the position of each key's among these."""
    first = np.full(size, len(key), np.int64)
    # Of many values for one place the last is kept.
    first[key[::-1]] = np.arange(len(key) - 1, -1, -1)
    there = np.flatnonzero(first < len(key))
    place = np.zeros(size, np.int64)
    place[there] = np.arange(len(there))
    return first[there], place[key]


def _who(place: Place | None, calls: tuple[str, ...]) -> Who:
    if place is None:
        return Who(calls[0] if calls else NO_OPERATOR, None, "", calls)
    return Who(_line_name(place), place, "", calls)


def _line_name(place: Place) -> str:
    if place.cell:
        return place.where
    name = f"{place.file.replace(chr(92), '/').rpartition('/')[2]}:{place.line}"
    return f"{name}:{place.function}" if place.function else name


def _calls(trace: Trace, operator: int) -> tuple[str, ...]:
    """The operators around each other, the innermost first."""
    names: list[str] = []
    while operator != NOTHING and len(names) < TOLD_FRAMES:
        names.append(trace.columns.names[int(trace.columns.name[operator])])
        operator = int(trace.around[operator])
    return tuple(names)


def _operators(trace: Trace, found: Allocations) -> Int32:
    """The innermost operator around each event, on its thread; NOTHING without one."""
    columns, above = trace.columns, trace.around
    around = np.full(len(found.ts), NOTHING, np.int32)
    operators = np.flatnonzero(columns.kind == Kind.OPERATOR).astype(np.int32)
    for lane in present(len(columns.lanes), found.lane).tolist():
        events = np.flatnonzero(found.lane == lane)
        members = operators[columns.lane[operators] == lane]
        if not len(members):
            continue
        ts = found.ts[events]
        # The last operator that began before the event, or the one around it, ...: times nest on a thread.
        place = np.searchsorted(columns.ts[members], ts, side="right") - 1
        at = np.where(place >= 0, members[np.maximum(place, 0)], NOTHING)
        ended = np.flatnonzero(at != NOTHING)
        while len(ended := ended[columns.ends(at[ended]) < ts[ended]]):
            at[ended] = above[at[ended]]
            ended = ended[at[ended] != NOTHING]
        around[events] = at
    return around
