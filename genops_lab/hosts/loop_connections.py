"""The links of this process, as the Lab's event loop sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from genops_lab.core.services import Service
from genops_lab.hosts.link.listeners import Listeners
from genops_lab.hosts.link.route import HERE

if TYPE_CHECKING:
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.link.connections import HostConnections
    from genops_lab.hosts.link.route import Route
    from genops_lab.hosts.link.state import LinkState

T = TypeVar("T")
_NEAREST = ("up", "asking", "connecting", "pending", "down", "failed", "idle")


class LoopConnections(Service):
    """Links by host, those that kernels' starts made too. Links live on a loop of their own."""

    def __init__(self, links: HostConnections) -> None:
        self.links = links
        self._changed: Listeners[[str]] = Listeners("connections")
        self._loop = asyncio.get_running_loop()
        self._unwatch = links.watch_all(self._told)

    def watch(self, changed: Callable[[str], None]) -> Callable[[], None]:
        """Call ``changed(target)`` on this object's loop when a link's state changes; returns what ends that."""
        return self._changed.add(changed)

    def link(self, route: Route) -> HostConnection:
        """The link of a target's host; nothing is connected by this."""
        return self.links.link(route)

    def states(self) -> dict[str, LinkState]:
        """The state of each target that somebody asked for: that of its host which is nearest to being up."""
        found: dict[str, LinkState] = {}
        for link in self.links.known():
            known = found.get(link.route.target)
            if known is None or _NEAREST.index(link.state.state) < _NEAREST.index(known.state):
                found[link.route.target] = link.state
        return found

    def is_up(self, target: str) -> bool:
        """Whether a target's link is up now."""
        state = self.states().get(target)
        return state is not None and state.state == "up"

    def up_links(self) -> list[HostConnection]:
        """The links of targets that are up now; none is connected by asking."""
        known = self.links.known()
        return [link for link in known if link.state.state == "up" and link.route.target != HERE.target]

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the links' own loop."""
        return await self.links.run(work)

    async def disconnect(self, target: str) -> None:
        """Disconnect a target on purpose; harmless when it is not connected."""
        for link in self.links.known():
            if link.route.target == target and link.state.state != "idle":
                await self.run(link.down())

    def forget(self, target: str) -> None:
        """Drop the link of a target that is removed."""
        if any(link.route.target == target for link in self.links.known()):
            self.links.forget(target)

    def _told(self, target: str, _state: LinkState) -> None:
        # Links tell on their own thread; the Lab's loop may be gone before them.
        if target != HERE.target and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.tell, target)

    async def close(self) -> None:
        """Close all links; kernels on their hosts go on."""
        self._unwatch()
        await asyncio.to_thread(self.links.close)
