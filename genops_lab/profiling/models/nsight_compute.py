"""What Nsight Compute measured of single kernels. Durations in microseconds, sizes in bytes, parts in percent."""

from __future__ import annotations

from typing import Literal

import msgspec

from .lines import Place


class KernelRule(msgspec.Struct, frozen=True, kw_only=True):
    """What one of Nsight Compute's rules says of a kernel.

    ``speedup_pct`` is its estimate: of the kernel's time where ``of`` is "kernel", of the efficiency of the part that
    the rule is about where it is "part"; None where it gives none.
    """

    identifier: str
    title: str
    text: str
    kind: Literal["optimization", "info", "warning", "error"]
    section: str = ""
    speedup_pct: float | None = None
    of: Literal["kernel", "part", ""] = ""


class Stall(msgspec.Struct, frozen=True, kw_only=True):
    """Why warps waited: ``cycles`` an issued instruction, ``pct`` of all cycles between two of a warp."""

    reason: str
    cycles: float
    pct: float


class MeasuredKernel(msgspec.Struct, frozen=True, kw_only=True):
    """All launches of a kernel with one grid and block, in the same place of the code.

    Figures are means over its launches by their time; those of ``rules`` are of the longest one, which is number
    ``longest`` of the report. None where the report lacks what they are made of. ``compute_pct`` and ``memory_pct``
    are Nsight Compute's "speed of light": the part of what the device can do, at the clocks of the measurement.
    ``flops`` and ``dram_bytes`` are of one launch on average; ``grid`` and ``block`` are JSON (``[64, 1, 1]``), empty
    for a range, a CUDA graph or a command list that was measured as a whole.
    """

    name: str
    device: str
    rank: int
    grid: str
    block: str
    count: int
    total_us: float
    longest: int
    longest_us: float
    compute_pct: float | None = None
    memory_pct: float | None = None
    dram_pct: float | None = None
    l1_pct: float | None = None
    l2_pct: float | None = None
    l1_hit_pct: float | None = None
    l2_hit_pct: float | None = None
    #: Warps at once, of what a multiprocessor holds.
    occupancy_pct: float | None = None
    theoretical_occupancy_pct: float | None = None
    #: What bounds the theoretical one: registers, shared memory, blocks, warps, barriers; "" where it is whole.
    occupancy_limit: str = ""
    registers: int | None = None
    shared_memory_bytes: int | None = None
    #: Rounds in which all blocks find room.
    waves: float | None = None
    flops: float | None = None
    dram_bytes: float | None = None
    tflops: float | None = None
    gb_per_s: float | None = None
    #: Both units far from what they can do: "latency".
    bound: Literal["compute", "memory", "balanced", "latency", ""] = ""
    stalls: list[Stall] = []
    rules: list[KernelRule] = []
    place: Place | None = None


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """Kernels by their time, the longest first; ``launches`` and ``total_us`` are of all, also of those not told.

    ``note``: how they were measured, for people: clocks locked or not, caches flushed or not, replayed.
    """

    kernels: list[MeasuredKernel]
    launches: int
    total_us: float
    note: str = ""
    #: Kernels that are not told, as there are too many.
    more_kernels: int = 0


class KernelMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One of all the metrics of a launch, under Nsight Compute's own name; ``value`` in its base unit."""

    name: str
    value: float | str
    unit: str = ""
    #: Values by instance (of a line of SASS, of a sampled reason) that lie behind it.
    instances: int = 0


class KernelMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """All that was measured of launch ``number`` of a report."""

    number: int
    name: str
    metrics: list[KernelMetric]
