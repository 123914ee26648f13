"""List and remove what GenOps Lab stores on targets' hosts: built environments, and copies of notebooks'
folders.

The host reports which are in use, and removes them; this Lab knows which are still needed.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.hosts.link.state import RemoteError

from ..hosts.models import (
    RemovedStored,
    RemoveStored,
    StorageQuery,
    StoredItem,
    SweepQuery,
    SweptTarget,
    TargetStorage,
)
from ..hosts.providers import provider_of

if TYPE_CHECKING:
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.kernels.folders.host_copies import Copies
    from genops_lab.kernels.folders.last_sync import LastSync

    from ..hosts.service import TargetsService

T = TypeVar("T")

_CALL_S, _MEASURE_S = 30.0, 60.0
_MEASURES_AT_ONCE = 4
#: Seconds for a host's answer; items that were not measured by then stay.
_LOOK_S = 60.0
_SWEEP_S = 20.0
_MAX_ITEMS = 1000
_DAY_S = 86400.0


class _There(msgspec.Struct, kw_only=True):
    """An item as its host reports it."""

    kind: Literal["environment", "folder"]
    name: str
    path: str
    known_as: str
    building: bool = False
    used_by: list[dict[str, Any]] = []


class _Measured(msgspec.Struct, kw_only=True):
    bytes: int
    whole: bool
    unused_s: float
    own: list[str] = []


class _Swept(msgspec.Struct, kw_only=True):
    left: bool
    trouble: str = ""


class StorageService:
    """Lists and removes items, only on connected targets."""

    def __init__(self, targets: TargetsService, copies: Copies) -> None:
        self._targets = targets
        self._copies = copies

    async def list_target_storage(self, name: str, query: StorageQuery) -> TargetStorage:
        """Return the items on a target, with the reason where one would stay."""
        _check(query)
        links = await self._targets.connected_links(name)
        route = links[0].route
        if provider_of(route.kind).shares_storage(route.config):
            links = links[:1]
        slots, deadline = asyncio.Semaphore(_MEASURES_AT_ONCE), time.monotonic() + _LOOK_S

        async def of_host(link: HostConnection) -> list[StoredItem]:
            there, pythons = await self._there(link)

            async def look(each: _There) -> StoredItem:
                async with slots:
                    if time.monotonic() > deadline:
                        return _item(link, each, "there was no time to measure it")
                    try:
                        return await self._judged(link, each, pythons, query)
                    except RemoteError as error:  # an unreadable item must not hide the others
                        return _item(link, each, f"it cannot be read: {error.message}")

            return await asyncio.gather(*(look(each) for each in there))

        items = [item for found in await asyncio.gather(*map(of_host, links)) for item in found]
        items.sort(key=lambda item: item.size_bytes or 0, reverse=True)
        return TargetStorage(target=name, items=items)

    async def remove_stored(self, name: str, body: RemoveStored) -> RemovedStored:
        """Remove an item unless a reason to keep it exists; a running process never loses its files."""
        _check(body)
        link = await self._targets.connected_link(name, body.host_id)
        there, pythons = await self._there(link)
        found = next((each for each in there if each.path == body.path), None)
        if found is None:
            raise NotFound(
                f"{body.path[:200]} does not exist.",
                hint=f"List what exists: genops targets free-space {name}",
            )
        async with AsyncExitStack() as stack:
            known = await self._known(link, found)
            await stack.enter_async_context(self._copies.held(known))
            item = await self._judged(link, found, pythons, body)
            if item.stays:
                hint = "Repeat with --force if you do not need it." if item.forcible else "It stays."
                raise Conflict(f"{item.path} was not removed: {item.stays}.", hint=hint, code="stays")
            swept = _read(await self._call(link, "storage.remove", {"path": found.path}), _Swept)
            await asyncio.to_thread(self._copies.forget, name, known)
        if swept.left:
            swept = await self._swept(link)
        return RemovedStored(target=name, item=item, left=swept.left, trouble=swept.trouble)

    async def sweep_target(self, name: str, query: SweepQuery) -> SweptTarget:
        """Continue, for a while, to delete the files of removed items."""
        swept = await self._swept(await self._targets.connected_link(name, query.host_id))
        return SweptTarget(target=name, left=swept.left, trouble=swept.trouble)

    async def _swept(self, link: HostConnection) -> _Swept:
        deadline = time.monotonic() + _SWEEP_S
        while True:
            found = _read(await self._call(link, "storage.sweep", {}), _Swept)
            if not found.left or time.monotonic() > deadline:
                return found

    # Reasons to keep an item

    async def _there(self, link: HostConnection) -> tuple[list[_There], dict[str, str]]:
        """Return the host's items, and the interpreters of all targets, by target."""
        listing = await self._call(link, "storage.list", {})
        records = await asyncio.to_thread(self._targets.ledger.all)
        pythons = {each.name: each.route.python for each in records}
        home = str(listing.get("home") or "")
        pythons = {
            name: home + python[1:] if python.startswith("~/") else python for name, python in pythons.items()
        }
        return _read(listing["items"], list[_There])[:_MAX_ITEMS], pythons

    async def _judged(
        self, link: HostConnection, there: _There, pythons: dict[str, str], query: StorageQuery
    ) -> StoredItem:
        """Return the item with the reason why it stays."""
        known = await self._known(link, there)
        measured = _read(
            await self._call(link, "storage.measure", {"path": there.path}, _MEASURE_S), _Measured
        )
        synced = max((each.synced_at or 0.0 for each in known), default=0.0)
        unused_s = min(measured.unused_s, max(time.time() - synced, 0.0))

        def item(stays: str = "", *, forcible: bool = False) -> StoredItem:
            return msgspec.structs.replace(
                _item(link, there, stays, forcible=forcible),
                here=known[0].root if known else "",
                size_bytes=measured.bytes,
                unused_s=unused_s,
            )

        in_use = _in_use(there, pythons)
        if in_use:
            return item(in_use)
        if unused_s < query.older_than_days * _DAY_S:
            return item("it was used within this time")
        if query.force or there.kind == "environment":
            return item()
        return item(await self._only_there(link, known, measured), forcible=True)

    async def _only_there(self, link: HostConnection, known: list[LastSync], measured: _Measured) -> str:
        if not known:
            return "another Lab sent it, or this Lab has no record of it"
        if measured.own:
            return f"it has {', '.join(measured.own)}, which a pull does not include"
        if not measured.whole:
            return "it has more files than are checked"
        return await self._targets.connections.run(self._copies.only_there(link, known))

    async def _known(self, link: HostConnection, there: _There) -> list[LastSync]:
        if there.kind != "folder":
            return []
        return await asyncio.to_thread(self._copies.known, there.name, link.route)

    async def _call(
        self, link: HostConnection, method: str, params: dict[str, Any], timeout_s: float = _CALL_S
    ) -> dict[str, Any]:
        found: dict[str, Any] = await self._targets.connections.run(
            link.call(method, params, timeout_s=timeout_s)
        )
        return found


