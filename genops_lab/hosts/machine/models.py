"""Wire types of this machine's metrics. Sizes in bytes, shares in percent, times in seconds since 1970."""

from __future__ import annotations

from typing import Literal

import msgspec


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One accelerator as its driver reports it; None where the driver reports nothing."""

    index: int
    name: str
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    utilization_percent: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """This machine, or the share of it that a container may use."""

    name: str
    platform: str
    cpu_count: float
    cpu_model: str
    cpu_percent: float
    memory_total_bytes: int
    memory_used_bytes: int
    #: Both are 0 while the file server of the home folder does not answer.
    disk_total_bytes: int
    disk_free_bytes: int
    gpus: list[Gpu]
    gpu_state: Literal["ok", "none", "error"]
    gpu_message: str = ""
    sampled_at: float


class KernelUse(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel of this Lab with the use of its process tree. ``preset`` is the target's preset that it was
    started with, or empty."""

    kernel_id: str
    kernel_name: str
    target: str
    preset: str = ""
    path: str
    state: str
    pid: int | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    gpu_memory_bytes: int | None = None


class MachineReading(msgspec.Struct, frozen=True):
    """The content of the live topic ``machine``."""

    machine: Machine
    kernels: list[KernelUse]
