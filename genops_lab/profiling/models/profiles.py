"""Wire types of recorded profiles, the summary of a trace, and the difference of two profiles."""

from __future__ import annotations

from typing import Literal

import msgspec

from .advice import Advice
from .lines import Attribution, Place
from .memory import MemorySummary
from .nsight_compute import Measurement
from .times import (
    CpuTime,
    DeviceTime,
    IdleTime,
    KernelTime,
    LaunchTime,
    OperatorTime,
    Roofline,
    StepTime,
    StreamTime,
)


class StepPrice(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a step. Prices are in USD; ``usd_per_hour`` is the price of all traced ranks together.

    ``target`` is the target with this price; it is empty where the user gave the price. ``usd_a_step`` is
    None where the trace has no steps.
    """

    usd_per_hour: float
    target: str = ""
    usd_a_step: float | None = None


class ProfileSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The summary of a trace."""

    events: int
    ranks: list[int]
    devices: list[DeviceTime]
    cpu: CpuTime
    operators: list[OperatorTime]
    kernels: list[KernelTime] = []
    streams: list[StreamTime] = []
    steps: list[StepTime] = []
    launches: list[LaunchTime] = []
    idle: list[IdleTime] = []
    attribution: Attribution | None = None
    roofline: Roofline | None = None
    advice: list[Advice] = []
    memory: MemorySummary | None = None
    measured: Measurement | None = None
    price: StepPrice | None = None
    damaged: str = ""
    #: Whether a file is cut off or corrupt: sums and advice cover the part that was read.
    incomplete: bool = False


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded profile. ``artifact`` is its path in the artifacts of its run, ``trace_path`` the path of
    the trace.

    ``trace_target`` is the target that has the trace; it is empty for this machine.
    """

    id: str
    title: str
    created_at: float
    state: Literal["analyzing", "ready", "failed"]
    run_id: str = ""
    notebook: str = ""
    size_bytes: int = 0
    artifact: str = ""
    trace_path: str = ""
    trace_target: str = ""
    message: str = ""
    summary: ProfileSummary | None = None


class DeletedProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A deleted profile. ``left`` says which part of its trace was not deleted, and why; it is empty
    otherwise."""

    id: str
    left: str = ""


class NewProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A trace that a kernel of this user wrote into the profiles folder.

    ``target`` is the target of that kernel, whose price applies; ``usd_per_hour`` replaces this price.
    """

    trace_path: str
    title: str
    run_id: str = ""
    notebook: str = ""
    target: str = ""
    usd_per_hour: float | None = None


class TraceOnTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A trace on a target; a relative ``path`` begins at the home folder on the target.

    ``usd_per_hour`` replaces the target's price.
    """

    target: str
    path: str
    usd_per_hour: float | None = None


class ComparedProfiles(msgspec.Struct, frozen=True, kw_only=True):
    """The ids of two profiles."""

    before: str
    after: str


class LaunchedWith(msgspec.Struct, frozen=True, kw_only=True):
    """A grid and a block, as JSON; empty for a range or graph that was measured as a whole."""

    grid: str
    block: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One operator, kernel or line in both profiles. Device time is in microseconds per step.

    The time of an operator is its own CPU time plus the time of the kernels that it launched. Copies and
    fills count as kernels.
    """

    name: str
    before_us: float
    after_us: float
    before_count: float
    after_count: float
    state: Literal["both", "added", "removed"]
    place: Place | None = None
    #: For a new kernel: the removed kernel that did the same work, by operator and shapes.
    instead_of: str = ""
    #: For a kernel that was measured in both: the grids and blocks of the compared launches.
    before_with: list[LaunchedWith] = []
    after_with: list[LaunchedWith] = []


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of both profiles. ``covered_before`` and ``covered_after``: for FLOPs and figures from them,
    the part of the compute time with known FLOPs, 0 to 1."""

    code: str
    before: float
    after: float
    unit: Literal["us", "share", "count", "flops", "bytes"]
    covered_before: float | None = None
    covered_after: float | None = None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The difference of two profiles. Times are per step if both have steps (``a_step``), else totals of the
    trace. Where Nsight Compute measured both (``measured``), they are totals of the kernels.

    Times are sums over all devices of all ranks. Changes are sorted by size.
    """

    a_step: bool
    before_steps: int
    after_steps: int
    figures: list[Figure]
    operators: list[Change]
    kernels: list[Change]
    lines: list[Change]
    measured: bool = False
    #: Advice codes: only in the earlier profile, only in the later one, and in both.
    advice_gone: list[str] = []
    advice_new: list[str] = []
    advice_kept: list[str] = []
    #: The title of each of these codes.
    advice_titles: dict[str, str] = {}
    warnings: list[str] = []
    #: Whether one of the profiles is ``incomplete``.
    incomplete: bool = False
