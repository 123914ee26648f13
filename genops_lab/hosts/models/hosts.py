"""What a host is found to have. Sizes in bytes, shares in percent. What a driver does not report is None."""

from __future__ import annotations

from typing import Literal

import msgspec


class MigSlice(msgspec.Struct, frozen=True, kw_only=True):
    """A slice of a GPU."""

    uuid: str = ""
    profile: str = ""
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None


class GpuProcess(msgspec.Struct, frozen=True, kw_only=True):
    """Who uses a GPU."""

    pid: int
    user: str = ""
    memory_bytes: int | None = None


class HostGpu(msgspec.Struct, frozen=True, kw_only=True):
    """One accelerator of a host."""

    index: int
    uuid: str = ""
    name: str = ""
    vendor: Literal["nvidia", "amd", "apple"] = "nvidia"
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    utilization_percent: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    mig: list[MigSlice] = []
    processes: list[GpuProcess] = []


class HostReading(msgspec.Struct, frozen=True, kw_only=True):
    """A host's figures. ``load`` is over 1, 5 and 15 minutes; ``sampled_at`` is of the host's own clock."""

    hostname: str
    cpu_count: float | None = None
    cpu_percent: float | None = None
    load: list[float] | None = None
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None
    disk_total_bytes: int | None = None
    disk_free_bytes: int | None = None
    gpu_state: Literal["ok", "none", "error"] = "none"
    gpu_message: str = ""
    gpus: list[HostGpu] = []
    sampled_at: float


class BestFitQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed: ``count`` GPUs of one target with this much memory free on each."""

    memory_bytes: int
    count: int = 1


class BestFit(msgspec.Struct, frozen=True, kw_only=True):
    """Where to start, and why. ``target`` is empty when nothing fits.

    ``environment`` is for the kernel: it shows it those GPUs alone, or that MIG slice.
    """

    target: str = ""
    kernel_name: str = ""
    gpus: list[int] = []
    cuda_visible_devices: str = ""
    environment: dict[str, str] = {}
    reason: str
