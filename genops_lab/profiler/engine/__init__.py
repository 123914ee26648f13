"""The trace engine: exact sums over traces of any profiler. It knows nothing of servers.

A reader (``kineto`` today) makes ``columns`` of a trace; everything else asks the columns. Every length is that of
an exact union of intervals of whole nanoseconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from genops_lab.core.errors import InvalidRequest, NotFound

from ..models import (
    Advice,
    CpuTime,
    DeviceTime,
    IdleTime,
    KernelTime,
    LaunchTime,
    ProfileSummary,
    StepTime,
    StreamTime,
)
from . import kineto
from .advice import Case, Collectives, advise, collectives_of, over_ranks, straggler
from .columns import Columns
from .devices import device_times, stream_times
from .idle import idle_times
from .intervals import span, union_length
from .kernels import kernel_times, merged
from .kinds import Kind
from .launches import launch_times
from .operators import TOLD, OperatorTally
from .steps import step_times
from .traces import Trace


def analyze(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> ProfileSummary:
    """What one trace, or the traces of several ranks, say.

    Ranks come from the traces; a trace without one, or with one that is taken, gets the next free number.
    Raises NotFound for a missing file and InvalidRequest for one that is no trace. A damaged trace is read up
    to the damage, which ``damaged`` tells.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not given:
        raise InvalidRequest("No trace was given.", hint="Name one trace file a rank.")
    sums = _Sums()
    ranks: set[int] = set()
    for path in map(Path, given):
        columns = _read(path)
        rank = columns.rank if columns.rank is not None and columns.rank not in ranks else _free(ranks)
        ranks.add(rank)
        sums.add(Trace(columns, rank), path.name if len(given) > 1 else "")
    return sums.summary()


class _Sums:
    """What the traces say together."""

    def __init__(self) -> None:
        self.events = 0
        self.damage: list[str] = []
        self.tally, self.cpu = OperatorTally(), _Cpu()
        self.devices: list[DeviceTime] = []
        self.kernels: list[list[KernelTime]] = []
        self.streams: list[StreamTime] = []
        self.steps: list[StepTime] = []
        self.launches: list[LaunchTime] = []
        self.idle: list[IdleTime] = []
        self.ranks: list[int] = []
        self.advice: list[Advice] = []
        self.collectives: list[Collectives] = []

    def add(self, trace: Trace, file: str) -> None:
        """``file`` names the trace in what is said about its damage; "" for the only one."""
        self.ranks.append(trace.rank)
        self.events += trace.columns.events
        self.damage += [f"{file}: {what}" if file else what for what in trace.columns.damage]
        self.tally.add(trace)
        self.cpu.add(trace)
        self.devices += device_times(trace)
        self.kernels += [kernel_times(trace, members) for members in trace.devices.values()]
        self.streams += stream_times(trace)
        self.steps += step_times(trace)
        self.launches += launch_times(trace)
        case = Case(trace)
        self.idle += idle_times(trace.rank, case.gaps_of)
        self.advice += advise(case)
        self.collectives.append(collectives_of(case))

    def summary(self) -> ProfileSummary:
        """All of it, by rank."""
        for table in (self.devices, self.streams, self.steps, self.launches, self.idle):
            table.sort(key=lambda row: row.rank)
        return ProfileSummary(
            events=self.events,
            ranks=sorted(self.ranks),
            devices=self.devices,
            cpu=self.cpu.time(),
            operators=self.tally.times(),
            kernels=list(islice(merged(self.kernels), TOLD)),
            streams=self.streams,
            steps=self.steps,
            launches=self.launches,
            idle=self.idle,
            advice=over_ranks([*self.advice, *straggler(self.collectives)]),
            damaged=" ".join(self.damage),
        )


def _read(path: Path) -> Columns:
    try:
        return kineto.read(path)
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", hint="Check the path.") from error
    except OSError as error:
        raise InvalidRequest(
            f"{path} could not be read: {error.strerror}.", hint="Check the path."
        ) from error


def _free(ranks: set[int]) -> int:
    return next(rank for rank in range(len(ranks) + 1) if rank not in ranks)


class _Cpu:
    """CPU time, summed over traces: the clocks of several hosts have no common zero."""

    def __init__(self) -> None:
        self._span = self._busy = 0

    def add(self, trace: Trace) -> None:
        intervals = trace.intervals(np.flatnonzero(trace.columns.kind == Kind.OPERATOR))
        self._span += span(intervals)
        self._busy += union_length(intervals)

    def time(self) -> CpuTime:
        return CpuTime(
            span_us=self._span / 1000, busy_us=self._busy / 1000, idle_us=(self._span - self._busy) / 1000
        )
