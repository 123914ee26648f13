"""Wire types of the profiler. Durations in microseconds, as traces have them; sizes in bytes."""

from __future__ import annotations

from typing import Literal

import msgspec


class OperatorTime(msgspec.Struct, frozen=True, kw_only=True):
    """One operator: ``self_us`` on the CPU without its children, ``device_us`` of the kernels it launched."""

    name: str
    count: int
    self_us: float
    total_us: float
    device_us: float


class KernelTime(msgspec.Struct, frozen=True, kw_only=True):
    """All launches of one device kernel."""

    name: str
    count: int
    total_us: float


class DeviceTime(msgspec.Struct, frozen=True, kw_only=True):
    """One device of one rank: exact unions of intervals over ``span_us`` (first start to last end)."""

    device: str
    rank: int
    span_us: float
    busy_us: float
    idle_us: float
    compute_us: float
    comm_us: float
    exposed_comm_us: float
    memory_us: float
    kernels: int
    top_kernels: list[KernelTime]


class CpuTime(msgspec.Struct, frozen=True, kw_only=True):
    """The host side: time with any operator running, and without."""

    span_us: float
    busy_us: float
    idle_us: float


class ProfileSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a trace says."""

    events: int
    ranks: list[int]
    devices: list[DeviceTime]
    cpu: CpuTime
    operators: list[OperatorTime]
    damaged: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A captured profile; ``artifact`` is its path among the artifacts of its run."""

    id: str
    title: str
    created_at: float
    state: Literal["analyzing", "ready", "failed"]
    run_id: str = ""
    notebook: str = ""
    size_bytes: int = 0
    artifact: str = ""
    message: str = ""
    summary: ProfileSummary | None = None


class NewProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A trace that a kernel of this user wrote into the profiles folder."""

    trace_path: str
    title: str
    run_id: str = ""
    notebook: str = ""
