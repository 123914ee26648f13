"""Run tasks: long work with progress, a log and a way to cancel it."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from .errors import Conflict, GenOpsError, NotFound
from .events import EventBus
from .models import Task, TaskLog, TaskState
from .operations import CLIENT

if TYPE_CHECKING:
    from .store.work import Work, WorkTable

log = logging.getLogger("genops_lab")

KEPT = 50
LOG_LINES = 2000
LOG_INTERVAL_S = 0.5

Body = Callable[["TaskHandle"], Awaitable["str | None"]]
#: Called at a task's end, before the task's listeners.
Ending = Callable[["TaskHandle", Task], Awaitable[None]]


class TaskHandle:
    """The handle with which the work reports its progress."""

    def __init__(self, tasks: TasksService, task: Task, lines: Iterable[str] = ()) -> None:
        self._tasks = tasks
        self.task = task
        self.lines: deque[str] = deque(lines, maxlen=LOG_LINES)
        self.durable = False
        #: Whether another process began the work: its client may have left.
        self.taken_over = False
        self._logged_at = 0.0
        self._due: asyncio.TimerHandle | None = None

    @property
    def id(self) -> str:
        """The task's id."""
        return self.task.id

    def say(self, line: str) -> None:
        """Add a line to the log. Views are updated at most twice a second."""
        self.lines.append(line.rstrip("\n"))
        if self._due is not None:
            return
        wait = self._logged_at + LOG_INTERVAL_S - time.monotonic()
        if wait > 0:  # the next line may come minutes later, so this one is announced without it
            self._due = asyncio.get_running_loop().call_later(wait, self._announce)
        else:
            self._announce()

    def _announce(self) -> None:
        self._due, self._logged_at = None, time.monotonic()
        self._tasks.tell(self)

    def close(self) -> None:
        """Announce no more lines: the end of the task is announced itself."""
        if self._due is not None:
            self._due.cancel()

    def progress(self, message: str, share: float | None = None) -> None:
        """Set the task's message and log it. ``share`` is the progress from 0 to 1, None if unknown."""
        self.say(message)
        self.show(message, share)

    def show(self, message: str, share: float | None = None) -> None:
        """Set the task's message without a line in the log, for figures that change all the time."""
        self._tasks.update(self, message=message, progress=share)


class SilentHandle(TaskHandle):
    """The handle of work that no task shows: a request waits for its end."""

    def __init__(self, title: str) -> None:
        self.task = Task(id=secrets.token_hex(8), title=title, state="running", created_at=time.time())
        self.taken_over = False

    def say(self, line: str) -> None:
        """Do nothing."""

    def show(self, message: str, share: float | None = None) -> None:
        """Do nothing."""


