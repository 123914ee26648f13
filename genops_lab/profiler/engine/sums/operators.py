"""CPU operators: their own time, and what they started on a device."""

from __future__ import annotations

from collections.abc import Mapping
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


class OperatorTally:
    """Times of operators by name, in nanoseconds, over all traces that are added."""

    def __init__(self) -> None:
        self.count: dict[str, int] = {}
        self.own: dict[str, int] = {}
        self.total: dict[str, int] = {}
        self.device: dict[str, int] = {}
        self.kernels: dict[str, int] = {}

    def add(self, trace: Trace) -> None:
        """Count a trace's operators and the device time that they launched."""
        columns, around = trace.columns, trace.around
        operators = np.flatnonzero(columns.kind == Kind.OPERATOR)
        names = columns.name[operators]
        outermost = _outermost(columns, operators, around)[operators]
        device = trace.device
        owner = trace.owner[device]
        owned = owner != NOTHING
        _sum(self.count, columns, names, np.ones(len(names), np.int64))
        _sum(self.own, columns, names, own_times(columns, operators, around))
        _sum(self.total, columns, names, np.where(outermost, columns.dur[operators], 0))
        owner_names = columns.name[owner[owned]]
        _sum(self.device, columns, owner_names, columns.dur[device[owned]])
        is_kernel = columns.kind[device[owned]] <= Kind.COMMUNICATION
        _sum(self.kernels, columns, owner_names, is_kernel.astype(np.int64))

    def ranking(self) -> list[str]:
        """Names, those with most time of their own (on the CPU and on devices) first."""
        weight = {name: self.own[name] + self.device.get(name, 0) for name in self.count}
        return sorted(weight, key=lambda name: (-weight[name], name))[:TOLD]

    def times(self, flops: Mapping[str, float], moved: Mapping[str, float]) -> list[OperatorTime]:
        """The wire form, in that order, with the FLOPs and bytes moved of each name."""
        return [
            OperatorTime(
                name=name,
                count=self.count[name],
                self_us=self.own[name] / 1000,
                total_us=self.total[name] / 1000,
                device_us=self.device.get(name, 0) / 1000,
                kernels=self.kernels.get(name, 0),
                flops=flops.get(name, 0.0),
                bytes=moved.get(name, 0.0),
            )
            for name in self.ranking()
        ]


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


def launchers(columns: Columns) -> Int32:
    """For each slice on a device what started it on the host: the runtime's call, or else the operator.

    NOTHING where that is not known, and for slices on the host. The call's own place is sure; ids of operators
    were numbered differently over the years.
    """
    launcher = np.full(len(columns), NOTHING, np.int32)
    device = np.flatnonzero(columns.kind >= Kind.COMPUTE)
    call = launching_calls(columns, device)
    unknown = call == NOTHING
    call[unknown] = _named(columns, device[unknown])
    launcher[device] = call
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
    owner[rest] = _named(columns, rest)
    return owner


def _named(columns: Columns, device: Int64) -> Int64:
    """The operators whose ids slices on a device carry."""
    operators = np.flatnonzero(columns.kind == Kind.OPERATOR)
    return first(columns.external, operators, columns.external[device])


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
    sums = np.zeros(len(columns.names), np.int64)
    np.add.at(sums, names, values)
    for name in np.flatnonzero(np.bincount(names, minlength=len(sums))).tolist():
        text = columns.names[name]
        into[text] = into.get(text, 0) + int(sums[name])
