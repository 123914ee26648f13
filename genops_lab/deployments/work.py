"""The durable work of deployments: one subject a deployment, so that changes of one run one after another."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from .build_spec import KIND, POLL_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from genops_lab.core.store.work import Work, WorkTable
    from genops_lab.core.work import WorkService

    from .record import Record

#: How long work that has all but ended is waited for.
END_S = 10.0


class DeploymentWorks:
    """Begin, find, cancel and wait for the work of deployments."""

    def __init__(self, work: WorkService, table: WorkTable) -> None:
        self._work = work
        self._table = table

    async def begin(
        self, name: str, plan: dict[str, Any], title: str, also: Callable[[Connection], None]
    ) -> None:
        """Begin work with ``plan`` for a deployment; ``also`` writes its record in the same transaction."""
        await self._work.begin(KIND, plan, title=title, subject=_subject(name), also=also)

    async def latest(self) -> dict[str, Work]:
        """Return the last work of each deployment, by the deployment's name."""
        found = await asyncio.to_thread(self._table.latest, KIND)
        return {subject.removeprefix(_subject("")): work for subject, work in found.items()}

    async def until_ended(self, name: str) -> None:
        """Wait for work that has all but ended: its update is the current revision already."""
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline:
            if not await self._running(name):
                return
            await asyncio.sleep(POLL_S)

    async def take_up(self, name: str) -> None:
        """Carry out here what a command or a JupyterLab that has ended left of the work of a deployment."""
        for work in await self._running(name):
            await self._work.take_up(work)

    async def end_left(self, record: Record) -> None:
        """End an update that no work carries out any more: an earlier GenOps Lab left it. Without one do nothing."""
        update = record.wanted.update
        if update is None or await self._running(record.name):
            return
        plan = {"name": record.name, "created_at": record.created_at, "revision": update, "left": True}
        title = f"End the update of {record.name}"
        await self._work.begin(KIND, plan, title=title, subject=_subject(record.name))
        await self.until_ended(record.name)

    async def cancel(self, name: str) -> bool:
        """Cancel what runs for a deployment, and return whether there was anything."""
        works = await self._running(name)
        for work in works:
            await self._work.cancel(work)
        return bool(works)

    async def _running(self, name: str) -> list[Work]:
        return await asyncio.to_thread(self._table.running, KIND, _subject(name))


def _subject(name: str) -> str:
    return f"deployment:{name}"