class TasksService:
    """The tasks of this server. They end with it, except durable work (:mod:`.work`): the next server continues it."""

    def __init__(self, events: EventBus, durable: WorkTable) -> None:
        self._events = events
        self._durable = durable
        self._handles: dict[str, TaskHandle] = {}
        self._jobs: dict[str, asyncio.Task[None]] = {}
        #: Whether the server ends: a cancellation is then no request of the user.
        self.closing = False

    def start(self, title: str, work: Body, *, subject: str = "", kind: str = "") -> Task:
        """Start ``work``, which returns the task's final message. A cancellation raises CancelledError in it."""
        task = Task(
            id=secrets.token_hex(8),
            title=title,
            state="running",
            subject=subject,
            kind=kind,
            client=CLIENT.get(),
            created_at=time.time(),
        )
        for old in list(self._handles)[:-KEPT]:
            if old not in self._jobs:
                del self._handles[old]
        return self.run(TaskHandle(self, task), work)

    def run(self, handle: TaskHandle, work: Body, ending: Ending | None = None) -> Task:
        """Run ``work`` as the task of a handle. With ``ending`` the task is stored elsewhere after its end."""
        self._handles[handle.id] = handle
        handle.durable = ending is not None
        job = self._jobs[handle.id] = asyncio.create_task(self._run(handle, work, ending))
        job.add_done_callback(lambda _: self._ended(handle))
        self._events.emit("task", handle.id)
        return handle.task

    async def _run(self, handle: TaskHandle, work: Body, ending: Ending | None) -> None:
        end: dict[str, object]
        try:
            message = await work(handle)
            end = {"state": "done", "message": message or handle.task.message}
        except asyncio.CancelledError:
            end = {"state": "cancelled", "message": "Cancelled."}
        except GenOpsError as error:
            handle.say(f"{error.message} {error.hint}")
            end = {"state": "failed", "message": error.message, "hint": error.hint}
        except Exception as error:  # nobody awaits the task: report its error as its end
            log.error("task %s failed", handle.task.title, exc_info=error)
            words = f"{type(error).__name__}: {error}"
            handle.say(words)
            end = {"state": "failed", "message": words, "hint": "The log of JupyterLab has the details."}
        if ending is None:
            self.update(handle, **end)
        else:
            await ending(handle, msgspec.structs.replace(handle.task, **end))

    def _ended(self, handle: TaskHandle) -> None:
        handle.close()
        del self._jobs[handle.id]
        if handle.durable:
            del self._handles[handle.id]
            self.tell(handle)
        elif handle.task.state == "running":  # cancelled before its first step
            self.update(handle, state="cancelled", message="Cancelled.")

    def update(self, handle: TaskHandle, **changes: object) -> None:
        """Change the wire state of a task."""
        if changes.get("state"):
            changes["finished_at"] = time.time()
        handle.task = msgspec.structs.replace(handle.task, **changes)
        self._events.emit("task", handle.id)

    def tell(self, handle: TaskHandle) -> None:
        """Announce new lines in a task's log."""
        self._events.emit("task", handle.id)

    async def list_tasks(self) -> list[Task]:
        """List the latest tasks, newest first."""
        found = {work.id: shown(work) for work in await asyncio.to_thread(self._durable.all)}
        found |= {handle.id: handle.task for handle in self._handles.values()}
        return sorted(found.values(), key=lambda task: task.created_at, reverse=True)

    async def get_task(self, task_id: str) -> Task:
        """Return a task."""
        handle = self._handles.get(task_id)
        return handle.task if handle is not None else shown(await self._work(task_id))

    async def get_task_log(self, task_id: str) -> TaskLog:
        """Return the last lines of a task's log."""
        handle = self._handles.get(task_id)
        lines = list(handle.lines) if handle is not None else (await self._work(task_id)).lines
        return TaskLog(id=task_id, lines=lines)

    async def cancel_task(self, task_id: str) -> Task:
        """Cancel a task and wait until it has cleaned up.

        The server that runs durable work cancels it, or the next server if none runs it.
        """
        task = await self.get_task(task_id)
        if task.state != "running":
            raise Conflict(f"The task {task.title!r} has already ended ({task.state}).")
        handle, job = self._handles.get(task_id), self._jobs.get(task_id)
        if handle is None or handle.durable:
            await asyncio.to_thread(self._durable.cancel, task_id)
        if job is not None:
            job.cancel()
            await asyncio.wait([job])
        return await self.get_task(task_id)

    async def wait(self, task_id: str) -> Task:
        """Wait for the end of a task and return it."""
        job = self._jobs.get(task_id)
        if job is not None:
            await asyncio.wait([job])
        while (task := await self.get_task(task_id)).state == "running":  # another server's
            await asyncio.sleep(LOG_INTERVAL_S)
        return task

    async def close(self) -> None:
        """Cancel all running tasks."""
        self.closing = True
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs, timeout=10)

    async def _work(self, task_id: str) -> Work:
        try:
            return await asyncio.to_thread(self._durable.get, task_id)
        except NotFound:
            raise NotFound(
                f"There is no task {task_id!r}.",
                hint="Short tasks are lost when JupyterLab ends. Long ones are kept for a day after their end.",
            ) from None


def shown(work: Work) -> Task:
    """Return the wire type of durable work."""
    return Task(
        id=work.id,
        title=work.title,
        state=msgspec.convert(work.state, TaskState),
        subject=work.subject,
        kind=work.kind,
        client=work.client,
        message=work.message,
        hint=work.hint,
        progress=work.progress,
        created_at=work.created_at,
        finished_at=work.ended_at,
    )
