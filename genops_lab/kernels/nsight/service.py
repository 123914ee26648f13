"""Offer Nsight's tools of this machine, and kernelspecs under them."""

from __future__ import annotations

import asyncio
import os

from .models import NewNsightKernel, NsightKernel, NsightTool
from .tools import nsight_tools, usable


class NsightService:
    """Nsight Systems and Nsight Compute on this machine. Provisioners start the kernels themselves."""

    async def list_nsight_tools(self) -> list[NsightTool]:
        """Return Nsight Systems and Nsight Compute on this machine, with the reason where one cannot be used."""
        return await asyncio.to_thread(nsight_tools, dict(os.environ))

    async def prepare_nsight_kernel(self, body: NewNsightKernel) -> NsightKernel:
        """Make a kernelspec under Nsight Systems or Nsight Compute from one of this machine.

        Raises Unavailable where the tool cannot be used, and NotFound, InvalidRequest or Conflict for the
        kernelspec.
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
