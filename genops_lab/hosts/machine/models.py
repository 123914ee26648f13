"""Wire types of the compute room. Sizes in bytes, shares in percent, times in seconds since 1970."""

from __future__ import annotations

from typing import Literal

import msgspec


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """One accelerator as its driver reports it; what it does not report is None."""

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
    #: Both 0 while the file server of the home folder does not answer.
    disk_total_bytes: int
    disk_free_bytes: int
    gpus: list[Gpu]
    gpu_state: Literal["ok", "none", "error"]
    gpu_message: str = ""
    sampled_at: float


class KernelUse(msgspec.Struct, frozen=True, kw_only=True):
    """A kernel of this Lab with what its process tree uses."""

    kernel_id: str
    kernel_name: str
    target: str
    path: str
    state: str
    pid: int | None = None
    cpu_percent: float | None = None
    memory_bytes: int | None = None
    gpu_memory_bytes: int | None = None


class MachineReading(msgspec.Struct, frozen=True):
    """What the live topic ``machine`` carries."""

    machine: Machine
    kernels: list[KernelUse]


NsightProduct = Literal["systems", "compute"]
#: What Nsight Compute measures of each kernel: sets of its own, each with all of the one before.
SectionSet = Literal["basic", "detailed", "full"]


class NsightTool(msgspec.Struct, frozen=True, kw_only=True):
    """Nsight Systems or Nsight Compute on this machine; ``trouble`` is why it cannot be used, empty where it can."""

    product: NsightProduct
    path: str = ""
    version: str = ""
    trouble: str = ""


class NewNsightKernel(msgspec.Struct, frozen=True, kw_only=True):
    """The kernelspec that is wanted under one of Nsight's tools; ``section_set`` is for Nsight Compute."""

    kernel_name: str = "python3"
    product: NsightProduct = "systems"
    section_set: SectionSet = "basic"


class NsightKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernelspec whose kernels are started under one of Nsight's tools, of this version."""

    name: str
    display_name: str
    version: str
