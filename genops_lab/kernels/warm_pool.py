"""Apply a target's policy while it is connected: keep kernels ready, and send running kernels their idle
limit. Connects nowhere."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import GenOpsError
from genops_lab.kernels.kernelspecs import ARGV
from genops_lab.kernels.preset_kernelspecs import price_of
from genops_lab.kernels.target_entry import idle_order

from ..hosts.providers import provider_of

if TYPE_CHECKING:
    from ..hosts.async_connections import LoopConnections
    from ..hosts.ledger import Ledger
    from ..hosts.link.route import HostRef, Route
    from ..hosts.records import TargetRecord

#: Seconds between two checks while kernels are being made ready.
LOOK_S = 1.0
_AFTER_TROUBLE_S = 60.0
_CALL_S = 15.0

log = logging.getLogger("genops_lab")


class Warm(msgspec.Struct, frozen=True):
    """How many kernels are ready, and why there are fewer than requested."""

    ready: int
    message: str = ""


class WarmPool:
    """Belongs to the Lab's loop. ``own`` returns the ids of this user's kernels on a target; calls
    ``changed(target)``."""

    def __init__(
        self,
        connections: LoopConnections,
        ledger: Ledger,
        own: Callable[[TargetRecord], Awaitable[set[str]]],
        changed: Callable[[str], None],
    ) -> None:
        self._connections = connections
        self._ledger = ledger
        self._own = own
        self._changed = changed
        self._warm: dict[str, Warm] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._up: dict[str, set[HostRef]] = {}

    def warm(self, name: str) -> Warm | None:
        """Return the known state of a target's ready kernels."""
        return self._warm.get(name)

    def connections_changed(self, name: str, up: Sequence[Route]) -> None:
        """Handle a change of a target's connections; ``up`` has its connected hosts."""
        hosts = {each.ref for each in up}
        before = self._up.get(name, set())
        if not hosts:
            if before:
                self.forget(name)
            return
        self._up[name] = hosts
        if hosts - before:
            self._begin(name, policy=True)

    def policy_changed(self, name: str) -> None:
        """Apply a changed policy."""
        if name in self._up:
            self._begin(name, policy=True)

    def kernel_started(self, name: str) -> None:
        """Check the ready kernels: a start may have taken one."""
        if name in self._up and self._warm.get(name) is not None:
            self._begin(name, policy=False)

    def forget(self, name: str) -> None:
        """Drop a target that is no longer connected."""
        self._up.pop(name, None)
        self._warm.pop(name, None)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Stop all work; ready kernels end by themselves."""
        tasks = list(self._tasks.values())
        for name in list(self._up):
            self.forget(name)
        if tasks:
            await asyncio.wait(tasks)

    def _begin(self, name: str, *, policy: bool) -> None:
        task = self._tasks.get(name)
        if task is not None:
            task.cancel()
        self._tasks[name] = asyncio.create_task(self._keep(name, policy))

    async def _keep(self, name: str, policy: bool) -> None:
        try:
            record = await asyncio.to_thread(self._ledger.get, name)
            if policy:
                own = await self._own(record)
                for host in self._up.get(name, set()) if own else ():
                    await self._tell_kernels(record, own, record.route.at(host))
            if not provider_of(record.route.kind).allocates:  # otherwise each kernel has its own host
                await self._keep_warm(record)
        except GenOpsError as error:  # the next connection, or the next change, tries again
            log.info("The policy of %s was not applied: %s", name, error.message)
            if name in self._warm:
                self._set(name, Warm(0, error.message))

    async def _tell_kernels(self, record: TargetRecord, own: set[str], host: Route) -> None:
        for info in await self._call(host, "kernels.list", {}):
            price = await asyncio.to_thread(price_of, str(info.get("name") or ""))
            wanted = idle_order(record, price)
            has = info.get("idle")
            has = {name: value for name, value in has.items() if name != "ends_in_s"} if has else None
            if info["kernel_id"] in own and info["state"] == "running" and has != wanted:
                await self._call(host, "kernels.policy", {"kernel_id": info["kernel_id"], "idle": wanted})

    async def _keep_warm(self, record: TargetRecord) -> None:
        name, count = record.name, record.policy.warm_kernels
        if not count and name not in self._warm:
            return
        while True:
            answer = await self._call(record.route, "kernels.warm", {"argv": ARGV, "count": count})
            if not count:
                self._set(name, None)
                return
            self._set(name, Warm(int(answer["ready"]), str(answer["trouble"])))
            if answer["ready"] >= count:
                return
            await asyncio.sleep(_AFTER_TROUBLE_S if answer["trouble"] else LOOK_S)

    def _set(self, name: str, warm: Warm | None) -> None:
        if warm == self._warm.get(name):
            return
        if warm is None:
            del self._warm[name]
        else:
            self._warm[name] = warm
        self._changed(name)

    async def _call(self, host: Route, method: str, params: dict[str, Any]) -> Any:
        link = self._connections.link(host)
        return await self._connections.run(link.call(method, params, timeout_s=_CALL_S))
