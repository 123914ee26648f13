"""Run durable work: steps that another process continues after the process that ran them has ended.

A feature registers a kind of work and begins work of this kind. One process at a time runs the work, under a lease that
it renews every 2 s. Another process takes the work over after 15 s without a renewal by its own clock, or at once if
the process is known to have ended. Each takeover increases the work's token, and writes with an older token are
refused. So a process that was suspended and lost its lease can no longer change anything.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import Conflict, GenOpsError, Unavailable
from .locks import FileLock
from .models import Task
from .operations import CLIENT
from .paths import private_dir
from .services import Service
from .settings import Settings
from .store.work import RUNNING, OldToken, Work, WorkTable
from .tasks import LOG_INTERVAL_S, TaskHandle, TasksService, shown

if TYPE_CHECKING:
    from sqlalchemy import Connection

LEASE_S, RENEW_S, LOOK_S = 15.0, 2.0, 10.0
#: Lines of the log that other processes and the next server see.
LINES_KEPT = 500

log = logging.getLogger("genops_lab")

Step = Callable[[TaskHandle, dict[str, Any], dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class WorkKind:
    """The steps of a kind of work.

    Each step gets the work's handle, its plan (JSON) and the data of the step before (JSON), and returns the data for
    the next one. A step runs again if its process ended during it, so it must find its own earlier results. The
    ``message`` in the data of the last step is the work's final message. ``cancel`` undoes the steps; it may run in a
    process that ran none of them. Names of steps must not change between versions. With ``left_to_starts`` a Lab takes
    over left work only when it starts (:meth:`WorkService.take_left`).
    """

    name: str
    steps: Mapping[str, Step]
    cancel: Callable[[TaskHandle, dict[str, Any], dict[str, Any]], Awaitable[None]]
    left_to_starts: bool = False


class _Run:
    """Work that this process runs."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.lost = False
        self.cancelling = False