def _check(query: StorageQuery) -> None:
    if not (math.isfinite(query.older_than_days) and query.older_than_days >= 0):
        raise InvalidRequest(
            f"older_than_days cannot be {query.older_than_days}.", hint="Give 0 or more, such as 30."
        )


def _read(found: Any, what: type[T]) -> T:
    try:
        return msgspec.convert(found, what)
    except msgspec.ValidationError as error:
        raise RemoteError("broken", f"The host's answer cannot be read: {error}.") from None


def _item(link: HostConnection, there: _There, stays: str, *, forcible: bool = False) -> StoredItem:
    route = link.route
    shared = provider_of(route.kind).shares_storage(route.config)
    return StoredItem(
        kind=there.kind,
        name=there.name,
        path=there.path,
        host_id="" if shared else route.host_id,
        stays=stays,
        forcible=forcible and bool(stays),
    )


def _in_use(there: _There, pythons: dict[str, str]) -> str:
    """Return what uses the item, as text; such an item must not be removed."""
    if there.building:
        return "it is being built"
    for name, python in pythons.items():
        if any(python.startswith(f"{path}/") for path in (there.path, there.known_as)):
            return f"it has the interpreter of {name}"
    for user in there.used_by:
        if "kernel_id" in user:
            return f"the kernel {user['kernel_id']} uses it"
        return f"{user.get('name')} (process {user.get('pid')}) uses it"
    return ""
