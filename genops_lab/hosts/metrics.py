"""The last reading of each host, asked for over open connections while somebody looks, and never otherwise."""

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

from .models import HostReading

if TYPE_CHECKING:
    from genops_lab.hosts.link.connection import HostConnection

#: A look asks again for what is older than this. With a look a second nothing is older than 5 s.
FRESH_S = 1.5
#: Older than this is not shown without having asked anew.
STALE_S = 4.0
#: How long one look waits for hosts whose reading is stale.
WAIT_S = 1.0
#: When a host's answer is given up.
TIMEOUT_S = 4.0

log = logging.getLogger("genops_lab")


class Hosts(Protocol):
    """Where the open links are: :class:`~genops_lab.hosts.loop_connections.LoopConnections`."""

    def up_links(self) -> Sequence[HostConnection]:
        """The links that are up now; none is connected by asking."""
        ...

    async def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine on the links' own loop."""
        ...


class HostMetrics(Service):
    """Keeps readings by target. Belongs to the Lab's loop.

    ``here`` reads this machine and blocks; no link is needed for it.
    """

    def __init__(self, hosts: Hosts, here: Callable[[], dict[str, Any]] | None = None) -> None:
        self._hosts = hosts
        self._here = here or _read_here
        self._readings: dict[str, tuple[HostReading, float]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._silent: set[str] = set()

    def reading(self, name: str) -> tuple[HostReading, float] | None:
        """The last reading and its age in seconds, counted since it arrived; None without one."""
        found = self._readings.get(name)
        return None if found is None else (found[0], time.monotonic() - found[1])

    async def look(self, local: Collection[str] = ()) -> None:
        """Ask the hosts of open links, all at once, and this machine for the targets ``local``.

        What is fresh is left alone. Waits up to ``WAIT_S`` for readings that are stale, but not again for a host
        that let an earlier look wait.
        """
        begun = []
        for name in local:
            begun += self._begin(name, self._ask_here)
        for link in self._hosts.up_links():
            if link.route.target not in local:
                begun += self._begin(link.route.target, functools.partial(self._ask_link, link))
        if begun:
            await asyncio.wait(begun, timeout=WAIT_S)

    def forget(self, name: str) -> None:
        """Drop what is known of a target that is removed or changed."""
        self._readings.pop(name, None)
        self._silent.discard(name)
        task = self._asking.pop(name, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Ask nobody any more."""
        tasks = list(self._asking.values())
        for name in list(self._asking):
            self.forget(name)
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, name: str, ask: Callable[[], Awaitable[Any]]) -> list[asyncio.Task[None]]:
        """The task that is to be waited for, if any; one that need not be is begun as well."""
        if name in self._asking:
            return []
        known = self.reading(name)
        age = None if known is None else known[1]
        if age is not None and age < FRESH_S:
            return []
        task = asyncio.create_task(self._keep(name, ask))
        self._asking[name] = task
        waited_for = (age is None or age > STALE_S) and name not in self._silent
        return [task] if waited_for else []

    async def _ask_link(self, link: HostConnection) -> Any:
        return await self._hosts.run(link.call("readings", timeout_s=TIMEOUT_S))

    async def _ask_here(self) -> Any:
        return await asyncio.to_thread(self._here)

    async def _keep(self, name: str, ask: Callable[[], Awaitable[Any]]) -> None:
        task = asyncio.current_task()
        slow = asyncio.get_running_loop().call_later(WAIT_S, self._silent.add, name)
        try:
            reading = msgspec.convert(await ask(), HostReading)
            if self._asking.get(name) is task:
                self._readings[name] = (reading, time.monotonic())
                self._silent.discard(name)
        except (GenOpsError, OSError) as error:  # the last reading stays, with its age
            log.debug("No reading of %s: %s", name, error)
            self._silent.add(name)
        except msgspec.ValidationError as error:
            log.warning("The reading of %s cannot be used: %s", name, error)
            self._silent.add(name)
        finally:
            slow.cancel()
            if self._asking.get(name) is task:
                del self._asking[name]


def _read_here() -> dict[str, Any]:
    from genops_lab.agent.metrics import host_reading

    return host_reading()
