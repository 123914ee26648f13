"""Captured profiles, what a trace says as a whole, and two of them side by side."""

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
    """What a step costs. Prices in USD; ``usd_per_hour`` is that of all the traced ranks together.

    ``target``: the target whose price it is, empty where a person gave it. ``usd_a_step`` is None where the trace has
    no steps.
    """

    usd_per_hour: float
    target: str = ""
    usd_a_step: float | None = None


class ProfileSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a trace says."""

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
    #: Whether a file is cut off or corrupt: sums and advice are of the part that was read.
    incomplete: bool = False


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A captured profile; ``artifact`` is its path among the artifacts of its run, ``trace_path`` that of the file.

    ``trace_target``: the target where that file lies, empty for this machine.
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
    """A profile that is gone; ``left``: what of its trace stays where, and why, empty where nothing does."""

    id: str
    left: str = ""


class NewProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A trace that a kernel of this user wrote into the profiles folder.

    ``target``: where that kernel runs, whose price holds; ``usd_per_hour`` is used in its place.
    """

    trace_path: str
    title: str
    run_id: str = ""
    notebook: str = ""
    target: str = ""
    usd_per_hour: float | None = None


class TraceOnTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A trace that lies on a target; a ``path`` that is not absolute begins at the home there.

    ``usd_per_hour``: in place of the target's price.
    """

    target: str
    path: str
    usd_per_hour: float | None = None


class ComparedProfiles(msgspec.Struct, frozen=True, kw_only=True):
    """Which two, by their ids."""

    before: str
    after: str


class LaunchedWith(msgspec.Struct, frozen=True, kw_only=True):
    """A grid and a block, as JSON; empty for what was measured as a whole."""

    grid: str
    block: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One operator, kernel or line in both. Device time in microseconds a step.

    Of an operator it is the time of its own on the CPU and of the kernels that it launched; copies and fills count as
    kernels.
    """

    name: str
    before_us: float
    after_us: float
    before_count: float
    after_count: float
    state: Literal["both", "added", "removed"]
    place: Place | None = None
    #: Of a new kernel: the one that is gone and did the same work, by operator and shapes.
    instead_of: str = ""
    #: Of a kernel that was measured in both: which of its launches are compared with which.
    before_with: list[LaunchedWith] = []
    after_with: list[LaunchedWith] = []


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One sum in both. ``covered_before``, ``covered_after``: of FLOPs and what rests on them the part of the compute
    time that they are known of, 0 to 1."""

    code: str
    before: float
    after: float
    unit: Literal["us", "share", "count", "flops", "bytes"]
    covered_before: float | None = None
    covered_after: float | None = None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """All times are a step where both have steps, else of the whole trace (``a_step`` tells), or of the kernels alone
    that Nsight Compute measured (``measured``: in both).

    They are sums over all devices of all ranks. Changes are in the order of their size.
    """

    a_step: bool
    before_steps: int
    after_steps: int
    figures: list[Figure]
    operators: list[Change]
    kernels: list[Change]
    lines: list[Change]
    measured: bool = False
    #: Problems by code: gone, new, and in both.
    advice_gone: list[str] = []
    advice_new: list[str] = []
    advice_kept: list[str] = []
    warnings: list[str] = []
    #: Whether one of them is ``incomplete``.
    incomplete: bool = False
