"""Look at running hosts, and tell before one of them ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from genops_lab.core.errors import GenOpsError
from genops_lab.core.live import LiveHub
from genops_lab.core.services import Service

from .providers import provider_of
from .providers.base import Running

if TYPE_CHECKING:
    from .async_connections import LoopConnections
    from .link.route import HostRef, Route

#: The topics of a visible page that shows targets, or has a notebook open whose kernel runs on one.
_ATTENDED = ("targets", "host-ends")
#: Seconds between two looks at a target with connected hosts. No other target is looked at.
_LOOK_EVERY_S = 15.0
#: Seconds between two looks at least, whatever changes.
_LEAST_S = 1.0
#: Seconds before a known end in which the user is told.
SOON_S = 900.0

log = logging.getLogger("genops_lab")


class HostEnds(Service):
    """The known ends of the connected hosts of targets that allocate hosts.

    Belongs to the Lab's loop. Looks only while a visible page listens to a topic of ``_ATTENDED``. Calls
    ``changed(target)`` for any change, and ``told(host_id, target)`` where a host begins or ceases to end soon.
    """

    def __init__(
        self,
        connections: LoopConnections,
        live: LiveHub,
        changed: Callable[[str], None],
        told: Callable[[str, str], None],
    ) -> None:
        self._connections = connections
        self._live = live
        self._changed = changed
        self._told = told
        self._known: dict[HostRef, Running] = {}
        self._soon: set[HostRef] = set()
        self._looking: asyncio.Task[None] | None = None
        self._attended = asyncio.Event()
        for topic in _ATTENDED:
            live.produce(topic, self._attend)
        self._connected = asyncio.Event()
        self._unwatch = connections.watch(lambda _target: self._connected.set())

    async def open(self) -> None:
        """Start to look."""
        self._looking = asyncio.create_task(self._look_on())

    def of(self, host: HostRef) -> Running:
        """Return what the last look found of a host."""
        return self._known.get(host, Running())

    def soon(self) -> dict[HostRef, Running]:
        """Return the hosts that end soon, or of which a provider gave notice."""
        return {host: self._known[host] for host in self._soon}

    async def look(self) -> None:
        """Look at each connected host once. A host that cannot be looked at keeps what is known."""
        links = self._connections.up_links()
        hosts = [link.route for link in links if provider_of(link.route.kind).allocates]
        found = await asyncio.gather(*map(self._observe, hosts))
        before, soon_before = self._known, self._soon
        self._known = {host.ref: each for host, each in zip(hosts, found, strict=True) if each}
        self._soon = {host for host, each in self._known.items() if _is_soon(each)}
        changed = {host for host in {*before, *self._known} if before.get(host) != self._known.get(host)}
        for host in soon_before ^ self._soon:
            self._told(host.host_id, host.target)
        for target in {host.target for host in changed}:
            self._changed(target)

    async def _observe(self, host: Route) -> Running | None:
        try:
            seen = await self._connections.run(provider_of(host.kind).observe(host))
        except GenOpsError as error:
            log.info("The host %s of %s cannot be looked at: %s", host.host_id, host.target, error.message)
            return self._known.get(host.ref)
        return seen if isinstance(seen, Running) else None

    def _attend(self, _topic: str, _active: bool) -> None:
        if any(map(self._live.wanted, _ATTENDED)):
            self._attended.set()
        else:
            self._attended.clear()

    async def _look_on(self) -> None:
        while True:
            await self._attended.wait()
            self._connected.clear()
            try:
                await self.look()
            except Exception:  # a provider that fails must not end all later looks
                log.warning("Running hosts could not be looked at.", exc_info=True)
            await asyncio.sleep(_LEAST_S)
            await self._until_a_change()

    async def _until_a_change(self) -> None:
        """Wait for a change that a connected host's provider tells, a change of a connection, or the next look."""
        routes = [link.route for link in self._connections.up_links()]
        told: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._connections.run(provider_of(each.kind).changed(each)))
            for each in routes
            if provider_of(each.kind).tells_changes
        ]
        told.append(asyncio.ensure_future(self._connected.wait()))
        try:
            await asyncio.wait(told, timeout=_LOOK_EVERY_S - _LEAST_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in told:
                each.cancel()
            await asyncio.gather(*told, return_exceptions=True)

    async def close(self) -> None:
        """Stop looking."""
        self._unwatch()
        if self._looking is not None:
            self._looking.cancel()


def _is_soon(host: Running) -> bool:
    return bool(host.notice) or (host.ends_at is not None and host.ends_at - time.time() <= SOON_S)
