"""Sum device work by device, stream, kernel, launch and step: exact unions of intervals."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from statistics import median
from typing import NamedTuple

import numpy as np

from ...models import DeviceTime, KernelTime, LaunchTime, StepTime, StreamTime
from ..columns import NOTHING, Columns, Int32, Int64, present, summed
from ..intervals import exposed_length, span, union_length
from ..kinds import Kind, among
from ..traces import Trace

TOP_KERNELS = 10


class Shares(NamedTuple):
    """Lengths of the unions of some device slices by kind, in nanoseconds."""

    span: int
    busy: int
    compute: int
    communication: int
    exposed_communication: int
    memory: int
    kernels: int


def shares(trace: Trace, members: Int64) -> Shares:
    """Return the lengths of the unions of ``members``. Copies and fills count as memory, not as kernels."""
    kinds = trace.columns.kind[members]
    everything = trace.intervals(members)
    compute = trace.intervals(members[kinds == Kind.COMPUTE])
    communication = trace.intervals(members[kinds == Kind.COMMUNICATION])
    return Shares(
        span=span(everything),
        busy=union_length(everything),
        compute=union_length(compute),
        communication=union_length(communication),
        exposed_communication=exposed_length(communication, compute),
        memory=union_length(trace.intervals(members[kinds >= Kind.COPY])),
        kernels=int((kinds <= Kind.COMMUNICATION).sum()),
    )


def device_times(trace: Trace, kernels: Mapping[str, list[KernelTime]]) -> Iterator[DeviceTime]:
    """Return the devices of a rank. ``kernels`` are the kernels of each device, without copies and fills."""
    for key, members in trace.devices.items():
        found = shares(trace, members)
        span = found.span if trace.columns.has_clock else found.busy
        yield DeviceTime(
            device=key,
            rank=trace.rank,
            span_us=span / 1000,
            busy_us=found.busy / 1000,
            idle_us=(span - found.busy) / 1000,
            compute_us=found.compute / 1000,
            comm_us=found.communication / 1000,
            exposed_comm_us=found.exposed_communication / 1000,
            memory_us=found.memory / 1000,
            kernels=found.kernels,
            top_kernels=kernels[key][:TOP_KERNELS],
            model=device_model(trace, key),
        )


def device_model(trace: Trace, key: str) -> str:
    """Return the device's model as the trace names it; "" where it does not.

    A device without properties gets those of the first device when all devices are alike. A process that sees
    one of several devices numbers it 0 in the properties.
    """
    models = {
        str(each.get("id")): str(each["name"])
        for each in trace.columns.device_properties
        if isinstance(each.get("name"), str)
    }
    if key in models:
        return models[key]
    alike = set(models.values())
    return alike.pop() if len(alike) == 1 else ""


def stream_times(trace: Trace) -> Iterator[StreamTime]:
    """Return the streams of a rank's devices, sorted by name."""
    for key, members in trace.devices.items():
        streams = trace.streams(members)
        for name in sorted(streams, key=lambda each: (not each.isdigit(), each.zfill(20))):
            found = shares(trace, members[streams[name]])
            yield StreamTime(
                device=key,
                rank=trace.rank,
                stream=name,
                busy_us=found.busy / 1000,
                compute_us=found.compute / 1000,
                comm_us=found.communication / 1000,
                memory_us=found.memory / 1000,
                kernels=found.kernels,
            )


#: Earlier than all times, with room to subtract a time without overflow.
_LONG_AGO = -(2**62)


def launch_times(trace: Trace) -> Iterator[LaunchTime]:
    """Return launch times of the kernels whose launch is in the trace. A device without any is left out.

    Percentiles are interpolated linearly. Delays may be negative, because the clocks of host and device
    differ.
    """
    columns = trace.columns
    for key, members in trace.devices.items():
        reach = earlier_ends(trace, members)
        launched = (columns.kind[members] <= Kind.COMMUNICATION) & (trace.call[members] != NOTHING)
        kernels, calls = members[launched], trace.call[members[launched]]
        if not len(kernels):
            continue
        called = columns.ts[calls]
        delay = columns.ts[kernels] - called
        queue = np.clip(reach[launched] - called, 0, np.maximum(delay, 0))
        call_length = columns.dur[calls]
        middle, late = np.percentile(delay, [50, 90]).tolist()
        yield LaunchTime(
            device=key,
            rank=trace.rank,
            launches=len(kernels),
            call_p50_us=float(np.median(call_length)) / 1000,
            delay_p50_us=middle / 1000,
            delay_p90_us=late / 1000,
            delay_max_us=int(delay.max()) / 1000,
            queue_p50_us=float(np.median(queue)) / 1000,
            shorter_than_call=int((columns.dur[kernels] < call_length).sum()),
        )


def earlier_ends(trace: Trace, members: Int64) -> Int64:
    """Return, for each member in order, the end of all earlier work of its stream.

    A stream runs in order, so a kernel that was launched earlier waited for this end.
    """
    columns = trace.columns
    found = np.full(len(members), _LONG_AGO)
    for where in trace.streams(members).values():
        ends = columns.ts[members[where]] + columns.dur[members[where]]
        found[where[1:]] = np.maximum.accumulate(ends)[:-1]
    return found


_KINDS: dict[int, str] = {
    Kind.COMPUTE: "compute",
    Kind.COMMUNICATION: "communication",
    Kind.COPY: "copy",
    Kind.FILL: "fill",
}

#: A table of this many pairs is always small enough.
LEAST_PAIRS = 1 << 16
#: Kernels by the key of their device.
Tables = dict[str, list[KernelTime]]


