"""Devices and their streams: exact unions of intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ...models import DeviceTime, KernelTime, StreamTime
from ..columns import Int64
from ..intervals import exposed_length, span, union_length
from ..kinds import Kind
from ..positions import present
from ..traces import Trace

TOP_KERNELS = 10


class Shares(NamedTuple):
    """Of some device slices, nanoseconds of the unions by what they are."""

    span: int
    busy: int
    compute: int
    communication: int
    exposed_communication: int
    memory: int
    kernels: int


def shares(trace: Trace, members: Int64) -> Shares:
    """The lengths of the unions of ``members``; copies and fills count as memory and as no kernels."""
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
    """The devices of a rank. ``kernels``: those of each, without copies and fills."""
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
    """As the trace names it; "" where it does not.

    A device whose number has no properties has those of the first when all devices are alike (a process that
    sees one device of several numbers it 0 in the properties).
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
    """The streams of a rank's devices, in the order of their names."""
    columns = trace.columns
    for key, members in trace.devices.items():
        lanes = columns.lane[members]
        by_name: dict[str, list[int]] = {}
        for lane in present(len(columns.lanes), lanes).tolist():
            by_name.setdefault(trace.stream(lane), []).append(lane)
        for name in sorted(by_name, key=lambda each: (not each.isdigit(), each.zfill(20))):
            mine = np.zeros(len(columns.lanes), bool)
            mine[by_name[name]] = True
            found = shares(trace, members[mine[lanes]])
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
