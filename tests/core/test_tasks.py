"""Long work, from its start to its end."""

from __future__ import annotations

import asyncio
from pathlib import Path

from genops_lab.core.events import EventBus
from genops_lab.core.store import LocalStore
from genops_lab.core.store.work import WorkTable
from genops_lab.core.tasks import TaskHandle, TasksService


def test_one_that_is_cancelled_before_it_began_has_ended(tmp_path: Path) -> None:
    began = []

    async def work(handle: TaskHandle) -> str:
        began.append(handle.id)
        return "Done."

    async def run() -> None:
        store = LocalStore(tmp_path / "store.db")
        tasks = TasksService(EventBus(store), WorkTable(store))
        task = tasks.start("Something long", work)
        cancelled = await tasks.cancel_task(task.id)
        assert (cancelled.state, cancelled.message, began) == ("cancelled", "Cancelled.", [])
        assert cancelled.finished_at is not None
        done = await tasks.wait(tasks.start("Something long", work).id)
        assert (done.state, done.message) == ("done", "Done.")
        await tasks.close()

    asyncio.run(run())
