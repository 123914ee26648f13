"""Track which Lab a target's kernel belongs to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..core.services import Service
from ..hosts.models import EndedKernel, PendingKernel, TakenKernel

if TYPE_CHECKING:
    from genops_lab.kernels.client.client import RemoteKernelClient
    from genops_lab.kernels.client.exchange import BridgeStateName
    from genops_lab.kernels.remote_kernels import RemoteKernels


class KernelOwners(Service):
    """Made and closed in the Lab's loop. Calls ``changed`` with the target of a kernel whose owner changed."""

    def __init__(self, remote: RemoteKernels, changed: Callable[[str], None]) -> None:
        self._remote = remote
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._not_here: dict[str, BridgeStateName] = {}
        self._unwatch = remote.watch(self._bridge_changed)

    async def close(self) -> None:
        """Stop following kernels."""
        self._unwatch()

    def taken(self, target: str) -> list[TakenKernel]:
        """Return the kernels of this Lab that other Labs have now."""
        return [
            TakenKernel(kernel_id=bridge.kernel_id, other=bridge.state.other, since=bridge.state.since)
            for bridge in self._in_state("taken", target)
        ]

    def ended(self, target: str) -> list[EndedKernel]:
        """Return the kernels of this Lab that have ended."""
        return [
            EndedKernel(kernel_id=bridge.kernel_id, reason=bridge.state.reason, since=bridge.state.since)
            for bridge in self._in_state("ended", target)
            if not bridge.expected_end
        ]

    def pending(self, target: str) -> list[PendingKernel]:
        """Return the kernels of this Lab that wait for their hosts."""
        return [
            PendingKernel(kernel_id=bridge.kernel_id, reason=bridge.state.reason, since=since)
            for bridge in self._in_state("disconnected", target)
            if (since := bridge.pending_since) is not None
        ]

    def is_elsewhere(self, attached: Mapping[str, Any] | None) -> bool:
        """Return whether the attached Lab, as the host reports it, is another one."""
        return attached is not None and not self._remote.is_own(str(attached.get("client", "")))

    async def take_over(self, kernel_id: str) -> None:
        """Take a kernel back that another Lab has; one that was never here is taken when it is attached."""
        bridge = self._remote.bridges.get(kernel_id)
        if bridge is None:
            self._remote.take_over_next(kernel_id)
        elif bridge.state.state == "taken":
            await self._remote.links.run(self._remote.take_over(kernel_id))

    def take_no_more(self, kernel_id: str) -> None:
        """Drop the consent to a take-over: it holds for one attempt only."""
        self._remote.take_over_no_more(kernel_id)

    def _in_state(self, state: BridgeStateName, target: str) -> list[RemoteKernelClient]:
        bridges = list(self._remote.bridges.values())
        return [each for each in bridges if each.link.route.target == target and each.state.state == state]

    def _bridge_changed(self, bridge: RemoteKernelClient) -> None:
        """Follow a kernel's state, in the connections' thread. Cuts are reported by the connections."""
        kernel_id, state = bridge.kernel_id, bridge.state.state
        gone = state if state in ("taken", "ended") else None
        if gone == self._not_here.get(kernel_id):
            return
        if gone:
            self._not_here[kernel_id] = gone
        else:
            del self._not_here[kernel_id]
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed, bridge.link.route.target)
