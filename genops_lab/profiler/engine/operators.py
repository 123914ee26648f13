"""CPU operators: their own time, and what they started on a device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

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
        self.kernels: dict[str, int] = {}

    def add(self, columns: Columns, origin: Origins) -> None:
        """Count a trace's operators and the device time that they launched."""
        around = origin.around
        operators = np.flatnonzero(columns.kind == Kind.OPERATOR)
        names = columns.name[operators]
        outermost = _outermost(columns, operators, around)[operators]
        device = np.flatnonzero(columns.kind >= Kind.COMPUTE)
        owner = origin.owner[device]
        owned = owner != NOTHING
        _sum(self.count, columns, names, np.ones(len(names), np.int64))
        _sum(self.own, columns, names, own_times(columns, operators, around))
        _sum(self.total, columns, names, np.where(outermost, columns.dur[operators], 0))
        _sum(self.device, columns, columns.name[owner[owned]], columns.dur[device[owned]])
        kernels = owned & (columns.kind[device] <= Kind.COMMUNICATION)
        _sum(self.kernels, columns, columns.name[owner[kernels]], np.ones(int(kernels.sum()), np.int64))

    def ranking(self) -> list[str]:
        """Names, those with most time of their own (on the CPU and on devices) first."""
        weight = {name: self.own[name] + self.device.get(name, 0) for name in self.count}
        return sorted(weight, key=lambda name: (-weight[name], name))[:TOLD]


class Origins(NamedTuple):
    """What started what, for each slice; NOTHING where that is not known. Made once, asked by many."""

    #: The operator around a slice on the host.
    around: Int32
    #: Of a slice on a device: see ``launchers``, ``owners``.
    launcher: Int32
    owner: Int32


def origins(columns: Columns) -> Origins:
    """The operators around and behind each slice."""
    around, launcher = parents(columns, [Kind.OPERATOR]), launchers(columns)
    return Origins(around, launcher, owners(columns, around, launcher))


def own_times(columns: Columns, members: Int64, around: Int32) -> Int64:
    """The time of each member without its children among the members.

    A child that outlasts its parent (clocks, asynchronous ends) takes no more than the parent has.
    """
    own: Int64 = columns.dur.copy()
    inside = members[around[members] != NOTHING]
    parent = around[inside]
    taken = np.minimum(columns.end[inside], columns.end[parent]) - columns.ts[inside]
    np.subtract.at(own, parent, taken)
    mine: Int64 = own[members]
    return mine


def launchers(columns: Columns) -> Int32:
    """For each slice on a device what started it on the host: the runtime's call, or else the operator.

    NOTHING where that is not known, and for slices on the host. The call's own place is sure; ids of operators
    were numbered differently over the years.
    """
    launcher = np.full(len(columns), NOTHING, np.int32)
    device = np.flatnonzero(columns.kind >= Kind.COMPUTE)
    runtime = np.flatnonzero(columns.kind == Kind.RUNTIME)
    correlation, external = columns.correlation[device], columns.external[device]
    call = _First.of(columns.correlation, runtime).find(correlation)
    by_external = _First.of(columns.external, runtime)
    call = np.where((call == NOTHING) & (correlation == NO_ID), by_external.find(external), call)
    operators = np.flatnonzero(columns.kind == Kind.OPERATOR)
    named = _First.of(columns.external, operators).find(external)
    launcher[device] = np.where(call == NOTHING, named, call)
    return launcher


def owners(columns: Columns, around: Int32, launcher: Int32 | None = None) -> Int32:
    """For each slice on a device the operator that started it; NOTHING where that is not known.

    ``around``: the operator around each slice on the host.
    """
    owner = np.full(len(columns), NOTHING, np.int32)
    launcher = launchers(columns) if launcher is None else launcher
    device = np.flatnonzero(launcher != NOTHING)
    by = launcher[device]
    owner[device] = np.where(columns.kind[by] == Kind.OPERATOR, by, around[by])
    # A call outside all operators may still carry the id of one (a launch that was handed to another thread).
    rest = device[owner[device] == NOTHING]
    operators = np.flatnonzero(columns.kind == Kind.OPERATOR)
    owner[rest] = _First.of(columns.external, operators).find(columns.external[rest])
    return owner


def main_operators(columns: Columns, owner: Int32) -> dict[int, str]:
    """For each kernel (a position in ``names``) the operator that launched most of its time."""
    device = np.flatnonzero((columns.kind >= Kind.COMPUTE) & (owner != NOTHING))
    pairs = columns.name[device].astype(np.int64) * len(columns.names) + columns.name[owner[device]]
    present, place = np.unique(pairs, return_inverse=True)
    total = np.zeros(len(present), np.int64)
    np.add.at(total, place, columns.dur[device])
    # Rising, so that the last of a kernel is the one with most; of equal ones the first in the trace's order.
    order = np.lexsort((-present, total))
    return {
        pair // len(columns.names): columns.names[pair % len(columns.names)]
        for pair in present[order].tolist()
    }


@dataclass(frozen=True)
class _First:
    """The first slice that has an id."""

    ids: Int64
    slices: Int64

    @staticmethod
    def of(column: Int64, among: Int64) -> _First:
        given = among[column[among] != NO_ID]
        ids, first = np.unique(column[given], return_index=True)
        return _First(ids, given[first])

    def find(self, wanted: Int64) -> Int64:
        """The slices, NOTHING where there is none."""
        if not len(self.ids):
            return np.full(len(wanted), NOTHING, np.int64)
        place = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[place] == wanted, self.slices[place], NOTHING)


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
