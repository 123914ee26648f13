"""Show a long transfer of a folder as a task that users can cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from genops_lab.core.errors import Failed, GenOpsError
from genops_lab.core.formatting import size_of
from genops_lab.core.tasks import TaskHandle, TasksService

if TYPE_CHECKING:
    from .download import Progress

T = TypeVar("T")

#: Seconds after which a transfer becomes a task.
TASK_AFTER_S = 1.0
_REPORT_EACH_S = 0.5


class PassageTasks:
    """Made in the application's event loop. A transfer that another loop awaits runs in this one."""

    def __init__(self, tasks: TasksService) -> None:
        self._tasks = tasks
        self._loop = asyncio.get_running_loop()

    async def __call__(
        self,
        title: str,
        subject: str,
        progress: Progress,
        work: Coroutine[Any, Any, T],
        begun: Callable[[str], None] = lambda _task_id: None,
    ) -> T:
        """Do the work. After a second it becomes a task, whose id ``begun`` gets. Raises what the work
        raises, and Failed when a user cancelled it."""
        if asyncio.get_running_loop() is not self._loop:
            if not self._loop.is_running():
                return await work
            passage = self(title, subject, progress, work, begun)
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(passage, self._loop))
        running = asyncio.ensure_future(work)
        try:
            await asyncio.wait([running], timeout=TASK_AFTER_S)
            if not running.done():
                task = self._tasks.start(
                    title, lambda handle: _follow(handle, running, progress), subject=subject
                )
                begun(task.id)
                await asyncio.wait([running])
        except asyncio.CancelledError:
            running.cancel()
            raise
        if running.cancelled():
            raise Failed(
                "The transfer was cancelled.", hint="Files that had arrived by then stay.", code="cancelled"
            )
        return running.result()


async def _follow(handle: TaskHandle, running: asyncio.Future[Any], progress: Progress) -> str:
    shown = ""
    try:
        while not running.done():
            done = f"{size_of(progress.done)} of {size_of(progress.total)}" if progress.total else ""
            text = f"{progress.what} {done}".strip() or "Looking"
            if text != shown:
                shown = text
                handle.progress(text, progress.share)
            await asyncio.wait([running], timeout=_REPORT_EACH_S)
    except asyncio.CancelledError:
        running.cancel()
        raise
    if running.cancelled():
        raise asyncio.CancelledError
    error = running.exception()
    if isinstance(error, GenOpsError):
        raise error
    if error is not None:
        raise Failed(f"{type(error).__name__}: {error}") from error
    return "Done."
