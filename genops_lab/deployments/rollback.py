"""Go back to an earlier revision of a deployment."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict

from .build_spec import POLL_S
from .models import Deployment, RollBack
from .record import KnownRevision, Record
from .records import KeyUsed, Records
from .targets.by_name import TargetsByName
from .work import END_S, DeploymentWorks

if TYPE_CHECKING:
    from sqlalchemy import Connection


class RollBacks:
    """Ways back. ``get`` returns a deployment, ``changed`` tells that one changed."""

    def __init__(
        self,
        records: Records,
        target: TargetsByName,
        works: DeploymentWorks,
        get: Callable[[str], Awaitable[Deployment]],
        changed: Callable[[str], None],
    ) -> None:
        self._records = records
        self._target = target
        self._works = works
        self._get = get
        self._changed = changed

    async def roll_back(self, name: str, body: RollBack) -> Deployment:
        """Do what ``DeploymentsService.roll_back_deployment`` says."""
        earlier = await asyncio.to_thread(self._records.keyed, body.idempotency_key)
        if earlier is not None:
            return await self._get(earlier.name)
        await self._get(name)
        await self._target.reach(name)
        record = await asyncio.to_thread(self._records.get, name)
        before = record.revision
        updating = record.wanted.update is not None
        if updating:
            await self._works.end_left(record)
            await self._works.cancel(name)
        else:
            await self._works.until_ended(name)
        record = await asyncio.to_thread(self._records.get, name)
        current = record.known(record.revision) or record.revisions[-1]
        # An update that ended just before it was cancelled is one to go back from.
        if updating and record.revision == before and body.to in (0, current.number):
            return await self._get(name)
        chosen = _earlier(record, current, body.to)
        if chosen.id == current.id and record.active:
            raise Conflict(f"Revision {chosen.number} of {name!r} is the current one already.")
        plan = {"name": name, "created_at": record.created_at, "revision": chosen.id, "again": True}

        def begin(connection: Connection) -> None:
            self._records.begin_update(connection, record, chosen, body.idempotency_key)

        title = f"Roll {name} back to revision {chosen.number}"
        with contextlib.suppress(KeyUsed):
            await self._works.begin(name, plan, title, begin)
        self._changed(name)
        deadline = time.monotonic() + END_S
        found = await self._get(name)
        while found.updating_to and time.monotonic() < deadline:
            if any(each.number == chosen.number and each.state != "running" for each in found.revisions):
                break  # it is started again: the task tells how it goes
            await asyncio.sleep(POLL_S / 3)
            found = await self._get(name)
        return found


def _earlier(record: Record, current: KnownRevision, number: int) -> KnownRevision:
    """Return the revision to go back to: the given one, or the one before the current."""
    if number:
        return record.numbered(number)
    earlier = [each for each in record.revisions if each.number < current.number]
    if not earlier:
        others = [each.number for each in record.revisions if each.id != current.id]
        raise Conflict(
            f"{record.name!r} has no revision before {current.number}.",
            hint=f"Choose another one: genops deployments rollback {record.name} --to {others[-1]}"
            if others
            else f"Deploy another version: genops deploy {record.model} --version VERSION --name {record.name}",
        )
    return earlier[-1]
