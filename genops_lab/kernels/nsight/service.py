"""Which of Nsight's tools are here, and kernelspecs under them."""

from __future__ import annotations

import asyncio
import os

from .models import NewNsightKernel, NsightKernel, NsightTool
from .tools import nsight_tools, usable


class NsightService:
    """Nsight Systems and Nsight Compute on this machine. Kernels themselves are started by their provisioner."""

    async def list_nsight_tools(self) -> list[NsightTool]:
        """Nsight Systems and Nsight Compute on this machine, and what stands in their way."""
        return await asyncio.to_thread(nsight_tools, dict(os.environ))

    async def prepare_nsight_kernel(self, body: NewNsightKernel) -> NsightKernel:
        """A kernelspec whose kernels are started under Nsight Systems or Nsight Compute, made of one of this machine.

        Raises Unavailable where the tool cannot be used here, NotFound, InvalidRequest or Conflict for the kernelspec.
        """
        from .kernelspecs import UnderNsight, prepared
        from .launch import refuse_without_driver

        env = dict(os.environ)
        tool = await asyncio.to_thread(usable, body.product, env)
        wanted = UnderNsight("systems")
        if body.product == "compute":
            wanted = UnderNsight("compute", body.section_set)
            await asyncio.to_thread(refuse_without_driver, tool.path, env)
        return await asyncio.to_thread(prepared, body.kernel_name, tool.version, wanted)
