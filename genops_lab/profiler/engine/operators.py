"""CPU operators: nesting, self time, and which of them launched what ran on a device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from .columns import NO_ID, DeviceEvents, Trace

#: so many operators are told, those with most time first
TOLD = 1000


class OperatorTally:
    """Times of operators by name, in nanoseconds, over all traces that are added."""

    def __init__(self) -> None:
        self.count: dict[str, int] = {}
        self.own: dict[str, int] = {}
        self.total: dict[str, int] = {}
        self.device: dict[str, int] = {}

    def add(self, trace: Trace) -> None:
        """Count a trace's operators and the device time that they launched."""
        owners = self._nest(trace)
        by_external = _first_index(trace.operators.external)
        for events in trace.devices.values():
            self._charge(trace, events, owners, by_external)

    def ranking(self) -> list[str]:
        """Names, those with most time of their own (on the CPU and on devices) first."""
        weight = {name: self.own[name] + self.device.get(name, 0) for name in self.count}
        return sorted(weight, key=lambda name: (-weight[name], name))[:TOLD]

    def _nest(self, trace: Trace) -> dict[int, int]:
        """Tally self and total times; the operator inside which each launch was made, by launch."""
        operators, launches = trace.operators, trace.launches
        owners: dict[int, int] = {}
        waiting = {lane: list(group) for lane, group in _by_lane(launches.lane, launches.start)}
        for lane, order in _by_lane(operators.lane, operators.start, operators.end):
            stack: list[int] = []
            calls = iter(waiting.get(lane, ()))
            call = next(calls, None)
            for index in order:
                start = operators.start[index]
                while call is not None and launches.start[call] < start:
                    _own(owners, call, launches.start[call], stack, operators.end)
                    call = next(calls, None)
                while stack and operators.end[stack[-1]] <= start:
                    stack.pop()
                self._count(trace, index, stack)
                stack.append(index)
            while call is not None:
                _own(owners, call, launches.start[call], stack, operators.end)
                call = next(calls, None)
        return owners

    def _count(self, trace: Trace, index: int, stack: list[int]) -> None:
        operators = trace.operators
        name_id = operators.name[index]
        name = trace.names[name_id]
        start, end = operators.start[index], operators.end[index]
        self.count[name] = self.count.get(name, 0) + 1
        self.own[name] = self.own.get(name, 0) + end - start
        if stack:
            # A child that outlasts its parent (clocks, asynchronous ends) takes no more than the parent has.
            parent = trace.names[operators.name[stack[-1]]]
            self.own[parent] -= min(end, operators.end[stack[-1]]) - start
        if all(operators.name[outer] != name_id for outer in stack):
            self.total[name] = self.total.get(name, 0) + end - start
        else:
            self.total.setdefault(name, 0)

    def _charge(
        self, trace: Trace, events: DeviceEvents, owners: dict[int, int], by_external: dict[int, int]
    ) -> None:
        launches = trace.launches
        by_correlation = _first_index(launches.correlation)
        launch_by_external = _first_index(launches.external)
        for index in range(len(events)):
            correlation, external = events.correlation[index], events.external[index]
            # The launch's own place is sure; ids of operators were numbered differently over the years.
            launch = by_correlation.get(correlation)
            if launch is None and correlation == NO_ID:
                launch = launch_by_external.get(external)
            owner = owners.get(launch) if launch is not None else None
            if owner is None:
                owner = by_external.get(external)
            if owner is not None:
                name = trace.names[trace.operators.name[owner]]
                self.device[name] = self.device.get(name, 0) + events.end[index] - events.start[index]


def _own(owners: dict[int, int], call: int, at: int, stack: list[int], ends: Sequence[int]) -> None:
    while stack and ends[stack[-1]] < at:
        stack.pop()
    if stack:
        owners[call] = stack[-1]


def _by_lane(
    lane: Sequence[int], start: Sequence[int], end: Sequence[int] | None = None
) -> Iterator[tuple[int, Iterator[int]]]:
    """Indices of each lane in the order of their starts, an outer interval before the inner ones."""
    if end is None:
        order = sorted(range(len(lane)), key=lambda index: (lane[index], start[index]))
    else:
        order = sorted(range(len(lane)), key=lambda index: (lane[index], start[index], -end[index]))
    return groupby(order, key=lane.__getitem__)


def _first_index(ids: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for index, id in enumerate(ids):
        if id != NO_ID:
            found.setdefault(id, index)
    return found
