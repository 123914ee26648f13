"""Give the targets' service access to their kernels."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from ..core.errors import GenOpsError
from ..core.services import Service
from ..hosts.ledger import OwnKernel
from ..hosts.names import kernel_name
from ..hosts.providers import provider_of
from ..hosts.providers.base import Resources
from ..hosts.resources import resources_of
from ..hosts.target_kernels import KernelState, TargetKernels
from .kernelspecs import install_kernelspec, remove_kernelspec
from .preset_kernelspecs import all_presets, install_preset, remove_preset
from .warm_hosts import WarmHosts
from .warm_pool import WarmPool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..hosts.allocated import AllocatedHosts
    from ..hosts.async_connections import LoopConnections
    from ..hosts.ledger import Ledger
    from ..hosts.models import Preset, SavedHours
    from ..hosts.records import TargetRecord
    from .client.client import RemoteKernelClient
    from .idle_savings import IdleSavings
    from .owners import KernelOwners
    from .remote_kernels import RemoteKernels
    from .server_kernels import ServerKernels

log = logging.getLogger("genops_lab")


class KernelsOnTargets(TargetKernels, Service):
    """Made in the application's event loop. ``server`` has the Jupyter server's kernels, or is None. Calls
    ``changed(target)`` when the state of a target's kernels changed."""

    def __init__(
        self,
        remote: RemoteKernels,
        connections: LoopConnections,
        hosts: AllocatedHosts,
        ledger: Ledger,
        owners: KernelOwners,
        savings: IdleSavings,
        server: ServerKernels | None,
        changed: Callable[[str], None],
    ) -> None:
        self._connections = connections
        self._ledger = ledger
        self._owners = owners
        self._savings = savings
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._remote = remote
        self.warm_pool = WarmPool(connections, ledger, self._own_ids, changed)
        self.warm_hosts = WarmHosts(connections, hosts, ledger, changed)
        self._connected: set[str] = set()
        self._following: set[asyncio.Task[None]] = set()
        if server is not None:
            server.choose_ids(self._choose_id, self.warm_hosts.not_started)
        self._ends = [connections.watch(self._link_changed), remote.watch(self._kernel_changed)]

    def install(self, record: TargetRecord) -> None:
        install_kernelspec(record.name, f"Python 3 ({record.name})", {"host": record.where})

    def uninstall(self, name: str) -> None:
        for preset in all_presets().get(name, []):
            remove_preset(name, preset)
        remove_kernelspec(name)

    def presets(self) -> dict[str, list[Preset]]:
        return all_presets()

    def add_preset(self, record: TargetRecord, preset: Preset) -> None:
        install_preset(record.name, record.where, preset)

    def remove_preset(self, name: str, preset: Preset) -> None:
        remove_preset(name, preset)

    def state(self, name: str) -> KernelState:
        warm = self.warm_pool.warm(name) or self.warm_hosts.warm(name)
        return KernelState(
            warm_ready=warm.ready if warm else None,
            warm_message=warm.message if warm else "",
            warm_hosts=self.warm_hosts.ids(name),
            taken=self._owners.taken(name),
            ended=self._owners.ended(name),
            pending=self._owners.pending(name),
            saved=self._savings.this_month(name),
        )

    async def saved(self) -> list[SavedHours]:
        return await self._savings.all()

    async def own(self, record: TargetRecord) -> list[OwnKernel]:
        own = {
            each.kernel_id: each for each in await asyncio.to_thread(self._ledger.own_kernels, record.name)
        }
        if self._server is not None:
            presets = (await asyncio.to_thread(all_presets)).get(record.name, [])
            names = {kernel_name(record.name), *(each.kernel_name for each in presets)}
            for entry in await self._server.kernels():
                if entry.name in names:
                    own[entry.kernel_id] = OwnKernel(
                        kernel_id=entry.kernel_id, target=record.name, path=entry.path
                    )
        if not own:
            return []
        provider, route = provider_of(record.route.kind), record.route
        not_running: set[str] = set()
        for link in self._connections.up_of(record.name):
            found = await self._connections.run(link.call("kernels.list"))
            running = {each["kernel_id"] for each in found if each["state"] == "running"}
            there = {each for each in own if provider.host_of(route, each) == link.route.ref}
            not_running |= there - running
        return [each for each in own.values() if each.kernel_id not in not_running]

    def policy_changed(self, name: str) -> None:
        self.warm_pool.policy_changed(name)
        self.warm_hosts.fill(name)

    async def disconnected(self, name: str) -> None:
        await self.warm_hosts.end(name)

    async def close(self) -> None:
        for end in self._ends:
            end()
        await self.warm_pool.close()
        await self.warm_hosts.close()

    async def _choose_id(self, kernel_spec: str, environment: Mapping[str, str]) -> str:
        """Return the id of a kernel that is ready, for a start with the target's own resources."""
        notebook = environment.get("JPY_SESSION_NAME", "")
        name = next((each for each in self.warm_hosts.targets if kernel_name(each) == kernel_spec), "")
        if not name or resources_of(environment) != Resources() or self._remote.wishes.has(name, notebook):
            return ""
        return await self.warm_hosts.take(name)

    async def _own_ids(self, record: TargetRecord) -> set[str]:
        return {each.kernel_id for each in await self.own(record)}

    def _link_changed(self, name: str) -> None:
        self.warm_pool.connections_changed(name, [link.route for link in self._connections.up_of(name)])
        self.warm_hosts.look(name)

    def _kernel_changed(self, kernel: RemoteKernelClient) -> None:
        """Follow a kernel, in the connections' thread: a start may have taken a ready kernel."""
        if kernel.state.state == "connected" and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._kernel_started, kernel.link.route.target, kernel.kernel_id)

    def _kernel_started(self, name: str, kernel_id: str) -> None:
        self.warm_pool.kernel_started(name)
        if kernel_id in self._connected:
            return
        self._connected.add(kernel_id)
        task = self._loop.create_task(self._refill(name, kernel_id))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _refill(self, name: str, kernel_id: str) -> None:
        try:
            await self.warm_hosts.started(kernel_id)
        except GenOpsError as error:  # its spare kernel ends with its pod or job
            log.info("The host of kernel %s keeps a kernel ready: %s", kernel_id, error.message)
        self.warm_hosts.fill(name)
