"""Steps of the program: what each cost on the device."""

from __future__ import annotations

import re
from collections.abc import Iterator
from statistics import median

import numpy as np

from ...models import StepTime
from ..columns import Columns, Int64
from ..kinds import Kind, among
from ..nesting import NOTHING
from ..traces import Trace
from .devices import Shares, shares

_STEP = re.compile(r"ProfilerStep#\d+")
#: Calls that a program makes while it settles, and not afterwards.
_ONCE = re.compile(
    r"(cuda|hip)(Malloc|Free|HostAlloc|HostRegister)|(cu|hip)Module(Load|GetFunction)|(cuda|hip)LibraryLoad"
    r"|cuLibraryLoad|TorchDynamo|inductor|CompiledFxGraph|autotun|cudnnFind|triton.*compile",
    re.IGNORECASE,
)
#: A first step that is so much longer than the others has something in it that they have not.
_LONGER, _LONGER_WITHOUT_A_CAUSE = 1.5, 2.5


def step_slices(columns: Columns) -> Int64:
    """The steps' own slices on the host, in order. Old traces have them as operators."""
    named = np.array([_STEP.fullmatch(name) is not None for name in columns.names], bool)
    if not named.any():
        return np.empty(0, np.int64)
    found = np.flatnonzero(named[columns.name])
    return found[among(columns.kind[found], (Kind.ANNOTATION, Kind.OPERATOR))]


def step_of(trace: Trace, steps: Int64) -> Int64:
    """For each of ``trace.device`` the position in ``steps`` of the step that launched it; NOTHING without one.

    A slice belongs to the step in which its call began, on whichever thread. Where the trace ties no slice to a
    call at all, the clock decides.
    """
    columns = trace.columns
    call = trace.call[trace.device]
    known = call != NOTHING
    at = np.where(known, columns.ts[call], columns.ts[trace.device])
    if known.any():
        at = np.where(known, at, -1)
    place = np.searchsorted(columns.ts[steps], at, side="right") - 1
    inside = (place >= 0) & (at < columns.ts[steps][place] + columns.dur[steps][place])
    return np.where(inside, place, NOTHING)


def step_times(trace: Trace) -> Iterator[StepTime]:
    """``span_us`` is the step's length on the host; ``idle_us`` what of it its own device work did not fill."""
    columns = trace.columns
    steps = step_slices(columns)
    if not len(steps):
        return
    belongs = step_of(trace, steps)
    warm = warm_up(columns, steps)
    order = np.argsort(belongs, kind="stable")
    cuts = np.searchsorted(belongs[order], np.arange(len(steps) + 1))
    for place, step in enumerate(steps.tolist()):
        members = trace.device[order[cuts[place] : cuts[place + 1]]]
        found = shares(trace, members) if len(members) else Shares(0, 0, 0, 0, 0, 0, 0)
        length = int(columns.dur[step])
        yield StepTime(
            rank=trace.rank,
            name=columns.names[columns.name[step]],
            start_us=int(columns.ts[step]) / 1000,
            span_us=length / 1000,
            busy_us=found.busy / 1000,
            idle_us=max(0, length - found.busy) / 1000 if len(trace.device) else 0.0,
            compute_us=found.compute / 1000,
            comm_us=found.communication / 1000,
            exposed_comm_us=found.exposed_communication / 1000,
            memory_us=found.memory / 1000,
            kernels=found.kernels,
            warmup=place < warm,
        )


def warm_up(columns: Columns, steps: Int64) -> int:
    """How many steps at the start are warm-up: longer than the typical later one, with calls that happen once,
    or so much longer that something must have happened. Needs at least two steps to compare with."""
    lengths = columns.dur[steps].tolist()
    count = 0
    while count < len(lengths) - 2:
        needed = median(lengths[count + 1 :]) * _LONGER
        if lengths[count] < needed:
            break
        begin = int(columns.ts[steps[count]])
        if lengths[count] < needed / _LONGER * _LONGER_WITHOUT_A_CAUSE and not _once(
            columns, begin, begin + lengths[count]
        ):
            break
        count += 1
    return count


def _once(columns: Columns, begin: int, end: int) -> bool:
    """Whether the host did in this time what happens once."""
    first, last = np.searchsorted(columns.ts, [begin, end])
    on_host = columns.kind[first:last] < Kind.COMPUTE
    names = np.unique(columns.name[first:last][on_host]).tolist()
    return any(_ONCE.search(columns.names[name]) for name in names)
