"""Sum up all traces of a profile."""

from __future__ import annotations

from itertools import islice

import numpy as np

from ...models import (
    Advice,
    CpuTime,
    DeviceTime,
    IdleTime,
    KernelTime,
    LaunchTime,
    MemorySummary,
    ProfileSummary,
    StepTime,
    StreamTime,
)
from .. import threads
from ..advice import Collectives, Context, advise, collectives_of, over_ranks, straggler
from ..attribution.lines import PlacesOf
from ..attribution.totals import AttributionTally
from ..efficiency.roofline import RooflineTally
from ..intervals import span, union_length
from ..kinds import Kind
from ..memory.allocations import MemoryTally
from ..nsight_compute.totals import MeasuredTally
from ..traces import Trace
from .devices import device_times, kernels_and_others, launch_times, merged, step_times, stream_times
from .idle import idle_times
from .operators import MOST_LISTED, OperatorTally


class Sums:
    """The sums; each rank's trace is added in turn."""

    def __init__(self) -> None:
        self._events = 0
        self._damage: list[str] = []
        self._incomplete = False
        self._tally, self._memory = OperatorTally(), MemoryTally()
        #: CPU time in nanoseconds, summed over traces, because the clocks of several hosts have no common
        #: zero.
        self._span = self._busy = 0
        self._attribution, self._roofline = AttributionTally(), RooflineTally()
        self._measured = MeasuredTally()
        self._devices: list[DeviceTime] = []
        self._kernels: list[list[KernelTime]] = []
        self._streams: list[StreamTime] = []
        self._steps: list[StepTime] = []
        self._launches: list[LaunchTime] = []
        self._idle: list[IdleTime] = []
        self._ranks: list[int] = []
        self._advice: list[Advice] = []
        self._collectives: list[Collectives] = []

    def add(self, trace: Trace, file: str) -> None:
        """Add a trace. ``file`` names it in messages on damage; "" for the only trace."""
        self._ranks.append(trace.rank)
        self._events += trace.columns.events
        damage, taken = trace.columns.damage, trace.columns.rank not in (None, trace.rank)
        if taken:
            damage = [
                *damage,
                f"Another file also has rank {trace.columns.rank}: this one is shown as rank {trace.rank}.",
            ]
        self._damage += [f"{file}: {what}" if file else what for what in damage]
        self._incomplete |= trace.columns.incomplete
        trace.find()
        places_of, _ = threads.both(lambda: self._add_lines(trace), lambda: self._add_work(trace))
        trace.columns.rest()
        case = Context(trace, places_of=places_of)
        if trace.columns.has_clock:
            self._idle += idle_times(trace.rank, case.gaps_of)
            trace.columns.rest()
            if not taken:
                # A second recording of a rank does not wait for ranks of this one.
                self._collectives.append(collectives_of(case))
        self._advice += advise(case)

    def _add_lines(self, trace: Trace) -> PlacesOf:
        places_of = self._attribution.add(trace)
        self._measured.add(trace, places_of)
        trace.columns.rest()
        self._memory.add(trace, places_of.lines)
        trace.columns.rest()
        return places_of

    def _add_work(self, trace: Trace) -> None:
        of_clocks = (self._add_cpu, self._roofline.add, self._add_steps) if trace.columns.has_clock else ()
        for add in (self._tally.add, self._add_devices, *of_clocks):
            add(trace)
            # Each sum reads other columns.
            trace.columns.rest()

    def _add_cpu(self, trace: Trace) -> None:
        intervals = trace.intervals(np.flatnonzero(trace.columns.kind == Kind.OPERATOR))
        self._span += span(intervals)
        self._busy += union_length(intervals)

    def _add_devices(self, trace: Trace) -> None:
        kernels, others = kernels_and_others(trace)
        self._devices += device_times(trace, kernels)
        self._kernels += [*kernels.values(), *others.values()]
        self._streams += stream_times(trace)

    def _add_steps(self, trace: Trace) -> None:
        self._steps += step_times(trace)
        self._launches += launch_times(trace)

    def add_snapshot(self, snapshot: MemorySummary) -> None:
        """Add an allocator's snapshot."""
        self._events += self._memory.take(snapshot)

    def leave_out(self, messages: list[str]) -> None:
        """Add messages on files that are left out."""
        self._damage += messages

    def summary(self) -> ProfileSummary:
        """Return the summary, sorted by rank."""
        for table in (self._devices, self._streams, self._steps, self._launches, self._idle):
            table.sort(key=lambda row: row.rank)
        return ProfileSummary(
            events=self._events,
            ranks=sorted(self._ranks),
            devices=self._devices,
            cpu=CpuTime(
                span_us=self._span / 1000,
                busy_us=self._busy / 1000,
                idle_us=(self._span - self._busy) / 1000,
            ),
            operators=self._tally.times(self._roofline.flops, self._roofline.bytes),
            kernels=list(islice(merged(self._kernels), MOST_LISTED)),
            streams=self._streams,
            steps=self._steps,
            launches=self._launches,
            idle=self._idle,
            attribution=self._attribution.result(),
            roofline=self._roofline.result() or self._measured.roofline(),
            advice=over_ranks([*self._advice, *straggler(self._collectives)]),
            memory=self._memory.summary(),
            measured=self._measured.result(),
            damaged=" ".join(self._damage),
            incomplete=self._incomplete,
        )
