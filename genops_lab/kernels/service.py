"""This machine and the kernels on it."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Protocol

from genops_lab.core.live import LiveHub

from ..hosts.live_topic import Publisher
from ..hosts.machine.models import (
    KernelUse,
    Machine,
    MachineReading,
    NewNsightKernel,
    NsightKernel,
    NsightTool,
)

if TYPE_CHECKING:
    from ..hosts.machine.metrics import KernelEntry

TOPIC = "machine"


class KernelDirectory(Protocol):
    """Who knows the kernels: the Jupyter server, or nobody for a command without one."""

    async def kernels(self) -> list[KernelEntry]:
        """The kernels that run."""
        ...


class ComputeService:
    """Readings of this machine, and the live topic ``machine`` once a second while somebody listens."""

    def __init__(self, live: LiveHub, kernels: KernelDirectory | None = None) -> None:
        # Here, not above: commands that ask a running Lab import this class and read no machine.
        from ..hosts.machine.metrics import MachineReader

        self._directory = kernels
        self._reader = MachineReader()
        self._publisher = Publisher(live, TOPIC, self._look)

    async def get_machine(self) -> Machine:
        """This machine's cores, memory, disk and GPUs now."""
        return await asyncio.to_thread(self._reader.machine)

    async def list_kernels(self) -> list[KernelUse]:
        """The kernels of this Lab and what each uses."""
        return await asyncio.to_thread(self._reader.kernels, await self._entries())

    async def list_nsight_tools(self) -> list[NsightTool]:
        """Nsight Systems and Nsight Compute on this machine, and what stands in their way."""
        from .nsight.tools import nsight_tools

        return await asyncio.to_thread(nsight_tools, dict(os.environ))

    async def prepare_nsight_kernel(self, body: NewNsightKernel) -> NsightKernel:
        """A kernelspec whose kernels are started under Nsight Systems or Nsight Compute, made of one of this machine.

        Raises Unavailable where the tool cannot be used here, NotFound, InvalidRequest or Conflict for the kernelspec.
        """
        from .nsight.kernelspecs import UnderNsight, prepared
        from .nsight.launch import refuse_without_driver
        from .nsight.tools import usable

        env = dict(os.environ)
        tool = await asyncio.to_thread(usable, body.product, env)
        wanted = UnderNsight("systems")
        if body.product == "compute":
            wanted = UnderNsight("compute", body.section_set)
            await asyncio.to_thread(refuse_without_driver, tool.path, env)
        return await asyncio.to_thread(prepared, body.kernel_name, tool.version, wanted)

    async def _entries(self) -> list[KernelEntry]:
        return [] if self._directory is None else await self._directory.kernels()

    async def _look(self) -> MachineReading:
        return await asyncio.to_thread(self._reader.reading, await self._entries())
