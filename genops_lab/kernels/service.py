"""Read this machine and its kernels."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from genops_lab.core.live import LiveHub, Publisher

from ..hosts.machine.models import KernelUse, Machine, MachineReading

if TYPE_CHECKING:
    from ..hosts.machine.metrics import KernelEntry

TOPIC = "machine"


class KernelDirectory(Protocol):
    """Lists the kernels: the Jupyter server's, or none for a command without a server."""

    async def kernels(self) -> list[KernelEntry]:
        """Return the running kernels."""
        ...


class ComputeService:
    """Readings of this machine, and the live topic ``machine`` once a second while somebody listens."""

    def __init__(self, live: LiveHub, kernels: KernelDirectory | None = None) -> None:
        # Imported here: commands that ask a running Lab import this class and read no machine.
        from ..hosts.machine.metrics import MachineReader

        self._directory = kernels
        self._reader = MachineReader()
        self._publisher = Publisher(live, TOPIC, self._look)

    async def get_machine(self) -> Machine:
        """Return this machine's cores, memory, disk and GPUs now."""
        return await asyncio.to_thread(self._reader.machine)

    async def list_kernels(self) -> list[KernelUse]:
        """Return the kernels of this Lab and what each uses."""
        return await asyncio.to_thread(self._reader.kernels, await self._entries())

    async def _entries(self) -> list[KernelEntry]:
        return [] if self._directory is None else await self._directory.kernels()

    async def _look(self) -> MachineReading:
        return await asyncio.to_thread(self._reader.reading, await self._entries())
