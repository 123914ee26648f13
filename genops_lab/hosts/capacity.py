"""Keep what the targets that allocate hosts have free; look only where a person wants to know, or works."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genops_lab.core.errors import GenOpsError
from genops_lab.core.services import Service

from .providers import provider_of
from .providers.base import Capacity

if TYPE_CHECKING:
    from .async_connections import LoopConnections
    from .records import TargetRecord

#: Seconds after which a look asks again.
FRESH_S = 15.0
#: Seconds that looks go on after a person asked.
_WANTED_S = 600.0
#: Seconds that a person waits for the answer of one cluster.
_WAIT_S = 20.0

log = logging.getLogger("genops_lab")


class Capacities(Service):
    """The last answers by target. Belongs to the Lab's loop."""

    def __init__(self, connections: LoopConnections) -> None:
        self._connections = connections
        self._known: dict[str, tuple[Capacity, float]] = {}
        self._wanted: dict[str, float] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    def of(self, name: str) -> tuple[Capacity, float] | None:
        """Return the last answer, and its age in seconds; None before the first one."""
        found = self._known.get(name)
        return None if found is None else (found[0], time.monotonic() - found[1])

    async def ask(self, records: Sequence[TargetRecord]) -> None:
        """Ask the targets among these that allocate hosts, and wait: a person wants to know. Answers younger
        than 15 s count. Nobody is asked for a login."""
        now = time.monotonic()
        mine = [each for each in records if provider_of(each.route.kind).allocates]
        self._wanted.update({each.name: now for each in mine})
        begun = [task for each in mine if (task := self._begin(each, connect=True))]
        if begun:
            await asyncio.wait(begun, timeout=_WAIT_S)

    def look(self, records: Sequence[TargetRecord]) -> None:
        """Ask again, without waiting, where a host is connected or a person asked in the last 10 minutes.
        Nothing is connected for it."""
        since = time.monotonic() - _WANTED_S
        for each in records:
            if provider_of(each.route.kind).allocates and (
                self._wanted.get(each.name, since) > since or self._connections.is_up(each.name)
            ):
                self._begin(each, connect=False)

    def forget(self, name: str) -> None:
        """Drop what is known of a removed target."""
        self._known.pop(name, None)
        self._wanted.pop(name, None)
        if task := self._asking.pop(name, None):
            task.cancel()

    async def close(self) -> None:
        """Cancel all requests."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, record: TargetRecord, *, connect: bool) -> asyncio.Task[None] | None:
        """Start to ask, unless the last answer is fresh; return the task to wait for."""
        if record.name in self._asking:
            return self._asking[record.name]
        known = self.of(record.name)
        if known is not None and known[1] < FRESH_S and not (connect and known[0].gpus is None):
            return None
        task = asyncio.create_task(self._ask(record, connect=connect))
        self._asking[record.name] = task
        return task

    async def _ask(self, record: TargetRecord, *, connect: bool) -> None:
        provider = provider_of(record.route.kind)
        try:
            found = await self._connections.run(provider.capacity(record.route, connect=connect))
        except GenOpsError as error:
            found = Capacity(note=error.message)
        except Exception:  # a provider that fails must not end the publishing of all targets
            log.warning("The free GPUs of %s could not be read.", record.name, exc_info=True)
            found = Capacity(note="The free GPUs could not be read. The Lab's log has the details.")
        finally:
            if self._asking.get(record.name) is asyncio.current_task():
                del self._asking[record.name]
        self._known[record.name] = found, time.monotonic()
