"""Captured profiles and what a trace says as a whole."""

from __future__ import annotations

from typing import Literal

import msgspec

from .advice import Advice
from .lines import Attribution
from .memory import MemorySummary
from .roofline import Roofline
from .times import CpuTime, DeviceTime, IdleTime, KernelTime, LaunchTime, OperatorTime, StepTime, StreamTime


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
    damaged: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A captured profile; ``artifact`` is its path among the artifacts of its run, ``trace_path`` that of the file."""

    id: str
    title: str
    created_at: float
    state: Literal["analyzing", "ready", "failed"]
    run_id: str = ""
    notebook: str = ""
    size_bytes: int = 0
    artifact: str = ""
    trace_path: str = ""
    message: str = ""
    summary: ProfileSummary | None = None


class NewProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A trace that a kernel of this user wrote into the profiles folder."""

    trace_path: str
    title: str
    run_id: str = ""
    notebook: str = ""
