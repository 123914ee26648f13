"""From a runtime's call to the kernel that it launched."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...models import LaunchTime
from ..columns import Int64
from ..kinds import Kind
from ..nesting import NOTHING
from ..positions import present
from ..traces import Trace

#: Before all times, and far enough from the smallest number to subtract a time from it.
_LONG_AGO = -(2**62)


def launch_times(trace: Trace) -> Iterator[LaunchTime]:
    """Of the kernels whose launch the trace has; a device without any is left out.

    Percentiles are interpolated linearly. Delays may be below 0: the clocks of host and device differ.
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
    """For each member (in order) when its stream was done with all earlier work: the latest end before it.

    A stream runs in order: a kernel that was called before then has waited for it.
    """
    columns = trace.columns
    found = np.full(len(members), _LONG_AGO)
    lanes = columns.lane[members]
    streams: dict[str, list[int]] = {}
    for lane in present(len(columns.lanes), lanes).tolist():
        streams.setdefault(trace.stream(lane), []).append(lane)
    for same in streams.values():
        mine = np.zeros(len(columns.lanes), bool)
        mine[same] = True
        where = np.flatnonzero(mine[lanes])
        ends = columns.ts[members[where]] + columns.dur[members[where]]
        found[where[1:]] = np.maximum.accumulate(ends)[:-1]
    return found
