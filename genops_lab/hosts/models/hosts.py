"""The metrics of a host. Sizes in bytes, shares in percent; None where a driver reports nothing."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..providers.base import Resources


class MigSlice(msgspec.Struct, frozen=True, kw_only=True):
    """A slice of a GPU."""

    uuid: str = ""
    profile: str = ""
    memory_total_bytes: int | None = None
    memory_used_bytes: int | None = None


class GpuProcess(msgspec.Struct, frozen=True, kw_only=True):
    """A process that uses a GPU."""

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
    """A host's metrics. ``load`` is over 1, 5 and 15 minutes; ``sampled_at`` is by the host's clock."""

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
    """The requirement: ``count`` GPUs of one target, each with this much free memory."""

    memory_bytes: int
    count: int = 1


class BestFit(msgspec.Struct, frozen=True, kw_only=True):
    """The target and GPUs to start on, with the reason. ``target`` is empty when nothing fits.

    ``environment`` is for the kernel: it limits the kernel to those GPUs, or to that MIG slice. Where each
    kernel gets its own host, ``preset`` or ``resources`` requests the GPUs instead.
    """

    target: str = ""
    kernel_name: str = ""
    gpus: list[int] = []
    cuda_visible_devices: str = ""
    environment: dict[str, str] = {}
    preset: str = ""
    resources: Resources = Resources()
    reason: str
