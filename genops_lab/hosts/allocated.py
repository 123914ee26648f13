"""Request hosts for kernels, and release hosts that no kernel needs any more."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Conflict, GenOpsError, NotFound
from genops_lab.core.locks import FileLock
from genops_lab.core.paths import private_dir, write_private
from genops_lab.core.services import Service

from .link.route import HostRef, Route
from .operator_rules import allowed, check_price_limit, load
from .providers import provider_of
from .providers.base import Resources

if TYPE_CHECKING:
    from .async_connections import LoopConnections
    from .ledger import Ledger
    from .records import TargetRecord

#: Seconds from the first look that finds a requested host left over until the host is released.
GRACE_S = 600.0
_LOOK_EVERY_S = 60.0
#: A process that only checks a lock holds the lock for microseconds.
_LOCK_WITHIN_S = 2.0

log = logging.getLogger("genops_lab")


class _Asked(msgspec.Struct):
    target: str
    host_id: str
    asked_at: float


class HostClaims:
    """The hosts that programs of this user on this machine requested.

    Each host has one claim file. It is written before the request, locked while the program lives, and
    removed when the host is released. Methods block and may be called from any thread.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._held: dict[HostRef, FileLock] = {}

    def allowed(
        self, target: Route, name: str, resources: Resources, price_per_hour: float | None = None
    ) -> Resources:
        """Return the resources that a host may request under the administrator's rules, at a price in USD where it
        is known. Raises InvalidRequest."""
        rules = load(self._data_dir)
        check_price_limit(rules, target.target, resources, price_per_hour)
        return allowed(rules, target, name, resources)

    def claim(self, host: HostRef) -> None:
        """Write and lock the claim of this process on a host."""
        if host in self._held:
            return
        path = self._path(host)
        if not path.exists():
            asked = _Asked(host.target, host.host_id, time.time())
            write_private(path, msgspec.json.encode(asked).decode())
        lock = FileLock(path)
        deadline = time.monotonic() + _LOCK_WITHIN_S
        while not lock.try_acquire() and time.monotonic() < deadline:
            time.sleep(0.01)
        self._held[host] = lock

    def drop(self, host: HostRef) -> None:
        """Remove the claim on a released host; harmless where there is none."""
        self.abandon(host)
        self._path(host).unlink(missing_ok=True)

    def abandon(self, host: HostRef) -> None:
        """Unlock the claim on a host that still exists and that this process no longer needs."""
        lock = self._held.pop(host, None)
        if lock is not None:
            lock.release()

    def is_held(self, host: HostRef) -> bool:
        """Return whether a living program has the claim on a host."""
        if not self._path(host).exists():
            return False
        lock = FileLock(self._path(host))
        free = lock.try_acquire()
        lock.release()
        return not free

    def asked(self, target: str) -> dict[str, float]:
        """Return the request time (seconds since 1970) of each host of a target that was not released, by
        host id."""
        found = (self._read(path) for path in self._folder.glob("*.json"))
        return {each.host_id: each.asked_at for each in found if each is not None and each.target == target}

    @property
    def _folder(self) -> Path:
        return private_dir(private_dir(self._data_dir / "remote") / "hosts")

    def _path(self, host: HostRef) -> Path:
        digest = hashlib.sha256(f"{host.target}\0{host.host_id}".encode("utf-8", "surrogateescape"))
        return self._folder / f"{digest.hexdigest()[:32]}.json"

    @staticmethod
    def _read(path: Path) -> _Asked | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=_Asked)
        except (OSError, msgspec.MsgspecError):
            return None


async def ask_for(
    claims: HostClaims,
    target: Route,
    name: str,
    resources: Resources,
    price_per_hour: float | None = None,
) -> Route:
    """Request a host, in the connections' loop; its claim is written first. Raises LinkError, and InvalidRequest
    for what the administrator does not allow, also at this price in USD."""
    provider = provider_of(target.kind)
    resources = await asyncio.to_thread(claims.allowed, target, name, resources, price_per_hour)
    await asyncio.to_thread(claims.claim, provider.host_of(target, name))
    return target.at(await provider.allocate(target, name, resources))


async def give_back(claims: HostClaims, host: Route) -> None:
    """Release a host, in the connections' loop. Raises LinkError: then the host is left over."""
    await asyncio.to_thread(claims.abandon, host.ref)
    await provider_of(host.kind).release(host)
    await asyncio.to_thread(claims.drop, host.ref)


class LeftOver(msgspec.Struct, frozen=True):
    """A host that no kernel of this user needs.

    ``release_at`` is in seconds since 1970. It is None where no program of this machine requested the host:
    then a user must confirm that nobody needs the host.
    """

    host: Route
    release_at: float | None


