"""CPU operators: their own time, and what they started on a device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...models import OperatorTime
from ..columns import Columns, Int32, Int64
from ..kinds import Kind
from ..nesting import NOTHING
from .launching import first, launching_calls

if TYPE_CHECKING:
    from ..traces import Trace

#: so many operators are told, those with most time first
TOLD = 1000
#: So many slices are looked at together: what is made of them on the way stays small.
BLOCK = 1 << 18


class OperatorTally:
    """Times of operators by name, in nanoseconds, over all traces that are added."""

    def __init__(self) -> None:
        self.count, self.own, self.total, self.device, self.kernels = (Counter[str]() for _ in range(5))

    def add(self, trace: Trace) -> None:
        """Count a trace's operators and the device time that they launched. Without a clock they have no time of their
        own."""
        columns, size = trace.columns, len(trace.columns.names)
        count, own, total, on_device, kernels = (np.zeros(size, np.int64) for _ in range(5))
        for operators in _blocks(np.flatnonzero(columns.kind == Kind.OPERATOR)):
            name, length = columns.name[operators], columns.lengths(operators)
            count += np.bincount(name, minlength=size)
            np.add.at(own, name, length)
            outermost = _outermost(columns, operators, trace.around)
            np.add.at(total, name[outermost], length[outermost])
            parent, taken = _taken(columns, operators, trace.around)
            np.subtract.at(own, columns.name[parent], taken)
        for device in _blocks(trace.device):
            owned = device[trace.owner[device] != NOTHING]
            name = columns.name[trace.owner[owned]]
            np.add.at(on_device, name, columns.lengths(owned))
            kernels += np.bincount(name[columns.kind[owned] <= Kind.COMMUNICATION], minlength=size)
        _count(self.count, columns, count)
        if columns.has_clock:
            _count(self.own, columns, own)
            _count(self.total, columns, total)
        _count(self.device, columns, on_device)
        _count(self.kernels, columns, kernels)

    def ranking(self) -> list[str]:
        """Names, those with most time of their own (on the CPU and on devices) first."""
        weight = {name: self.own[name] + self.device[name] for name in self.count}
        return sorted(weight, key=lambda name: (-weight[name], name))[:TOLD]

    def times(self, flops: Mapping[str, float], moved: Mapping[str, float]) -> list[OperatorTime]:
        """The wire form, in that order, with the FLOPs and bytes moved of each name."""
        return [
            OperatorTime(
                name=name,
                count=self.count[name],
                self_us=self.own[name] / 1000,
                total_us=self.total[name] / 1000,
                device_us=self.device[name] / 1000,
                kernels=self.kernels[name],
                flops=flops.get(name, 0.0),
                bytes=moved.get(name, 0.0),
            )
            for name in self.ranking()
        ]


def own_times(columns: Columns, members: Int64, around: Int32) -> Int64:
    """The time of each member without its children among the members."""
    place = np.empty(len(columns), np.int32)
    place[members] = np.arange(len(members), dtype=np.int32)
    own = columns.lengths(members)
    for block in _blocks(members):
        parent, taken = _taken(columns, block, around)
        np.subtract.at(own, place[parent], taken)
    return own


def _taken(columns: Columns, members: Int64, around: Int32) -> tuple[Int32, Int64]:
    """Of the members that lie in one: the one around, and the time that they take of it.

    A child that outlasts its parent (clocks, asynchronous ends) takes no more than the parent has.
    """
    ts, dur = columns.ts, columns.dur
    inside = members[around[members] != NOTHING]
    parent, begin = around[inside], ts[inside]
    return parent, np.minimum(begin + dur[inside], ts[parent] + dur[parent]) - begin


def launchers(columns: Columns, device: Int64) -> Int32:
    """For each slice on a device what started it on the host: the runtime's call, or else the operator.

    NOTHING where that is not known. The call's own place is sure; ids of operators were numbered differently over
    the years.
    """
    call = launching_calls(columns, device)
    unknown = call == NOTHING
    call[unknown] = _named(columns, device[unknown])
    return call.astype(np.int32)


def owners(columns: Columns, around: Int32, device: Int64, launcher: Int32) -> Int32:
    """For each slice on a device the operator that started it; NOTHING where that is not known.

    ``around``: the operator around each slice on the host. ``launcher``: what ``launchers`` found.
    """
    itself = (launcher == NOTHING) | (columns.kind[launcher] == Kind.OPERATOR)
    owner = np.where(itself, launcher, around[launcher])
    # A call outside all operators may still carry the id of one (a launch that was handed to another thread).
    rest = np.flatnonzero((owner == NOTHING) & (launcher != NOTHING))
    owner[rest] = _named(columns, device[rest])
    return owner


def _named(columns: Columns, device: Int64) -> Int64:
    """The operators whose ids slices on a device carry."""
    operators = np.flatnonzero(columns.kind == Kind.OPERATOR)
    return first(columns.external, operators, columns.external[device])


def _outermost(columns: Columns, operators: Int64, around: Int32) -> npt.NDArray[np.bool_]:
    """Which operators lie in none of their own name."""
    outermost = np.ones(len(operators), bool)
    names = columns.name[operators]
    above, place = around[operators], np.arange(len(operators))
    while (climbing := above != NOTHING).any():
        place, above = place[climbing], above[climbing]
        outermost[place[names[place] == columns.name[above]]] = False
        above = around[above]
    return outermost


def _blocks(members: Int64) -> Iterator[Int64]:
    for begin in range(0, len(members), BLOCK):
        yield members[begin : begin + BLOCK]


def _count(into: Counter[str], columns: Columns, sums: Int64) -> None:
    for name in np.flatnonzero(sums).tolist():
        into[columns.names[name]] += int(sums[name])
