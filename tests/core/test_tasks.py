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


def test_a_line_soon_after_another_is_announced_without_a_third(tmp_path: Path) -> None:
    """A build that printed "Building torch" half a second after a line showed it minutes later, with the next line."""

    async def run() -> None:
        store = LocalStore(tmp_path / "store.db")
        bus = EventBus(store)
        changed: asyncio.Queue[str] = asyncio.Queue()
        bus.listen(lambda kind, id, revision: changed.put_nowait(id))
        tasks = TasksService(bus, WorkTable(store))
        over = asyncio.Event()

        async def work(handle: TaskHandle) -> str:
            handle.say("Resolving")
            await changed.get()
            handle.say("Building torch")
            await over.wait()
            return "Done."

        task = tasks.start("Build an environment", work)
        while not (await tasks.get_task_log(task.id)).lines[1:]:
            await asyncio.sleep(0)
        assert await asyncio.wait_for(changed.get(), 30) == task.id
        over.set()
        assert (await tasks.wait(task.id)).state == "done"
        await tasks.close()
        await bus.close()

    asyncio.run(run())
