"""Follow the state of one deployment on a host: the host tells each change, so nothing asks for it again and again."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from genops_lab.core.errors import GenOpsError
from genops_lab.deployments.record import ACTIVE
from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.transfer import host_transfer

from .host_talk import Following

if TYPE_CHECKING:
    from genops_lab.hosts.async_connections import LoopConnections

#: How long the state of a deployment is current that has ended: the host tells no change of it.
ENDED_S = 2.0
ASK_S = 30.0


class HostWatch:
    """The last known state of a deployment. Belongs to the Lab's loop."""

    def __init__(self, connections: LoopConnections, name: str) -> None:
        self.name = name
        self.state: dict[str, Any] | None = None
        self._connections = connections
        self._following: asyncio.Task[None] | None = None
        #: How many changes this Lab has begun or ended, and how many of them the state has.
        self._changes = self._seen_changes = 0
        #: The host's clock when the state was read, and this machine's when it came.
        self._at, self._came_at = 0.0, 0.0
        self._boot = ""
        self._lost_at = 0.0

    @property
    def is_current(self) -> bool:
        """Whether the state is that of the host."""
        if self.state is None or self._seen_changes < self._changes:
            return False
        if self._following is not None and not self._following.done():
            return True
        return not self._active and time.monotonic() - self._came_at < ENDED_S

    @property
    def _active(self) -> bool:
        return any(each.get("state") in ACTIVE for each in (self.state or {}).get("revisions", ()))

    def changed(self) -> None:
        """Note that the host is changing the deployment: what was told before counts no more."""
        self._changes += 1

    async def ask(self, link: HostConnection) -> None:
        """Ask for the state now, and follow it while the deployment is active. Raises LinkDown, RemoteError."""
        changes = self._changes
        found = await self._connections.run(
            link.call("deployments", {"op": "observe", "name": self.name}, timeout_s=ASK_S)
        )
        boot = str(link.hello.get("boot_id"))
        if boot != self._boot:  # the host's clock began again
            self._boot, self._at = boot, 0.0
        self._take(float(found["at"]), dict(found["state"]))
        self._seen_changes, self._lost_at = max(self._seen_changes, changes), 0.0
        if self._active and (self._following is None or self._following.done()):
            self._following = asyncio.create_task(self._follow(link))

    def away_since(self, since: float) -> float:
        """Return when the host was lost: ``since``, unless an earlier moment is known."""
        self._lost_at = min(self._lost_at, since) if self._lost_at else since
        return self._lost_at

    def close(self) -> None:
        """Follow the deployment no more."""
        if self._following is not None:
            self._following.cancel()

    async def _follow(self, link: HostConnection) -> None:
        loop = asyncio.get_running_loop()

        async def read() -> None:
            async with host_transfer(Following, link, "deployments", {"name": self.name}) as talk:
                async for found in talk.documents():
                    loop.call_soon_threadsafe(self._take, float(found["at"]), dict(found["state"]))

        try:
            await self._connections.run(read())
        except GenOpsError:
            return  # the connection broke, and who looks asks again

    def _take(self, at: float, state: dict[str, Any]) -> None:
        if at < self._at:
            return  # of two answers the one that was read later counts
        self._at, self.state, self._came_at = at, state, time.monotonic()
        if not self._active:
            self.close()
