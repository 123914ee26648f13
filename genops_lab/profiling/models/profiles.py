"""Captured profiles and what a trace says as a whole."""

from __future__ import annotations

from typing import Literal

import msgspec

from .advice import Advice
from .lines import Attribution
from .memory import MemorySummary
from .nsight_compute import Measurement
from .roofline import Roofline
from .times import CpuTime, DeviceTime, IdleTime, KernelTime, LaunchTime, OperatorTime, StepTime, StreamTime


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
