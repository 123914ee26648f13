"""Traces of the ranks of one made-up training job, whose clocks differ by what the test says."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

from .events import H100, Event, call, kernel, operator, slice_of

#: A step's true length in microseconds, without the jitter of its collectives.
STEP_US = 4000.0
ALL_REDUCE = "ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)"
ALL_GATHER = "ncclDevKernel_AllGather_RING_LL(ncclDevKernelArgsStorage<4096ul>)"


def rank_events(
    rank: int, *, steps: int = 4, late: int = -1, clock_us: float = 0.0, jitter_us: float = 0.0
) -> list[Event]:
    """A rank's events on its own clock, which is ``clock_us`` ahead.

    It begins 900 µs before that of the rank before it. Two collectives a step end on all ranks at the same time but
    for ``jitter_us``; the rank that is ``late`` computes longest and waits for no other.
    """
    chance, slower = random.Random(1000 + rank), rank == late
    # The same on all ranks: no two steps of a real job are equally long.
    lengths = random.Random(7)
    events: list[Event] = [operator("aten::empty", clock_us - 900.0 * rank, 50)]
    at, number = clock_us, 10
    for step in range(steps):
        begin = at
        compute = 2200.0 if slower else 900.0 + 40 * (rank % 32)
        ends = [at + 2500.0, at + 3600.0 + lengths.uniform(0, 250)]
        for place, (name, length) in enumerate([("aten::mm", compute), ("aten::add", 300.0)]):
            number += 1
            start = at + 60 + 2520 * place
            events += [
                operator(name, at + 10 + 300 * place, 200),
                call("cudaLaunchKernel", at + 30 + 300 * place, 20, number),
                kernel("gemm" if place == 0 else "add", start, length, number),
            ]
            number += 1
            first = start + length + 20
            end = ends[place] + chance.uniform(-jitter_us, jitter_us)
            collective = ALL_REDUCE if place == 0 else ALL_GATHER
            events += [
                call("cudaLaunchKernel", at + 60 + 300 * place, 15, number),
                kernel(collective, first, end - first, number, stream=20, **{"Group size": 4}),
            ]
        at = ends[1] + 150
        events.append(slice_of("user_annotation", f"ProfilerStep#{step}", begin, at - begin))
    return events


def write_rank(folder: Path, rank: int, events: list[Event], base_ns: int = 0) -> Path:
    """A rank's file. ``base_ns``: what the trace's times count from, in nanoseconds since 1970."""
    trace = {
        "schemaVersion": 1,
        "distributedInfo": {"backend": "nccl", "rank": rank, "world_size": 4},
        **({"baseTimeNanoseconds": base_ns} if base_ns else {}),
        **H100,
        "traceEvents": events,
    }
    path = folder / f"worker{rank}.pt.trace.json"
    path.write_text(json.dumps(trace))
    return path


def write_ranks(folder: Path, clocks_us: Sequence[float], *, late: int = -1, jitter_us: float = 0.0) -> None:
    """The traces of as many ranks as there are clocks."""
    folder.mkdir(parents=True, exist_ok=True)
    for rank, clock in enumerate(clocks_us):
        write_rank(folder, rank, rank_events(rank, late=late, clock_us=clock, jitter_us=jitter_us))
