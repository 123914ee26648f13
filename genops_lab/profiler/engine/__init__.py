"""The trace engine: exact sums over traces of any profiler. It knows nothing of servers.

A reader (``kineto`` today) makes ``columns`` of a trace; everything else asks the columns. Every length is that of
an exact union of intervals of whole nanoseconds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from genops_lab.core.errors import InvalidRequest, NotFound

from ..models import CpuTime, DeviceTime, KernelTime, OperatorTime, ProfileSummary
from . import kineto
from .attribution import AttributionTally
from .columns import Columns, Int64
from .intervals import Intervals, exposed_length, span, union_length
from .kinds import Kind
from .operators import OperatorTally, main_operators, origins
from .roofline import RooflineTally

TOP_KERNELS = 10


def analyze(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], usd_per_hour: float | None = None
) -> ProfileSummary:
    """What one trace, or the traces of several ranks, say.

    ``usd_per_hour``: the price of all that the ranks run on, for the price of a step.
    Ranks come from the traces; a trace without one, or with one that is taken, gets the next free number.
    Raises NotFound for a missing file and InvalidRequest for one that is no trace. A damaged trace is read up
    to the damage, which ``damaged`` tells.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not given:
        raise InvalidRequest("No trace was given.", hint="Name one trace file a rank.")
    events = 0
    devices: list[DeviceTime] = []
    tally, cpu = OperatorTally(), _Host()
    attribution, roofline = AttributionTally(), RooflineTally()
    damage: list[str] = []
    ranks: set[int] = set()
    for path in map(Path, given):
        columns = _read(path)
        rank = columns.rank if columns.rank is not None and columns.rank not in ranks else _free(ranks)
        ranks.add(rank)
        events += columns.events
        damage += [f"{path.name}: {what}" if len(given) > 1 else what for what in columns.damage]
        origin = origins(columns)
        operator_of = main_operators(columns, origin.owner)
        devices += [_device_time(columns, key, rank, operator_of) for key in _devices(columns)]
        tally.add(columns, origin)
        attribution.add(columns, origin)
        roofline.add(columns, origin)
        cpu.add(columns)
    devices.sort(key=lambda device: device.rank)
    return ProfileSummary(
        events=events,
        ranks=sorted(ranks),
        devices=devices,
        cpu=cpu.time(),
        operators=[
            OperatorTime(
                name=name,
                count=tally.count[name],
                self_us=tally.own[name] / 1000,
                total_us=tally.total[name] / 1000,
                device_us=tally.device.get(name, 0) / 1000,
                kernels=tally.kernels.get(name, 0),
                flops=roofline.flops.get(name, 0.0),
                bytes=roofline.bytes.get(name, 0.0),
            )
            for name in tally.ranking()
        ],
        attribution=attribution.result(),
        roofline=roofline.result(usd_per_hour),
        damaged=" ".join(damage),
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


def _natural(key: str) -> tuple[int, str]:
    return (int(key), "") if key.isdigit() else (1 << 30, key)


class _Host:
    """CPU time, summed over traces: the clocks of several hosts have no common zero."""

    def __init__(self) -> None:
        self._span = self._busy = 0

    def add(self, columns: Columns) -> None:
        intervals = _intervals(columns, np.flatnonzero(columns.kind == Kind.OPERATOR))
        self._span += span(intervals)
        self._busy += union_length(intervals)

    def time(self) -> CpuTime:
        return CpuTime(
            span_us=self._span / 1000, busy_us=self._busy / 1000, idle_us=(self._span - self._busy) / 1000
        )


def _intervals(columns: Columns, members: Int64) -> Intervals:
    return Intervals(columns.ts[members], columns.ts[members] + columns.dur[members])


def _devices(columns: Columns) -> list[str]:
    used = np.unique(columns.lane[columns.kind >= Kind.COMPUTE])
    return sorted({columns.lanes[lane].device for lane in used.tolist()}, key=_natural)


def _device_time(columns: Columns, key: str, rank: int, operator_of: dict[int, str]) -> DeviceTime:
    lanes = [number for number, lane in enumerate(columns.lanes) if lane.device == key]
    members = np.flatnonzero((columns.kind >= Kind.COMPUTE) & np.isin(columns.lane, lanes))
    kinds = columns.kind[members]
    everything = _intervals(columns, members)
    compute = _intervals(columns, members[kinds == Kind.COMPUTE])
    communication = _intervals(columns, members[kinds == Kind.COMMUNICATION])
    length, busy = span(everything), union_length(everything)
    kernels = members[kinds <= Kind.COMMUNICATION]
    return DeviceTime(
        device=key,
        rank=rank,
        span_us=length / 1000,
        busy_us=busy / 1000,
        idle_us=(length - busy) / 1000,
        compute_us=union_length(compute) / 1000,
        comm_us=union_length(communication) / 1000,
        exposed_comm_us=exposed_length(communication, compute) / 1000,
        memory_us=union_length(_intervals(columns, members[kinds >= Kind.COPY])) / 1000,
        kernels=len(kernels),
        top_kernels=_top_kernels(columns, kernels, operator_of),
    )


def _top_kernels(columns: Columns, kernels: Int64, operator_of: dict[int, str]) -> list[KernelTime]:
    present, place, count = np.unique(columns.name[kernels], return_inverse=True, return_counts=True)
    total = np.zeros(len(present), np.int64)
    np.add.at(total, place, columns.dur[kernels])
    rows = zip(present.tolist(), count.tolist(), total.tolist(), strict=True)
    top = sorted(rows, key=lambda row: (-row[2], columns.names[row[0]]))[:TOP_KERNELS]
    return [
        KernelTime(
            name=columns.names[name], count=count, total_us=total / 1000, operator=operator_of.get(name, "")
        )
        for name, count, total in top
    ]
