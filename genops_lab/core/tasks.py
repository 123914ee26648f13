"""Long work that people can watch, read the log of, and cancel."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable

import msgspec

from .errors import Conflict, GenOpsError, NotFound
from .events import EventBus
from .models import Task, TaskLog
from .operations import CLIENT

log = logging.getLogger("genops_lab")

KEPT = 50
LOG_LINES = 2000
LOG_INTERVAL_S = 0.5


class TaskHandle:
    """What the work itself uses to tell how it goes."""

    def __init__(self, tasks: TasksService, task: Task) -> None:
        self._tasks = tasks
        self.task = task
        self.lines: deque[str] = deque(maxlen=LOG_LINES)
        self._told = 0.0

    @property
    def id(self) -> str:
        """The task's id."""
        return self.task.id

    def say(self, line: str) -> None:
        """Add a line to the log; who shows it hears of new lines at most twice a second."""
        self.lines.append(line.rstrip("\n"))
        if time.monotonic() - self._told > LOG_INTERVAL_S:
            self._told = time.monotonic()
            self._tasks.tell(self)

    def progress(self, message: str, share: float | None = None) -> None:
        """Say what is being done; ``share`` from 0 to 1 where it is known."""
        self.say(message)
        self._tasks.update(self, message=message, progress=share)


class TasksService:
    """The tasks of this server. They end with it; what they work for is kept by its own room."""

    def __init__(self, events: EventBus) -> None:
        self._events = events
        self._handles: dict[str, TaskHandle] = {}
        self._jobs: dict[str, asyncio.Task[None]] = {}
        #: The server ends, so who is cancelled was cancelled by nobody.
        self.closing = False

    def start(
        self,
        title: str,
        work: Callable[[TaskHandle], Awaitable[str | None]],
        *,
        subject: str = "",
        kind: str = "",
    ) -> Task:
        """Start ``work``; what it returns is the final message. Cancelling raises CancelledError inside it."""
        task = Task(
            id=secrets.token_hex(8),
            title=title,
            state="running",
            subject=subject,
            kind=kind,
            client=CLIENT.get(),
            created_at=time.time(),
        )
        handle = TaskHandle(self, task)
        self._handles[task.id] = handle
        for old in list(self._handles)[:-KEPT]:
            if old not in self._jobs:
                del self._handles[old]
        job = self._jobs[task.id] = asyncio.create_task(self._run(handle, work))
        job.add_done_callback(lambda _: self._ended(handle))
        self._events.emit("task", task.id)
        return task

    async def _run(self, handle: TaskHandle, work: Callable[[TaskHandle], Awaitable[str | None]]) -> None:
        try:
            message = await work(handle)
            self.update(handle, state="done", message=message or handle.task.message)
        except asyncio.CancelledError:
            self.update(handle, state="cancelled", message="Cancelled.")
        except GenOpsError as error:
            handle.say(f"{error.message} {error.hint}")
            self.update(handle, state="failed", message=error.message, hint=error.hint)
        except Exception as error:  # a task's end is its report; nobody awaits it
            log.error("task %s failed", handle.task.title, exc_info=error)
            handle.say(f"{type(error).__name__}: {error}")
            self.update(
                handle,
                state="failed",
                message=f"{type(error).__name__}: {error}",
                hint="The server's log has the details.",
            )

    def _ended(self, handle: TaskHandle) -> None:
        del self._jobs[handle.id]
        if handle.task.state == "running":  # cancelled before its first step
            self.update(handle, state="cancelled", message="Cancelled.")

    def update(self, handle: TaskHandle, **changes: object) -> None:
        """Change what is told of a task."""
        if changes.get("state"):
            changes["finished_at"] = time.time()
        handle.task = msgspec.structs.replace(handle.task, **changes)
        self._events.emit("task", handle.id)

    def tell(self, handle: TaskHandle) -> None:
        """Tell that a task's log has more lines."""
        self._events.emit("task", handle.id)

    async def list_tasks(self) -> list[Task]:
        """The latest tasks, newest first."""
        return [handle.task for handle in reversed(self._handles.values())]

    async def get_task(self, task_id: str) -> Task:
        """One task."""
        return self._handle(task_id).task

    async def get_task_log(self, task_id: str) -> TaskLog:
        """The last lines of a task's log."""
        return TaskLog(id=task_id, lines=list(self._handle(task_id).lines))

    async def cancel_task(self, task_id: str) -> Task:
        """Cancel a task and wait until it has cleaned up."""
        handle = self._handle(task_id)
        job = self._jobs.get(task_id)
        if job is None:
            raise Conflict(f"The task {handle.task.title!r} has ended already ({handle.task.state}).")
        job.cancel()
        await asyncio.wait([job])
        return handle.task

    async def wait(self, task_id: str) -> Task:
        """Wait for the end of a task."""
        job = self._jobs.get(task_id)
        if job is not None:
            await asyncio.wait([job])
        return self._handle(task_id).task

    async def close(self) -> None:
        """Cancel all that still runs."""
        self.closing = True
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs, timeout=10)

    def _handle(self, task_id: str) -> TaskHandle:
        try:
            return self._handles[task_id]
        except KeyError:
            raise NotFound(f"There is no task {task_id!r}.", hint="Tasks end with their server.") from None