class AllocatedHosts(Service):
    """Finds hosts that are left over, and releases them. Belongs to the Lab's loop; calls
    ``changed(target)``.

    A host is needed while the program that requested it lives, or while a kernel on it is recorded by one of
    the user's Labs. Without a user's action only targets with requested hosts are checked.
    """

    def __init__(
        self, ledger: Ledger, connections: LoopConnections, claims: HostClaims, changed: Callable[[str], None]
    ) -> None:
        self._ledger = ledger
        self._connections = connections
        self.claims = claims
        self._changed = changed
        self._left: dict[HostRef, LeftOver] = {}

    def left_over(self, target: str) -> list[LeftOver]:
        """Return the hosts that the last look found left over."""
        return [each for host, each in self._left.items() if host.target == target]

    async def ask_for(self, record: TargetRecord, name: str) -> Route:
        """Request a host of the target's own resources without waiting until it runs. Raises LinkError, and
        InvalidRequest for what the administrator does not allow."""
        price = record.price_per_hour
        return await self._connections.run(ask_for(self.claims, record.route, name, Resources(), price))

    async def give_back(self, host: Route) -> None:
        """Disconnect a host and release it. Raises LinkError."""
        await self._leave(host)
        await self._connections.run(give_back(self.claims, host))
        if self._left.pop(host.ref, None):
            self._changed(host.target)

    async def release(self, record: TargetRecord, host_id: str) -> None:
        """Release a host that is left over. Raises NotFound, LinkError, and Conflict where a kernel or a
        program needs the host."""
        noun = provider_of(record.route.kind).host_noun
        listed = await self.look(record)
        host = next((each for each in listed if each.host_id == host_id), None)
        if host is None:
            raise NotFound(
                f"{record.name} has no {noun} {host_id[:80]!r}.",
                hint=f"See: genops targets hosts {record.name}",
            )
        if host.ref not in self._left:
            raise Conflict(
                f"One of your kernels needs the {noun} {host_id}.",
                hint=f"Shut down the kernel. The {noun} is released with it.",
            )
        await self.give_back(host)

    async def look(self, record: TargetRecord) -> list[Route]:
        """Return all hosts of a target that the provider lists for this user. Raises LinkError."""
        provider, name = provider_of(record.route.kind), record.name
        if not provider.allocates:
            return []
        asked = await asyncio.to_thread(self.claims.asked, name)
        listed = await self._connections.run(provider.list_hosts(record.route))
        # Claims are read before recorded kernels: a host that passes from one to the other is found by at
        # least one read.
        claimed = await asyncio.to_thread(lambda: {each for each in listed if self.claims.is_held(each)})
        rows = await asyncio.to_thread(self._ledger.own_kernels, name)
        needed = claimed | {provider.host_of(record.route, row.kernel_id) for row in rows}
        left = {}
        for host in listed:
            if host not in needed:
                left[host] = self._left.get(host) or LeftOver(
                    record.route.at(host), time.time() + GRACE_S if host.host_id in asked else None
                )
        before = {each.host.ref for each in self.left_over(name)}
        for gone in before - set(left):
            del self._left[gone]
        self._left.update(left)
        if before != set(left):
            self._changed(name)
        await self._tidy_claims(name, asked, needed | set(listed))
        return [record.route.at(host) for host in listed]

    async def supervise(self) -> None:
        """Release hosts that are left over once their grace has passed."""
        while True:
            for record in await asyncio.to_thread(self._ledger.all):
                try:
                    await self._supervise(record)
                except GenOpsError as error:
                    log.info("The hosts of %s cannot be listed: %s", record.name, error.message)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _supervise(self, record: TargetRecord) -> None:
        if not provider_of(record.route.kind).allocates:
            return
        if not self.left_over(record.name) and not await asyncio.to_thread(self.claims.asked, record.name):
            return
        await self.look(record)
        for each in self.left_over(record.name):
            if each.release_at is not None and each.release_at <= time.time():
                log.warning("%s of %s is left over and will be released.", each.host.host_id, record.name)
                await self.give_back(each.host)

    async def _leave(self, host: Route) -> None:
        for link in self._connections.of(host.target):
            if link.route.ref == host.ref:
                await self._connections.run(link.down())
                self._connections.links.drop(link)

    async def _tidy_claims(self, target: str, asked: dict[str, float], known: set[HostRef]) -> None:
        """Remove claims on hosts that no longer exist. A host requested a moment ago may not be listed yet."""
        for host_id, asked_at in asked.items():
            host = HostRef(target, host_id)
            old = host not in known and asked_at + GRACE_S < time.time()
            if old and not await asyncio.to_thread(self.claims.is_held, host):
                await asyncio.to_thread(self.claims.drop, host)
