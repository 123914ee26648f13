"""Wire types of Nsight Compute's measurements. Durations are in microseconds, sizes in bytes, parts in
percent."""

from __future__ import annotations

from typing import Literal

import msgspec

from .lines import Place


class KernelRule(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one Nsight Compute rule for a kernel.

    ``speedup_pct`` is the rule's estimate. It is a part of the kernel's time where ``of`` is "kernel", and of
    the efficiency of the measured part where ``of`` is "part". None: the rule gives no estimate.
    """

    identifier: str
    title: str
    text: str
    kind: Literal["optimization", "info", "warning", "error"]
    section: str = ""
    speedup_pct: float | None = None
    of: Literal["kernel", "part", ""] = ""


class Stall(msgspec.Struct, frozen=True, kw_only=True):
    """A reason of warp stalls: ``cycles`` per issued instruction, ``pct`` of all cycles between two
    instructions of a warp."""

    reason: str
    cycles: float
    pct: float


class MeasuredKernel(msgspec.Struct, frozen=True, kw_only=True):
    """All launches of a kernel with one grid and block, from the same place of the code.

    Figures are means over the launches, weighted by time. ``rules`` are those of the longest launch, number
    ``longest`` of the report. A figure is None where the report has no metrics for it.

    ``compute_pct`` and ``memory_pct`` are Nsight Compute's "speed of light": percent of the peak at the
    clocks of the measurement. ``flops`` and ``dram_bytes`` are means of one launch. ``grid`` and ``block``
    are JSON (``[64, 1, 1]``), or empty for a range, a CUDA graph or a command list that was measured as a
    whole.
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
    #: Active warps, in percent of the multiprocessor's maximum.
    occupancy_pct: float | None = None
    theoretical_occupancy_pct: float | None = None
    #: The limit of theoretical occupancy: registers, shared memory, blocks, warps, barriers; "" at 100 %.
    occupancy_limit: str = ""
    registers: int | None = None
    shared_memory_bytes: int | None = None
    #: Waves of blocks per launch.
    waves: float | None = None
    flops: float | None = None
    dram_bytes: float | None = None
    tflops: float | None = None
    gb_per_s: float | None = None
    #: "latency": both units are far from their peak.
    bound: Literal["compute", "memory", "balanced", "latency", ""] = ""
    stalls: list[Stall] = []
    rules: list[KernelRule] = []
    place: Place | None = None


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """Measured kernels, most time first. ``launches`` and ``total_us`` also count kernels that are left out.

    ``note`` describes the measurement for users: clocks locked or not, caches flushed or not, replayed.
    """

    kernels: list[MeasuredKernel]
    launches: int
    total_us: float
    note: str = ""
    #: Number of kernels that are left out.
    more_kernels: int = 0


class KernelMetric(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of a launch, under Nsight Compute's name; ``value`` is in its base unit."""

    name: str
    value: float | str
    unit: str = ""
    #: Number of per-instance values, such as one per SASS instruction or per sampled reason.
    instances: int = 0


class KernelMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """All metrics of launch ``number`` of a report."""

    number: int
    name: str
    metrics: list[KernelMetric]