def kernels_and_others(trace: Trace) -> tuple[Tables, Tables]:
    """Return the kernels of each device, and its copies and fills, which count as a separate kind."""
    kind = trace.columns.kind
    tables: tuple[Tables, Tables] = {}, {}
    for key, members in trace.devices.items():
        computes = kind[members] <= Kind.COMMUNICATION
        for table, mine in zip(tables, (computes, ~computes), strict=True):
            table[key] = kernel_times(trace, members[mine])
    return tables


def kernel_times(trace: Trace, members: Int64) -> list[KernelTime]:
    """Return kernels sorted by total time, then by name."""
    columns = trace.columns
    name, durations, size = columns.name[members], columns.lengths(members), len(columns.names)
    count = np.bincount(name, minlength=size)
    total = summed(name, durations, size)
    shortest = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(shortest, name, durations)
    longest = np.zeros(size, np.int64)
    np.maximum.at(longest, name, durations)
    kinds = np.zeros(size, np.int8)
    kinds[name] = columns.kind[members]
    launchers = _main_launchers(columns, name, trace.owner[members])
    found = [
        KernelTime(
            name=columns.names[each],
            count=int(count[each]),
            total_us=int(total[each]) / 1000,
            min_us=int(shortest[each]) / 1000,
            max_us=int(longest[each]) / 1000,
            operator=launchers.get(each, ""),
            kind=_KINDS[int(kinds[each])],  # type: ignore[arg-type]
        )
        for each in np.flatnonzero(count).tolist()
    ]
    return sorted(found, key=lambda each: (-each.total_us, each.name))


def merged(tables: Iterable[list[KernelTime]]) -> Iterator[KernelTime]:
    """Return the kernels of several devices and ranks by name, most total time first."""
    rows: dict[str, list[KernelTime]] = {}
    for table in tables:
        for kernel in table:
            rows.setdefault(kernel.name, []).append(kernel)
    together = [
        KernelTime(
            name=name,
            count=sum(each.count for each in same),
            total_us=sum(round(each.total_us * 1000) for each in same) / 1000,
            min_us=min(each.min_us for each in same),
            max_us=max(each.max_us for each in same),
            operator=max(same, key=lambda each: each.total_us).operator,
            kind=same[0].kind,
        )
        for name, same in rows.items()
    ]
    yield from sorted(together, key=lambda each: (-each.total_us, each.name))


def _main_launchers(columns: Columns, name: Int32, owner: Int32) -> dict[int, str]:
    """Return, for each kernel name, the operator that launched most of its slices."""
    known, size = owner != NOTHING, len(columns.names)
    name, operator = name[known], columns.name[owner[known]]
    kernels, operators = present(size, name), present(size, operator)
    # A table of all pairs seldom has more places than there are slices.
    if len(kernels) * len(operators) <= len(name) + LEAST_PAIRS:
        numbers = np.zeros((2, size), np.int64)
        numbers[0, kernels], numbers[1, operators] = np.arange(len(kernels)), np.arange(len(operators))
        counts = np.bincount(numbers[0][name] * len(operators) + numbers[1][operator])
        pairs = np.flatnonzero(counts)
        count = counts[pairs]
        pairs = kernels[pairs // len(operators)] * size + operators[pairs % len(operators)]
    else:
        pairs, count = np.unique(name.astype(np.int64) * size + operator, return_counts=True)
    order = np.argsort(count, kind="stable")
    # The last entry of a name is the most frequent.
    return {pair // size: columns.names[pair % size] for pair in pairs[order].tolist()}


_STEP = re.compile(r"ProfilerStep#\d+")
#: Calls of a program's start-up phase.
_ONCE = re.compile(
    r"(cuda|hip)(Malloc|Free|HostAlloc|HostRegister)|(cu|hip)Module(Load|GetFunction)|(cuda|hip)LibraryLoad"
    r"|cuLibraryLoad|TorchDynamo|inductor|CompiledFxGraph|autotun|cudnnFind|triton.*compile",
    re.IGNORECASE,
)
#: A first step that is this many times longer than the others includes one-time work.
_LONGER, _LONGER_WITHOUT_A_CAUSE = 1.5, 2.5


def step_slices(columns: Columns) -> Int64:
    """Return the steps' slices on the host, in order. Old traces record them as operators."""
    named = np.array([_STEP.fullmatch(name) is not None for name in columns.names], bool)
    if not named.any():
        return np.empty(0, np.int64)
    found = np.flatnonzero(named[columns.name])
    return found[among(columns.kind[found], (Kind.ANNOTATION, Kind.OPERATOR))]


def step_of(trace: Trace, steps: Int64) -> Int64:
    """Return, for each slice of ``trace.device``, the position in ``steps`` of the step that launched it;
    NOTHING without one.

    A slice belongs to the step during which its call began, on any thread. If the trace links no slice to a
    call, the slice's own time decides.
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
    """Return the times of steps. ``span_us`` is the step's length on the host; ``idle_us`` is the part that
    its own device work did not fill."""
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
    """Return the number of warm-up steps at the start. They are longer than the typical later step, and have
    one-time calls or are much longer. Needs at least two later steps."""
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
    """Return whether the host did one-time work in this period."""
    first, last = np.searchsorted(columns.ts, [begin, end])
    on_host = columns.kind[first:last] < Kind.COMPUTE
    names = np.unique(columns.name[first:last][on_host]).tolist()
    return any(_ONCE.search(columns.names[name]) for name in names)
