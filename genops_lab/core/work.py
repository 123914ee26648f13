"""Durable work: steps that go on where they were when the process that ran them has ended.

A feature registers a kind of work and begins work of it. One process at a time carries work out, by a lease. It writes
every 2 s that it is still there; who sees for 15 s by the own clock that nothing was written takes the work over, and
at once where the process is known to be gone. Each taking gives the work a larger token, and what comes with an older
one is refused: a process that was held up, and lost the lease meanwhile, changes nothing any more.
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
#: Of the log, what another process and the next server see.
LINES_KEPT = 500

log = logging.getLogger("genops_lab")

Step = Callable[[TaskHandle, dict[str, Any], dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class WorkKind:
    """How work of a kind is carried out.

    Each step is given the work's handle, its plan (JSON) and what the step before it returned (JSON), and returns that
    for the next one. A step runs again where its process ended in the middle of it, so it must find what it has done
    already. ``message`` of what the last one returns is the work's final message. ``cancel`` takes back what was done;
    it may run in a process that has run no step of it. Names of steps outlive versions. With ``left_to_starts`` a Lab
    takes up what others left when it starts (:meth:`WorkService.take_left`), and not later.
    """

    name: str
    steps: Mapping[str, Step]
    cancel: Callable[[TaskHandle, dict[str, Any], dict[str, Any]], Awaitable[None]]
    left_to_starts: bool = False


class _Run:
    """Work that this process carries out."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.lost = False
        self.cancelling = False


class WorkService(Service):
    """Begins durable work, and goes on with what other processes left behind. Its tasks show it."""

    def __init__(self, settings: Settings, tasks: TasksService, table: WorkTable) -> None:
        self._folder = settings.data_dir / "work"
        self._tasks = tasks
        self._table = table
        self._kinds: dict[str, WorkKind] = {}
        self._runs: dict[str, _Run] = {}
        # Its lock ends with this process, which is how others on this machine learn of its end.
        self._name = secrets.token_hex(8)
        self._lock = FileLock(self._folder / f"{self._name}.lock")
        self._seen: dict[str, tuple[int, int, float]] = {}

    def register(self, kind: WorkKind) -> None:
        """Make a kind of work known. What other processes begin of a kind that is not known here is left to them."""
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
        """Begin work, and return its task. The same that is under way for the subject is joined.

        ``also`` writes in the same transaction what the work is about; it decides whether there may be more, so nothing
        is joined. Raises Conflict where other work of this kind is under way for the subject, and what ``also`` raises.
        """
        work = Work(
            id=secrets.token_hex(8),
            kind=kind,
            title=title,
            subject=subject,
            client=CLIENT.get(),
            plan=plan,
            holder=await asyncio.to_thread(self._holder),
            created_at=time.time(),
        )
        added = await asyncio.to_thread(self._table.add, work, also)
        if added.id == work.id:
            return self._carry_on(added)
        if added.plan != plan:
            raise Conflict(
                f"{added.title!r} is under way.",
                hint="Wait until it is done, or cancel it.",
                code="under_way",
            )
        if added.id not in self._runs:
            await self.take_up(added)  # this process may not supervise, and its holder be gone
        return await self._tasks.get_task(added.id)

    async def hold(self, handle: TaskHandle) -> None:
        """Make sure that this process still has the work, before a step does what another process must not find.

        Raises OldToken.
        """
        await self._write(self._runs[handle.id], **_told(handle))

    async def cancel(self, work: Work) -> Task:
        """Cancel work of any process, and wait until that one has taken back what was done, or its lease has ended."""
        await asyncio.to_thread(self._table.cancel, work.id)
        deadline = time.monotonic() + LEASE_S
        while work.state == RUNNING and time.monotonic() < deadline:
            if work.id in self._runs:
                return await self._tasks.cancel_task(work.id)
            await self.take_up(work)  # its holder may be gone
            await asyncio.sleep(LOG_INTERVAL_S)
            work = await asyncio.to_thread(self._table.get, work.id)
        return shown(work)

    async def is_cancelled(self, handle: TaskHandle) -> bool:
        """Whether a person cancels the work whose step was cancelled; otherwise this Lab ends. Raises OldToken."""
        run = self._runs[handle.id]
        run.cancelling = True
        await self.hold(handle)
        return run.work.cancel and not self._tasks.closing

    def fence(self, handle: TaskHandle) -> Callable[[Connection], None]:
        """What a transaction calls first that writes what the work is about: it raises OldToken once another process
        has the work."""
        work = self._runs[handle.id].work
        return lambda connection: self._table.check(connection, work.id, work.token)

    async def is_held(self, work: Work) -> bool:
        """Whether a process carries it out, as far as this machine can tell."""
        if work.id in self._runs:
            return True
        return bool(work.holder) and not await asyncio.to_thread(self._is_gone, work.holder)

    async def supervise(self) -> None:
        """Take up what nobody carries out."""
        while True:
            await self._look(lambda kind: not kind.left_to_starts)
            await asyncio.sleep(LOOK_S)

    async def take_left(self, name: str) -> None:
        """Take up what was left of a kind by processes that are gone; to be called when this one has started."""
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
        except GenOpsError as error:  # the next look may find the store
            log.warning("Work could not be looked after: %s", error.message)

    async def close(self) -> None:
        """Tell that this process is gone; the tasks have ended by now, and left their work to the next one."""
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
            or not (over or await asyncio.to_thread(self._is_gone, work.holder))
        ):
            return False
        taken = await asyncio.to_thread(self._table.take, work, await asyncio.to_thread(self._holder))
        if taken is not None:
            log.info("The work %s (%s) goes on here.", taken.id, taken.title)
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
        # A step that another version had: from the first one, since each finds what it has done.
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
                    await self._write(run, step=following, data=data, **_told(handle))
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
                await self._write(run, **_told(handle))
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
            # A plan may hold what a person would not keep.
            changes |= {"state": end.state, "message": end.message, "hint": end.hint, "ended_at": time.time()}
            changes |= {"plan": {}, "data": {}}
        try:
            if not run.lost:
                await self._write(run, **{**_told(handle), **changes})
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
        if written.renewals > run.work.renewals:  # two writes may come back in another order
            run.work = written

    def _holder(self) -> str:
        if not self._lock.held:
            private_dir(self._folder)
            self._lock.try_acquire()
        return f"{socket.gethostname()}/{self._name}"

    def _is_gone(self, holder: str) -> bool:
        """Whether a process of this machine has ended. Of another machine nothing is known: its locks may not be seen
        here."""
        machine, _, name = holder.rpartition("/")
        if machine != socket.gethostname() or name == self._name:
            return False
        lock = FileLock(self._folder / f"{name}.lock")
        if lock.path.exists() and not lock.try_acquire():
            return False
        lock.release()
        lock.path.unlink(missing_ok=True)
        return True


def _told(handle: TaskHandle) -> dict[str, Any]:
    task = handle.task
    return {"message": task.message, "progress": task.progress, "lines": list(handle.lines)[-LINES_KEPT:]}