class WorkService(Service):
    """Begin durable work, continue the work of ended processes, and show the work as tasks."""

    def __init__(self, settings: Settings, tasks: TasksService, table: WorkTable) -> None:
        self._folder = settings.data_dir / "work"
        self._tasks = tasks
        self._table = table
        self._kinds: dict[str, WorkKind] = {}
        self._runs: dict[str, _Run] = {}
        # The lock ends with this process: so other processes of this machine notice its end.
        self._name = secrets.token_hex(8)
        self._lock = FileLock(self._folder / f"{self._name}.lock")
        self._seen: dict[str, tuple[int, int, float]] = {}

    def register(self, kind: WorkKind) -> None:
        """Register a kind of work. This process ignores work of unregistered kinds."""
        self._kinds[kind.name] = kind

    async def begin(
        self,
        kind: str,
        plan: dict[str, Any],
        *,
        title: str,
        subject: str,
        also: Callable[[Connection], None] | None = None,
    ) -> Task:
        """Begin work and return its task. If the same work already runs for the subject, return that task.

        ``also`` writes the subject of the work in the same transaction and decides itself whether the work may begin,
        so no running work is returned. Raises Conflict if other work of this kind runs for the subject, and the errors
        of ``also``.
        """
        work = Work(
            id=secrets.token_hex(8),
            kind=kind,
            title=title,
            subject=subject,
            client=CLIENT.get(),
            plan=plan,
            holder=await asyncio.to_thread(self.holder),
            created_at=time.time(),
        )
        added = await asyncio.to_thread(self._table.add, work, also)
        if added.id == work.id:
            return self._carry_on(added)
        if added.plan != plan:
            raise Conflict(
                f"{added.title!r} is already running.",
                hint="Wait until it is done, or cancel it.",
                code="under_way",
            )
        if added.id not in self._runs:
            await self.take_up(added)  # its process may have ended, and this one may not supervise
        return await self._tasks.get_task(added.id)

    async def hold(self, handle: TaskHandle) -> None:
        """Check that this process still has the work, before a step whose effects only one process may have.

        Raises OldToken.
        """
        await self._write(self._runs[handle.id], **_progress(handle))

    async def cancel(self, work: Work) -> Task:
        """Cancel work of any process. Wait until that process has undone the steps, or its lease has ended."""
        await asyncio.to_thread(self._table.cancel, work.id)
        deadline = time.monotonic() + LEASE_S
        while work.state == RUNNING and time.monotonic() < deadline:
            if work.id in self._runs:
                return await self._tasks.cancel_task(work.id)
            await self.take_up(work)  # its process may have ended
            await asyncio.sleep(LOG_INTERVAL_S)
            work = await asyncio.to_thread(self._table.get, work.id)
        return shown(work)

    async def is_cancelled(self, handle: TaskHandle) -> bool:
        """Return whether the user cancelled the work, and not the end of this Lab. Raises OldToken."""
        run = self._runs[handle.id]
        run.cancelling = True
        await self.hold(handle)
        return run.work.cancel and not self._tasks.closing

    def fence(self, handle: TaskHandle) -> Callable[[Connection], None]:
        """Return a check for transactions that write the subject of the work: it raises OldToken after a takeover."""
        work = self._runs[handle.id].work
        return lambda connection: self._table.check(connection, work.id, work.token)

    def check(self, handle: TaskHandle) -> Callable[[], None]:
        """Return a check for threads that change files under a lock: it raises OldToken after a takeover. Blocks."""
        work = self._runs[handle.id].work
        return lambda: self._table.confirm(work.id, work.token)

    async def is_held(self, work: Work) -> bool:
        """Return whether a process runs the work, as far as this machine can tell."""
        if work.id in self._runs:
            return True
        return bool(work.holder) and not await asyncio.to_thread(self.is_gone, work.holder)

    async def supervise(self) -> None:
        """Take over work that no process runs, until cancelled."""
        while True:
            await self._look(lambda kind: not kind.left_to_starts)
            await asyncio.sleep(LOOK_S)

    async def take_left(self, name: str) -> None:
        """Take over work of a kind from ended processes. Call this after the start of this process."""
        until = time.monotonic() + LEASE_S + LOOK_S
        while time.monotonic() < until:
            await self._look(lambda kind: kind.name == name)
            await asyncio.sleep(LOOK_S)

    async def _look(self, wanted: Callable[[WorkKind], bool]) -> None:
        try:
            for work in await asyncio.to_thread(self._table.running):
                kind = self._kinds.get(work.kind)
                if kind is not None and wanted(kind) and work.id not in self._runs:
                    await self.take_up(work)
        except GenOpsError as error:  # the store may answer the next time
            log.warning("Cannot check for work to take over: %s", error.message)

    async def close(self) -> None:
        """Release the lock of this process, after its tasks have ended and left their work to the next one."""
        if self._lock.held:
            self._lock.release()
            self._lock.path.unlink(missing_ok=True)

    async def take_up(self, work: Work) -> bool:
        """Carry work out here, unless a process does already."""
        now, seen = time.monotonic(), self._seen.get(work.id)
        if seen is None or seen[:2] != (work.token, work.renewals):
            seen = self._seen[work.id] = (work.token, work.renewals, now)
        over = not work.holder or now - seen[2] > LEASE_S
        if (
            self._tasks.closing
            or work.id in self._runs
            or not (over or await asyncio.to_thread(self.is_gone, work.holder))
        ):
            return False
        taken = await asyncio.to_thread(self._table.take, work, await asyncio.to_thread(self.holder))
        if taken is not None:
            log.info("This process continues the work %s (%s).", taken.id, taken.title)
            self._carry_on(taken)
        return taken is not None

    def _carry_on(self, work: Work) -> Task:
        run = self._runs[work.id] = _Run(work)
        handle = TaskHandle(self._tasks, shown(work), work.lines)
        handle.taken_over = work.token > 1
        return self._tasks.run(
            handle,
            lambda handle: self._carried_out(run, handle),
            lambda handle, end: self._ended(run, handle, end),
        )

    async def _carried_out(self, run: _Run, handle: TaskHandle) -> str:
        kind, plan, names = self._kinds[run.work.kind], run.work.plan, list(self._kinds[run.work.kind].steps)
        # Begin with the first step if another version wrote an unknown one: each step finds its results.
        at = names.index(run.work.step) if run.work.step in names else 0
        job = asyncio.current_task()
        assert job is not None
        renewing = asyncio.create_task(self._renew(run, handle, job))
        try:
            if run.work.cancel:
                raise asyncio.CancelledError
            data = run.work.data
            for name, following in zip(names[at:], [*names[at + 1 :], None], strict=True):
                data = await kind.steps[name](handle, plan, data)
                if following is not None:
                    await self._write(run, step=following, data=data, **_progress(handle))
            return str(data.get("message") or handle.task.message)
        except asyncio.CancelledError:
            run.cancelling = True
            if not run.lost and not self._tasks.closing:
                await kind.cancel(handle, plan, run.work.data)
            raise
        finally:
            renewing.cancel()

    async def _renew(self, run: _Run, handle: TaskHandle, job: asyncio.Task[Any]) -> None:
        renewed = time.monotonic()
        while not run.lost:
            await asyncio.sleep(RENEW_S)
            try:
                await self._write(run, **_progress(handle))
                renewed = time.monotonic()
            except OldToken:
                job.cancel()
            except Unavailable:
                if time.monotonic() - renewed > LEASE_S:
                    run.lost = True
                    job.cancel()
            if run.work.cancel and not run.cancelling:
                run.cancelling = True
                job.cancel()

    async def _ended(self, run: _Run, handle: TaskHandle, end: Task) -> None:
        left = self._tasks.closing and end.state == "cancelled"
        changes: dict[str, Any] = {"holder": ""}
        if not left:
            # Delete the plan: it may have private data.
            changes |= {"state": end.state, "message": end.message, "hint": end.hint, "ended_at": time.time()}
            changes |= {"plan": {}, "data": {}}
        try:
            if not run.lost:
                await self._write(run, **{**_progress(handle), **changes})
        except OldToken as error:
            log.warning("%s", error.message)
        finally:
            del self._runs[run.work.id]

    async def _write(self, run: _Run, **changes: Any) -> None:
        try:
            written = await asyncio.to_thread(self._table.write, run.work.id, run.work.token, **changes)
        except OldToken:
            run.lost = True
            raise
        if written.renewals > run.work.renewals:  # two writes may return out of order
            run.work = written

    def holder(self) -> str:
        """Return the name of this process and hold its lock, so that other processes notice its end. Blocks."""
        if not self._lock.held:
            private_dir(self._folder)
            self._lock.try_acquire()
        return f"{socket.gethostname()}/{self._name}"

    def is_gone(self, holder: str) -> bool:
        """Return whether a process has ended. False for processes of other machines, whose locks may be invisible."""
        machine, _, name = holder.rpartition("/")
        if machine != socket.gethostname() or name == self._name:
            return False
        lock = FileLock(self._folder / f"{name}.lock")
        if lock.path.exists() and not lock.try_acquire():
            return False
        lock.release()
        lock.path.unlink(missing_ok=True)
        return True


def _progress(handle: TaskHandle) -> dict[str, Any]:
    task = handle.task
    return {"message": task.message, "progress": task.progress, "lines": list(handle.lines)[-LINES_KEPT:]}
