"""Keep kernels ready on targets that make a host for each kernel: in pods and jobs of their own, for a bounded time."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Failed, GenOpsError
from genops_lab.core.services import Service
from genops_lab.kernels.kernelspecs import ARGV

from ..hosts.allocated import AllocatedHosts
from ..hosts.providers import provider_of
from .warm_pool import Warm

if TYPE_CHECKING:
    from ..hosts.async_connections import LoopConnections
    from ..hosts.configuration import HostConfig
    from ..hosts.ledger import Ledger
    from ..hosts.link.connection import HostConnection
    from ..hosts.link.route import Route
    from ..hosts.records import TargetRecord

_LOOK_S = 0.5
_CALL_S = 15.0
#: Seconds that the end of the Lab waits for the release of its hosts. The rest ends by itself: no Lab attends it.
_CLOSE_S = 10.0

log = logging.getLogger("genops_lab")


class _Kept(msgspec.Struct):
    host: Route
    #: what the host was made of: a target that changes gets others
    config: HostConfig
    until: float
    ready: bool = False


class WarmHosts(Service):
    """Belongs to the Lab's loop; calls ``changed(target)``.

    A host kept ready has the id of the kernel that will take it, so it becomes that kernel's host by its name. A
    target's first ones are made when somebody sets its policy or starts a kernel on it, never by a look.
    """

    def __init__(
        self,
        connections: LoopConnections,
        hosts: AllocatedHosts,
        ledger: Ledger,
        changed: Callable[[str], None],
    ) -> None:
        self._connections = connections
        self._hosts = hosts
        self._ledger = ledger
        self._changed = changed
        self._kept: dict[str, dict[str, _Kept]] = {}
        self._taken: dict[str, _Kept] = {}
        self._message: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def warm(self, name: str) -> Warm | None:
        """Return the known state of a target's ready kernels; None while none was wanted."""
        if name not in self._kept and name not in self._message:
            return None
        ready = sum(each.ready for each in self._kept.get(name, {}).values())
        return Warm(ready, self._message.get(name, ""))

    @property
    def targets(self) -> list[str]:
        """Return the targets with hosts that wait for a kernel."""
        return [name for name, kept in self._kept.items() if kept]

    def ids(self, name: str) -> set[str]:
        """Return the ids of a target's hosts that wait for a kernel."""
        return set(self._kept.get(name, {}))

    def fill(self, name: str) -> None:
        """Keep as many ready as the target's policy says."""
        self._begin(name, more=True)

    def look(self, name: str) -> None:
        """Look again at the hosts that a target has: a connection changed."""
        if self._kept.get(name) and name not in self._tasks:
            self._begin(name, more=False)

    async def take(self, name: str) -> str:
        """Return the id for the kernel that starts now, whose host is ready; empty where none is."""
        record = await asyncio.to_thread(self._ledger.get, name)
        for host_id, kept in list(self._kept.get(name, {}).items()):
            if kept.ready and kept.config == record.route.config and self._link(kept).is_up:
                self._taken[host_id] = self._kept[name].pop(host_id)
                self._changed(name)
                return host_id
        return ""

    async def started(self, host_id: str) -> None:
        """Note that a kernel runs on the host that it took: no other one is made ready there."""
        kept = self._taken.pop(host_id, None)
        if kept is not None:
            await self._spares(kept, 0)

    async def not_started(self, host_id: str) -> None:
        """Release a host that was taken for a kernel which did not start."""
        kept = self._taken.pop(host_id, None)
        if kept is not None:
            await self._release(kept)

    async def end(self, name: str) -> None:
        """Release a target's hosts that no kernel has taken."""
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        kept = self._kept.pop(name, {})
        self._message.pop(name, None)
        await asyncio.gather(*(self._release(each) for each in kept.values()))
        if kept:
            self._changed(name)

    async def close(self) -> None:
        """Release all hosts that no kernel has taken."""
        names = {*self._kept, *self._tasks}
        if names:
            await asyncio.wait([asyncio.create_task(self.end(each)) for each in names], timeout=_CLOSE_S)

    def _begin(self, name: str, *, more: bool) -> None:
        task = self._tasks.get(name)
        if task is not None:
            task.cancel()
        self._tasks[name] = asyncio.create_task(self._keep(name, more))

    async def _keep(self, name: str, more: bool) -> None:
        try:
            record = await asyncio.to_thread(self._ledger.get, name)
            if not provider_of(record.route.kind).allocates:
                return
            count, kept = record.policy.warm_kernels, self._kept.setdefault(name, {})
            await self._drop(name, lambda each: each.config != record.route.config)
            for extra in list(kept)[count:]:
                await self._release(kept.pop(extra))
            if not count:
                self._kept.pop(name, None)
                self._message.pop(name, None)
                self._changed(name)
                return
            if more:
                self._message.pop(name, None)
                while len(kept) < count:
                    host = self._new(record)
                    kept[host.host.host_id] = host
                self._changed(name)
            await asyncio.gather(*(self._make_ready(record, each) for each in list(kept.values())))
            while kept:
                await asyncio.sleep(max(0.0, min(each.until for each in kept.values()) - time.monotonic()))
                if await self._drop(name, lambda each: each.until <= time.monotonic()):
                    self._say(
                        name,
                        f"No kernel started within {record.policy.warm_minutes:g} minutes. "
                        "The next start makes kernels ready again.",
                    )
        except GenOpsError as error:
            log.info("No kernel is kept ready on %s: %s", name, error.message)
            self._say(name, error.message)
        finally:
            if self._tasks.get(name) is asyncio.current_task():
                del self._tasks[name]

    def _new(self, record: TargetRecord) -> _Kept:
        provider, host_id = provider_of(record.route.kind), str(uuid.uuid4())
        host = record.route.at(provider.host_of(record.route, host_id))
        until = time.monotonic() + record.policy.warm_minutes * 60
        return _Kept(host=host, config=record.route.config, until=until)

    async def _make_ready(self, record: TargetRecord, kept: _Kept) -> None:
        """Request the host, and a kernel on it that waits. Where that fails, the host is released."""
        name, host_id = record.name, kept.host.host_id
        try:
            link = self._link(kept)
            if not link.is_up:
                await self._hosts.ask_for(record, host_id)
                within_s = kept.until - time.monotonic()
                await asyncio.wait_for(self._connections.run(link.up()), within_s)
            while True:
                answer = await self._spares(kept, 1)
                if answer["trouble"]:
                    raise Failed(f"No kernel is ready: {answer['trouble']}", hint="Test the target.")
                if answer["ready"]:
                    break
                await asyncio.sleep(_LOOK_S)
        except asyncio.TimeoutError:
            return  # its time is over: the caller releases it
        except GenOpsError as error:
            if self._kept.get(name, {}).pop(host_id, None) is not None:
                await self._release(kept)
            self._say(name, error.message)
            return
        if not kept.ready:
            kept.ready = True
            self._changed(name)

    async def _drop(self, name: str, over: Callable[[_Kept], bool]) -> bool:
        kept = self._kept.get(name, {})
        dropped = [kept.pop(host_id) for host_id, each in list(kept.items()) if over(each)]
        await asyncio.gather(*(self._release(each) for each in dropped))
        return bool(dropped)

    async def _release(self, kept: _Kept) -> None:
        try:
            await self._hosts.give_back(kept.host)
        except GenOpsError as error:  # then it is left over, and released later
            log.warning("%s of %s was not released: %s", kept.host.host_id, kept.host.target, error.message)

    async def _spares(self, kept: _Kept, count: int) -> dict[str, object]:
        call = self._link(kept).call("kernels.warm", {"argv": ARGV, "count": count}, timeout_s=_CALL_S)
        return dict(await self._connections.run(call))

    def _link(self, kept: _Kept) -> HostConnection:
        return self._connections.link(kept.host)

    def _say(self, name: str, message: str) -> None:
        self._message[name] = message
        self._changed(name)
