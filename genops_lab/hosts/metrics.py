"""Keep the last reading of each host; read hosts over open connections only while somebody looks."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from genops_lab.core.errors import GenOpsError
from genops_lab.core.services import Service

from .link.route import HostRef
from .models import HostReading

if TYPE_CHECKING:
    from genops_lab.hosts.link.connection import HostConnection

#: Seconds after which a look asks again. With one look a second no reading is older than 5 s.
FRESH_S = 1.5
#: Seconds after which a reading is not shown before the host was asked again.
STALE_S = 4.0
#: Seconds that one look waits for hosts with a stale reading.
WAIT_S = 1.0
#: Seconds after which a host's answer is no longer awaited.
TIMEOUT_S = 4.0

log = logging.getLogger("genops_lab")


class Hosts(Protocol):
    """The open connections: :class:`~genops_lab.hosts.async_connections.LoopConnections`."""

    def up_links(self) -> Sequence[HostConnection]:
        """Return the connections that are up now, without connecting."""
        ...

    async def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the connections' own loop."""
        ...


class HostMetrics(Service):
    """Keeps readings by host. Belongs to the Lab's loop.

    ``here`` reads this machine and blocks; it needs no connection.
    """

    def __init__(self, hosts: Hosts, here: Callable[[], dict[str, Any]] | None = None) -> None:
        self._hosts = hosts
        self._here = here or _read_here
        self._readings: dict[HostRef, tuple[HostReading, float]] = {}
        self._asking: dict[HostRef, asyncio.Task[None]] = {}
        self._silent: set[HostRef] = set()

    def reading(self, name: str, host_id: str = "") -> tuple[HostReading, float] | None:
        """Return the last reading of a target's host, and its age in seconds since it arrived; None without
        one."""
        found = self._readings.get(HostRef(name, host_id))
        return None if found is None else (found[0], time.monotonic() - found[1])

    async def look(self, local: Collection[str] = ()) -> None:
        """Ask the hosts of open connections, all at once, and this machine for the targets ``local``.

        Fresh readings are not asked for again. Waits up to ``WAIT_S`` for stale readings, but not again for a
        host that let an earlier look wait.
        """
        begun = []
        for name in local:
            begun += self._begin(HostRef(name), self._ask_here)
        for link in self._hosts.up_links():
            if link.route.target not in local:
                begun += self._begin(link.route.ref, functools.partial(self._ask_link, link))
        if begun:
            await asyncio.wait(begun, timeout=WAIT_S)

    def forget(self, name: str) -> None:
        """Drop the readings of a target that is removed or changed."""
        for host in {*self._readings, *self._silent, *self._asking}:
            if host.target == name:
                self.forget_host(host)

    def retain(self, name: str, hosts: Collection[HostRef]) -> None:
        """Drop the readings of a target's hosts, except of these."""
        for host in [each for each in self._readings if each.target == name and each not in hosts]:
            self.forget_host(host)

    def forget_host(self, host: HostRef) -> None:
        """Drop the readings of a host that no longer exists."""
        self._readings.pop(host, None)
        self._silent.discard(host)
        task = self._asking.pop(host, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Cancel all requests."""
        tasks = list(self._asking.values())
        for host in list(self._asking):
            self.forget_host(host)
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, host: HostRef, ask: Callable[[], Awaitable[Any]]) -> list[asyncio.Task[None]]:
        """Start to ask a host where its reading is not fresh; return the task where the caller must wait for
        it."""
        if host in self._asking:
            return []
        known = self.reading(host.target, host.host_id)
        age = None if known is None else known[1]
        if age is not None and age < FRESH_S:
            return []
        task = asyncio.create_task(self._keep(host, ask))
        self._asking[host] = task
        waited_for = (age is None or age > STALE_S) and host not in self._silent
        return [task] if waited_for else []

    async def _ask_link(self, link: HostConnection) -> Any:
        return await self._hosts.run(link.call("readings", timeout_s=TIMEOUT_S))

    async def _ask_here(self) -> Any:
        return await asyncio.to_thread(self._here)

    async def _keep(self, host: HostRef, ask: Callable[[], Awaitable[Any]]) -> None:
        task = asyncio.current_task()
        slow = asyncio.get_running_loop().call_later(WAIT_S, self._silent.add, host)
        try:
            reading = msgspec.convert(await ask(), HostReading)
            if self._asking.get(host) is task:
                self._readings[host] = (reading, time.monotonic())
                self._silent.discard(host)
        except (GenOpsError, OSError) as error:  # the last reading stays, with its age
            log.debug("No reading of %s: %s", host.target, error)
            self._silent.add(host)
        except msgspec.ValidationError as error:
            log.warning("The reading of %s is invalid: %s", host.target, error)
            self._silent.add(host)
        finally:
            slow.cancel()
            if self._asking.get(host) is task:
                del self._asking[host]


def _read_here() -> dict[str, Any]:
    from genops_lab.agent.metrics import host_reading

    return host_reading()
