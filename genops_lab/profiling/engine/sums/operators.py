"""Sum CPU operators: their own time, and the device time that they started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from ...models import OperatorTime
from ..columns import NO_ID, NOTHING, Bools, Columns, Int32, Int64, Whole
from ..kinds import Kind

if TYPE_CHECKING:
    from ..traces import Trace

#: Most operators in a summary, those with most time first.
MOST_LISTED = 1000
#: Slices per block of work, so that intermediate results stay small.
BLOCK = 1 << 18

#: Ids are consecutive, so a table by id is seldom much longer than the searched column.
DENSE = 8


class OperatorTally:
    """Times of operators by name, in nanoseconds, over all added traces."""

    def __init__(self) -> None:
        self.count, self.own, self.total, self.device, self.kernels = (Counter[str]() for _ in range(5))

    def add(self, trace: Trace) -> None:
        """Count a trace's operators and the device time that they launched. Without a clock they have no own
        time."""
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
        """Return names, most own time (CPU and devices) first."""
        weight = {name: self.own[name] + self.device[name] for name in self.count}
        return sorted(weight, key=lambda name: (-weight[name], name))[:MOST_LISTED]

    def times(self, flops: Mapping[str, float], moved: Mapping[str, float]) -> list[OperatorTime]:
        """Return the wire form in this order, with the FLOPs and bytes of each name."""
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
    """Return the time of each member without its children among the members."""
    place = np.empty(len(columns), np.int32)
    place[members] = np.arange(len(members), dtype=np.int32)
    own = columns.lengths(members)
    for block in _blocks(members):
        parent, taken = _taken(columns, block, around)
        np.subtract.at(own, place[parent], taken)
    return own


def _taken(columns: Columns, members: Int64, around: Int32) -> tuple[Int32, Int64]:
    """Return, for members inside another member, the parent and the time that they take of it.

    A child that lasts longer than its parent (clocks, asynchronous ends) takes only the parent's time.
    """
    ts, dur = columns.ts, columns.dur
    inside = members[around[members] != NOTHING]
    parent, begin = around[inside], ts[inside]
    return parent, np.minimum(begin + dur[inside], ts[parent] + dur[parent]) - begin


def launchers(columns: Columns, device: Int64) -> Int32:
    """Return, for each device slice, the runtime call or else the operator that started it on the host.

    NOTHING where it is not known. The call's operator is certain; the ids of operators changed over the
    versions.
    """
    call = launching_calls(columns, device)
    unknown = call == NOTHING
    call[unknown] = _named(columns, device[unknown])
    return call.astype(np.int32)


def owners(columns: Columns, around: Int32, device: Int64, launcher: Int32) -> Int32:
    """Return, for each device slice, the operator that started it; NOTHING where it is not known.

    ``around`` is the operator around each host slice. ``launcher`` is the result of ``launchers``.
    """
    itself = (launcher == NOTHING) | (columns.kind[launcher] == Kind.OPERATOR)
    owner = np.where(itself, launcher, around[launcher])
    # A call outside all operators may still have the id of one (a launch from another thread).
    rest = np.flatnonzero((owner == NOTHING) & (launcher != NOTHING))
    owner[rest] = _named(columns, device[rest])
    return owner


def _named(columns: Columns, device: Int64) -> Int64:
    """Return the operators whose ids device slices have."""
    operators = np.flatnonzero(columns.kind == Kind.OPERATOR)
    return first(columns.external, operators, columns.external[device])


def _outermost(columns: Columns, operators: Int64, around: Int32) -> Bools:
    """Return which operators are not inside an operator of the same name."""
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


def first(column: Whole, among: Int64, wanted: Whole) -> Int64:
    """Return, for each wanted id, the first slice ``among`` some that has it; NOTHING where there is none."""
    found = np.full(len(wanted), NOTHING, np.int64)
    given = wanted != NO_ID
    if not given.any():
        return found
    having, asked = column[among], wanted[given]
    least, most = int(asked.min()), int(asked.max())
    if most - least < DENSE * (len(having) + len(asked)):
        fits = np.flatnonzero((having >= least) & (having <= most))
        table = np.full(most - least + 1, NOTHING, np.int32)
        # Backwards, so that the first one stays.
        table[having[fits[::-1]] - least] = among[fits[::-1]]
        found[given] = table[asked - least]
        return found
    ids, place = np.unique(asked, return_inverse=True)
    at = np.searchsorted(ids, having)
    at[at == len(ids)] = 0
    fits = np.flatnonzero(ids[at] == having)
    earliest = np.full(len(ids), NOTHING, np.int64)
    earliest[at[fits[::-1]]] = among[fits[::-1]]
    found[given] = earliest[place]
    return found


def launching_calls(columns: Columns, device: Int64) -> Int64:
    """Return, for each slice of ``device``, the runtime call that started it; NOTHING where it is not known.

    The link is the correlation id; traces without one link both ends by the external id.
    """
    runtime = np.flatnonzero(columns.kind == Kind.RUNTIME)
    correlation, external = columns.correlation[device], columns.external[device]
    found = first(columns.correlation, runtime, correlation)
    process = _processes(columns)
    callers = np.unique(process[columns.lane[runtime]])
    if len(callers) > 1:
        works = process[columns.lane[device]]
        calls = {caller: runtime[process[columns.lane[runtime]] == caller] for caller in callers.tolist()}
        for work in np.unique(works).tolist():
            members = np.flatnonzero(works == work)
            own = _of_one_process(columns, device[members], calls, work)
            found[members] = np.where(own != NOTHING, own, found[members])
    unknown = (found == NOTHING) & (correlation == NO_ID)
    found[unknown] = first(columns.external, runtime, external[unknown])
    return found


def _processes(columns: Columns) -> Int64:
    """Return a process number for each lane."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(lane.process, len(numbers)) for lane in columns.lanes], np.int64)


def _of_one_process(columns: Columns, device: Int64, calls: dict[int, Int64], work: int) -> Int64:
    """Return the calls of the process that started these slices, if several processes use the same call
    ids (ranks in one file). It is the slices' own process, or else the one with most of their calls before
    them."""
    correlation = columns.correlation[device]
    if work in calls:
        return first(columns.correlation, calls[work], correlation)
    best, most = np.full(len(device), NOTHING, np.int64), 0
    for each in calls.values():
        found = first(columns.correlation, each, correlation)
        known = found != NOTHING
        before = int((columns.ts[found[known]] <= columns.ts[device[known]]).sum())
        if before > most:
            best, most = found, before
    return best
