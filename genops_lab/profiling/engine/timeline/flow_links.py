"""What a slice is tied to elsewhere: what it launched, and its backward pass."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..columns import NO_ID, Columns, Int64
from ..kinds import Kind
from ..nesting import NOTHING
from .tiles import Timeline

_NOTHING = np.empty(0, np.int64)


class Gradients(NamedTuple):
    """Operators of the backward pass that belong to an operator, or the one that it belongs to itself."""

    backward: Int64
    forward: int | None


def launches(columns: Columns, number: int) -> tuple[Int64, int | None]:
    """What a slice launched, and what launched it."""
    correlation = int(columns.correlation[number])
    if correlation == NO_ID:
        return _NOTHING, None
    same = np.flatnonzero(columns.correlation == correlation)
    kinds = columns.kind[same]
    if columns.kind[number] == Kind.RUNTIME:
        return same[kinds >= Kind.COMPUTE], None
    if columns.kind[number] >= Kind.COMPUTE:
        calls = same[kinds == Kind.RUNTIME]
        return _NOTHING, int(calls[0]) if len(calls) else None
    return _NOTHING, None


def gradients(timeline: Timeline, number: int, around: list[int]) -> Gradients:
    """``around``: what the slice lies in, the outermost first. An operator has the backward pass of what lies in it."""
    columns = timeline.columns
    if columns.kind[number] != Kind.OPERATOR:
        return Gradients(_NOTHING, None)
    known = timeline.backward
    for each in (number, *reversed(around)):
        place = int(np.searchsorted(known.operators, each))
        if place < len(known.operators) and known.operators[place] == each:
            forward = int(known.forward[place])
            if forward != NOTHING:
                return Gradients(_NOTHING, forward)
    start, end = int(columns.ts[number]), int(columns.ts[number]) + int(columns.dur[number])
    given = np.flatnonzero(known.forward != NOTHING)
    forward_of = known.forward[given]
    inside = (
        (columns.lane[forward_of] == columns.lane[number])
        & (columns.ts[forward_of] >= start)
        & (columns.ends(forward_of) <= end)
    )
    return Gradients(_outermost(columns, known.operators[given[inside]]), None)


def _outermost(columns: Columns, rising: Int64) -> Int64:
    """Those that lie in no other: a node of the graph is evaluated by an operator around it."""
    found, until = [], dict[int, int]()
    for number in rising.tolist():
        lane, end = int(columns.lane[number]), int(columns.ts[number]) + int(columns.dur[number])
        if end > until.get(lane, -1):
            found.append(number)
            until[lane] = end
    return np.array(found, np.int64)
