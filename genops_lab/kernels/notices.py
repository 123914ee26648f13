"""Notices for the owners of notebooks: a kernel on a target will be stopped because it is idle, or was
stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..hosts.models import KernelNotice

if TYPE_CHECKING:
    from genops_lab.kernels.client.client import RemoteKernelClient
    from genops_lab.kernels.remote_kernels import RemoteKernels


class Notices:
    """The latest notice of each kernel. Calls ``changed(kernel_id, target)`` in the loop in which it was
    made."""

    def __init__(self, remote: RemoteKernels, changed: Callable[[str, str], None]) -> None:
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._notices: dict[str, KernelNotice] = {}
        self._unwatch = remote.watch(self._kernel_changed)

    def all(self) -> list[KernelNotice]:
        """Return the notices in the order in which they came."""
        return list(self._notices.values())

    def drop(self, kernel_id: str) -> None:
        """Remove a notice that was read or no longer applies."""
        known = self._notices.pop(kernel_id, None)
        if known is not None:
            self._changed(kernel_id, known.target)

    def close(self) -> None:
        """Stop following kernels."""
        self._unwatch()

    def _kernel_changed(self, bridge: RemoteKernelClient) -> None:
        """Follow a kernel's state, in the connections' thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, bridge.kernel_id, _notice(bridge), bridge.state.state)

    def _take(self, kernel_id: str, notice: KernelNotice | None, state: str) -> None:
        known = self._notices.get(kernel_id)
        if notice is None:
            # While a host is away its kernels' state is unknown: the notice stays.
            if known is not None and state in ("connected", "ended", "taken"):
                self.drop(kernel_id)
        elif notice != known:
            self._notices[kernel_id] = notice
            self._changed(kernel_id, notice.target)


def _notice(bridge: RemoteKernelClient) -> KernelNotice | None:
    ended = bridge.state.state == "ended" and bridge.ended_by and not bridge.expected_end
    warned = bridge.state.state == "connected" and bridge.exchange.idle_ends_at is not None
    if not ended and not warned:
        return None
    return KernelNotice(
        target=bridge.link.route.target,
        kernel_id=bridge.kernel_id,
        kind="ended" if ended else "warning",
        path=str(bridge.info.get("notebook") or ""),
        text=bridge.state.reason
        if ended
        else "The kernel is idle. It will be stopped unless you run a cell or keep it.",
        ends_at=None if ended else bridge.exchange.idle_ends_at,
    )
