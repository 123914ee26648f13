"""Sum device time by line of the user's code.

Device work belongs to the line that started it. The correlation id of the launch leads to the launching call,
and the marker or Python frame around that call gives the line. Work of the backward pass belongs to the line
of the forward operator whose gradient it computes. Where that is not known (accumulation of gradients,
reductions over ranks), it belongs to the line that called ``backward``. Nothing is guessed: work without a
line is listed by operator or kernel.
"""

from __future__ import annotations

import numpy as np

from ...models import Attribution, LineTime, Place, Unattributed
from ..columns import NOTHING, Bools, Columns, Int32, Int64, Whole, present, summed
from ..kinds import Kind
from ..traces import Trace
from .lines import Lines, PlacesOf, lines_of_moments

#: Most operators of a line; most lines and most unattributed names.
OPERATORS_OF_A_LINE = 3
MOST_LISTED = 1000
#: Up to this many keys, sums use a table instead of sorting.
TABLE = 1 << 20


class AttributionTally:
    """Attribution over all added traces, in nanoseconds."""

    def __init__(self) -> None:
        self._lines: dict[Place, _Line] = {}
        self._unattributed: dict[str, int] = {}
        self._device = self._forward = self._forward_attributed = 0
        self._markers = self._stacks = False

    def add(self, trace: Trace) -> PlacesOf:
        """Count a trace's device time by line. Return the function that maps slices to lines."""
        columns = trace.columns
        lines = Lines(columns)
        self._markers |= lines.by_markers
        self._stacks |= lines.by_stacks
        device = trace.device
        line, in_backward = _lines_of(columns, lines, trace.launcher)
        length = columns.lengths(device)
        self._device += int(length.sum())
        self._forward += int(length[~in_backward].sum())
        self._forward_attributed += int(length[~in_backward & (line != NOTHING)].sum())
        owner = trace.owner[device]
        label = np.where(owner == NOTHING, columns.name[device], columns.name[owner])
        known = line != NOTHING
        for name, total in _sums(label[~known], length[~known]):
            text = columns.names[name]
            self._unattributed[text] = self._unattributed.get(text, 0) + total
        kernels = (columns.kind[device] <= Kind.COMMUNICATION)[known]
        self._count(columns, lines, line[known], length[known], in_backward[known], kernels)
        named = known & (owner != NOTHING)
        self._name(columns, lines, line[named], columns.name[owner[named]], length[named])
        return PlacesOf(trace, lines, line)

    def _count(
        self, columns: Columns, lines: Lines, line: Int64, length: Whole, backward: Bools, kernels: Bools
    ) -> None:
        size = len(lines.places)
        total = summed(line, length, size)
        of_backward = summed(line[backward], length[backward], size)
        launches = np.bincount(line[kernels], minlength=size)
        host = lines.host_times() if columns.has_clock else np.zeros(size, np.int64)
        for number, place in enumerate(lines.places):
            if total[number] or host[number] or launches[number]:
                into = self._lines.setdefault(place, _Line())
                into.device += int(total[number])
                into.backward += int(of_backward[number])
                into.kernels += int(launches[number])
                into.cpu += int(host[number])

    def _name(self, columns: Columns, lines: Lines, line: Int64, operator: Int32, length: Whole) -> None:
        names = len(columns.names)
        for pair, total in _sums(line * names + operator, length):
            operators = self._lines[lines.places[pair // names]].operators
            text = columns.names[pair % names]
            operators[text] = operators.get(text, 0) + total

    def result(self) -> Attribution | None:
        """Return the attribution; None without devices and lines."""
        if not self._device and not self._lines:
            return None
        ranking = sorted(
            self._lines.items(),
            key=lambda item: (-item[1].device, -item[1].cpu, item[0].file, item[0].line, item[0].function),
        )
        rest = sorted(self._unattributed.items(), key=lambda item: (-item[1], item[0]))
        return Attribution(
            by="markers" if self._markers else "stacks" if self._stacks else "none",
            device_us=self._device / 1000,
            attributed_us=sum(line.device for line in self._lines.values()) / 1000,
            forward_us=self._forward / 1000,
            forward_attributed_us=self._forward_attributed / 1000,
            lines=[line.as_wire(place) for place, line in ranking[:MOST_LISTED]],
            unattributed=[
                Unattributed(name=name, device_us=total / 1000) for name, total in rest[:MOST_LISTED]
            ],
        )


class _Line:
    def __init__(self) -> None:
        self.device = self.backward = self.cpu = self.kernels = 0
        self.operators: dict[str, int] = {}

    def as_wire(self, place: Place) -> LineTime:
        most = sorted(self.operators.items(), key=lambda item: (-item[1], item[0]))[:OPERATORS_OF_A_LINE]
        return LineTime(
            place=place,
            device_us=self.device / 1000,
            backward_us=self.backward / 1000,
            cpu_us=self.cpu / 1000,
            kernels=self.kernels,
            operators=[name for name, _ in most],
        )


def _lines_of(columns: Columns, lines: Lines, launch: Int32) -> tuple[Int64, Bools]:
    """Return the line of each launch, and whether the launch is in the backward pass."""
    # Many kernels share one launch (CUDA graphs); each launch is looked up once.
    started = np.flatnonzero(launch != NOTHING)
    at = present(len(columns), launch[started])
    of_launch = np.searchsorted(at, launch[started])
    found, backward = lines_of_moments(columns, lines, columns.lane[at], columns.ts[at])
    line = np.full(len(launch), NOTHING, np.int64)
    line[started] = found[of_launch]
    in_backward = np.zeros(len(launch), bool)
    in_backward[started] = backward[of_launch]
    return line, in_backward


def _sums(keys: Whole, values: Whole) -> list[tuple[int, int]]:
    if not len(keys) or int(keys.max()) < TABLE:
        there = np.flatnonzero(np.bincount(keys))
        sums = summed(keys, values, int(there.max(initial=-1)) + 1)[there]
    else:
        there, place = np.unique(keys, return_inverse=True)
        sums = summed(place, values, len(there))
    return list(zip(there.tolist(), sums.tolist(), strict=True))
