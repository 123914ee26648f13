"""CPU operators: their own time, and what they started on a device."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .columns import NO_ID, Columns, Int32, Int64
from .kinds import Kind
from .nesting import NOTHING, parents

#: so many operators are told, those with most time first
TOLD = 1000


class OperatorTally:
    """Times of operators by name, in nanoseconds, over all traces that are added."""

    def __init__(self) -> None:
        self.count: dict[str, int] = {}
        self.own: dict[str, int] = {}
        self.total: dict[str, int] = {}
        self.device: dict[str, int] = {}

    def add(self, columns: Columns) -> None:
        """Count a trace's operators and the device time that they launched."""
        around = parents(columns, [Kind.OPERATOR])
        operators = np.flatnonzero(columns.kind == Kind.OPERATOR)
        names = columns.name[operators]
        outermost = _outermost(columns, operators, around)[operators]
        device = np.flatnonzero(columns.kind >= Kind.COMPUTE)
        owner = owners(columns, around)[device]
        owned = owner != NOTHING
        _sum(self.count, columns, names, np.ones(len(names), np.int64))
        _sum(self.own, columns, names, own_times(columns, operators, around))
        _sum(self.total, columns, names, np.where(outermost, columns.dur[operators], 0))
        _sum(self.device, columns, columns.name[owner[owned]], columns.dur[device[owned]])

    def ranking(self) -> list[str]:
        """Names, those with most time of their own (on the CPU and on devices) first."""
        weight = {name: self.own[name] + self.device.get(name, 0) for name in self.count}
        return sorted(weight, key=lambda name: (-weight[name], name))[:TOLD]


def own_times(columns: Columns, members: Int64, around: Int32) -> Int64:
    """The time of each member without its children among the members.

    A child that outlasts its parent (clocks, asynchronous ends) takes no more than the parent has.
    """
    ts, dur = columns.ts[members], columns.dur[members]
    place = np.empty(len(columns), np.int32)
    place[members] = np.arange(len(members), dtype=np.int32)
    inside = np.flatnonzero(around[members] != NOTHING)
    parent = place[around[members[inside]]]
    taken = np.minimum(ts[inside] + dur[inside], ts[parent] + dur[parent]) - ts[inside]
    np.subtract.at(dur, parent, taken)
    return dur


def owners(columns: Columns, around: Int32) -> Int32:
    """For each slice on a device the operator that started it; NOTHING where that is not known.

    The launch's own place is sure; ids of operators were numbered differently over the years.
    """
    owner = np.full(len(columns), NOTHING, np.int32)
    device = np.flatnonzero(columns.kind >= Kind.COMPUTE)
    runtime = np.flatnonzero(columns.kind == Kind.RUNTIME)
    correlation, external = columns.correlation[device], columns.external[device]
    launch = _first(columns.correlation, runtime, correlation)
    # Without a correlation, the external id of a call.
    unknown = (launch == NOTHING) & (correlation == NO_ID)
    launch[unknown] = _first(columns.external, runtime, external[unknown])
    found = np.where(launch == NOTHING, NOTHING, around[launch])
    del launch, runtime
    unknown = found == NOTHING
    operators = np.flatnonzero(columns.kind == Kind.OPERATOR)
    found[unknown] = _first(columns.external, operators, external[unknown])
    owner[device] = found
    return owner


def _first(column: Int64, among: Int64, wanted: Int64) -> Int64:
    """For each id that is wanted the first slice ``among`` some that has it; NOTHING where there is none."""
    found = np.full(len(wanted), NOTHING, np.int64)
    given = wanted != NO_ID
    if not given.any():
        return found
    ids, place = np.unique(wanted[given], return_inverse=True)
    having = column[among]
    at = np.searchsorted(ids, having)
    at[at == len(ids)] = 0
    asked = np.flatnonzero(ids[at] == having)
    first = np.full(len(ids), NOTHING, np.int64)
    # Backwards, so that the first one stays.
    first[at[asked[::-1]]] = among[asked[::-1]]
    found[given] = first[place]
    return found


def _outermost(columns: Columns, operators: Int64, around: Int32) -> npt.NDArray[np.bool_]:
    """Which operators lie in none of their own name."""
    outermost = np.ones(len(columns), bool)
    names = columns.name
    above = around[operators]
    while (climbing := above != NOTHING).any():
        operators, above = operators[climbing], above[climbing]
        outermost[operators[names[operators] == names[above]]] = False
        above = around[above]
    return outermost


def _sum(into: dict[str, int], columns: Columns, names: Int32, values: Int64) -> None:
    present, place = np.unique(names, return_inverse=True)
    sums = np.zeros(len(present), np.int64)
    np.add.at(sums, place, values)
    for name, value in zip(present.tolist(), sums.tolist(), strict=True):
        text = columns.names[name]
        into[text] = into.get(text, 0) + value
