"""Wire types of kernels under Nsight's tools."""

from __future__ import annotations

from typing import Literal

import msgspec

NsightProduct = Literal["systems", "compute"]
#: What Nsight Compute measures of each GPU kernel: each set includes the one before.
SectionSet = Literal["basic", "detailed", "full"]


class NsightTool(msgspec.Struct, frozen=True, kw_only=True):
    """Nsight Systems or Nsight Compute on this machine; ``trouble`` is why it cannot be used, or empty."""

    product: NsightProduct
    path: str = ""
    version: str = ""
    trouble: str = ""


class NewNsightKernel(msgspec.Struct, frozen=True, kw_only=True):
    """The requested kernelspec under one of Nsight's tools; ``section_set`` is for Nsight Compute."""

    kernel_name: str = "python3"
    product: NsightProduct = "systems"
    section_set: SectionSet = "basic"


class NsightKernel(msgspec.Struct, frozen=True, kw_only=True):
    """A kernelspec whose kernels start under one of Nsight's tools, of this version."""

    name: str
    display_name: str
    version: str
