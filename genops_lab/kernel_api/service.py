"""Track runs of kernels on all targets: each connection gets a gateway and a supervisor of its runs.

This machine's own kernels use the Lab's private socket (:mod:`genops_lab.kernels.local_provisioner`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from genops_lab.core.operations import Operation
from genops_lab.core.principals import Principal
from genops_lab.core.services import Service, Services
from genops_lab.experiments.tracking import TrackingService
from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.link.route import HERE
from genops_lab.hosts.link.state import LinkState
from genops_lab.profiling.remote_analysis.service import RemoteAnalysisService

from .gateway import SERVICE, KernelGateway
from .supervision import PlaceSupervisor

if TYPE_CHECKING:
    from ..kernels.client.client import RemoteKernelClient
    from ..kernels.remote_kernels import RemoteKernels

_CALL_S = 30.0


class RemoteTracking(Service):
    """Made and closed in the Lab's loop.

    ``operations`` are those that admit kernels on other hosts. ``known`` returns the kernels of this user's
    Labs on a target; it blocks.
    """

    def __init__(
        self,
        remote: RemoteKernels,
        operations: Sequence[Operation],
        services: Services,
        known: Callable[[str], set[str]],
    ) -> None:
        self._remote = remote
        self._known = known
        for each in operations:
            services.named(each.service)  # a service made before this one is closed after it
        self._tracking = services.get(TrackingService)
        self._beside = services.get(RemoteAnalysisService)
        self._loop = asyncio.get_running_loop()
        self._doorway = KernelGateway(operations, services, self._run_started)
        self._supervisors: dict[str, PlaceSupervisor] = {}
        self._served: dict[str, HostConnection] = {}
        self._taken: set[Principal] = set()
        self._closed = False
        self._ends = [
            remote.on_open(self._bridge_opened),
            remote.watch(self._bridge_changed),
            remote.links.watch_all(self._link_changed),
        ]
        for link in remote.links.known():
            self._link_changed(link.route.target, link.state)

    async def close(self) -> None:
        """Serve no host any more."""
        self._closed = True
        for end in self._ends:
            end()
        await asyncio.gather(*(supervisor.close() for supervisor in self._supervisors.values()))
        await self._doorway.close()

    # In the connections' thread

    def _bridge_opened(self, bridge: RemoteKernelClient) -> None:
        if bridge.link.route.target == HERE.target:
            return
        self._doorway.admit(bridge.link.route.target, bridge.kernel_id)
        self._look_at(bridge.link)

    def _bridge_changed(self, bridge: RemoteKernelClient) -> None:
        if bridge.link.route.target == HERE.target:
            return
        kernel = Principal("kernel", bridge.kernel_id, bridge.link.route.target)
        state = bridge.state.state
        if state == "taken":  # the Lab that has the kernel gets its runs too
            self._taken.add(kernel)
            self._doorway.dismiss(kernel.target, kernel.name)
        elif state == "connected":
            self._taken.discard(kernel)
            self._doorway.admit(kernel.target, kernel.name)
        if state in ("connected", "ended", "taken"):
            self._look_at(bridge.link)

    def _link_changed(self, target: str, state: LinkState) -> None:
        if state.state == "up" and target != HERE.target:
            for link in self._remote.links.known():
                if link.route.target == target:
                    self._look_at(link)
            with contextlib.suppress(RuntimeError):  # the Lab's loop has ended
                self._loop.call_soon_threadsafe(self._connected, target)

    def _look_at(self, link: HostConnection) -> None:
        target = link.route.target
        if self._served.get(target) is not link:
            self._served[target] = link
            link.serve(SERVICE, partial(self._doorway.serve, target))
        with contextlib.suppress(RuntimeError):  # the Lab's loop has ended
            self._loop.call_soon_threadsafe(self._look, target)

    # In the Lab's loop

    def _connected(self, target: str) -> None:
        if not self._closed:
            self._beside.connected(target)

    def _look(self, target: str) -> None:
        if self._closed:
            return
        supervisor = self._supervisors.get(target)
        if supervisor is None:
            host = _LinkHost(self._remote.links, lambda: self._served[target])
            kernels = partial(self._kernels, target)
            supervisor = PlaceSupervisor(target, host, self._tracking, kernels)
            self._supervisors[target] = supervisor
        supervisor.look()

    def _run_started(self, kernel: Principal) -> None:
        self._look(kernel.target)

    async def _kernels(self, target: str) -> set[str]:
        """Return the kernels whose runs are tracked, admitted from now on."""
        runs = await self._tracking.open_runs_at(target)
        known = await asyncio.to_thread(self._known, target) | {run.process.kernel_id for run in runs}
        for kernel_id in known:
            if Principal("kernel", kernel_id, target) not in self._taken:
                self._doorway.admit(target, kernel_id)
        return self._doorway.admitted(target)


class _LinkHost:
    """The agent over the target's present connection."""

    def __init__(self, links: HostConnections, link: Callable[[], HostConnection]) -> None:
        self._links = links
        self._link = link

    def is_up(self) -> bool:
        return self._link().is_up

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        return await self._links.run(self._link().call(method, params, timeout_s=_CALL_S))
