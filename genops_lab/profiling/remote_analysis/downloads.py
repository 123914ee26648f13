"""Copy traces from targets in durable work."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genops_lab.core.errors import Failed, GenOpsError
from genops_lab.core.formatting import size_of
from genops_lab.core.models import Task
from genops_lab.core.paths import contained
from genops_lab.core.tasks import TaskHandle, TasksService

from ..models import Profile

if TYPE_CHECKING:
    from genops_lab.core.work import WorkService
    from genops_lab.hosts.service import TargetsService

    from ..service import ProfilesService
    from .channel import TransferProgress

#: Kind of this work and its tasks; their subject is ``profile:<id>``.
KIND = "trace"
_REPORT_EVERY_S = 0.5


class Bringing:
    """Copies traces in durable work, each once at a time. When a Lab ends during a transfer, the next Lab
    continues it."""

    def __init__(
        self, profiles: ProfilesService, targets: TargetsService, tasks: TasksService, work: WorkService
    ) -> None:
        # The table of routes needs only this package; SQLAlchemy takes 135 ms to import.
        from genops_lab.core.work import WorkKind

        self._profiles, self._targets = profiles, targets
        self._tasks, self._work = tasks, work
        work.register(WorkKind(KIND, {"fetch": self._fetch, "give": self._give}, self._forget))

    async def start(self, profile: Profile) -> Task:
        """Return the task that copies a profile's trace; a running one is returned again. Raises NotFound,
        and Conflict where the target is not connected."""
        if profile.trace_target and await self._running(profile.id) is None:
            await self._targets.connected_link(profile.trace_target)
        title = f"Fetch the trace of {profile.title}"
        return await self._work.begin(
            KIND, {"profile": profile.id}, title=title, subject=_subject(profile.id)
        )

    async def stop(self, profile_id: str) -> None:
        """Stop the transfer of a profile's trace."""
        running = await self._running(profile_id)
        if running is not None:
            await self._tasks.cancel_task(running.id)

    async def for_analysis(self, profile: Profile) -> None:
        """Copy a trace that cannot be analyzed on its host, and wait for it. Raises Failed, also when a user
        cancels the task."""
        task = await self._tasks.wait((await self.start(profile)).id)
        if task.state != "done":
            raise Failed(task.message, hint=task.hint)

    async def _running(self, profile_id: str) -> Task | None:
        tasks, subject = await self._tasks.list_tasks(), _subject(profile_id)
        return next(
            (each for each in tasks if (each.kind, each.subject, each.state) == (KIND, subject, "running")),
            None,
        )

    async def _fetch(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> dict[str, Any]:
        """Copy a trace into its profile's folder. Raises the errors of the connection, and Failed."""
        from .channel import fetched

        profile = await self._profiles.get_profile(plan["profile"])
        target, path = profile.trace_target, profile.trace_path
        if not target:
            return {"message": "The trace is in the Lab already."}
        loop, reports, trace = asyncio.get_running_loop(), _ProgressReports(handle), self._trace(plan)
        link = await self._targets.link(target)
        handle.progress(f"Asking {target} for {path}.")

        def progress(went: TransferProgress, waits: str) -> None:
            with contextlib.suppress(RuntimeError):  # the Lab's loop has ended
                loop.call_soon_threadsafe(reports.send, went, waits)

        try:
            await self._targets.connections.reach(
                link, handle
            )  # in the Lab that began it, the connection is up
            await self._targets.connections.run(
                fetched(link, path, trace, progress, lambda: self._tasks.closing)
            )
            size = (await asyncio.to_thread(trace.stat)).st_size
        except OSError as error:
            raise storage_error(error) from error
        await self._profiles.update(profile.id, trace_path=str(trace), size_bytes=size)
        return {"message": f"Copied {size_of(size)} from {target}."}

    async def _give(self, _handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Store the trace with its run; during an analysis, the analysis does so at its end."""
        if (await self._profiles.get_profile(plan["profile"])).state != "analyzing":
            await self._profiles.try_to_give(plan["profile"])
        return data

    async def _forget(self, _handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> None:
        """Delete the received part."""
        from .unfinished import UnfinishedTrace

        with contextlib.suppress(OSError):  # the profile's folder was deleted
            (await asyncio.to_thread(UnfinishedTrace.of, self._trace(plan))).leave()

    def _trace(self, plan: dict[str, Any]) -> Path:
        from ..service import TRACE

        return contained(self._profiles.root, plan["profile"]) / TRACE


def _subject(profile_id: str) -> str:
    return f"profile:{profile_id}"


class _ProgressReports:
    """Reports the progress of a task, at most a few times a second."""

    def __init__(self, handle: TaskHandle) -> None:
        self._handle = handle
        self._at = 0.0

    def send(self, went: TransferProgress, waits: str) -> None:
        """Report progress; ``waits`` says why the transfer waits, if it does."""
        now = time.monotonic()
        if self._handle.task.state != "running" or not (
            waits or went.done == went.total or now - self._at > _REPORT_EVERY_S
        ):
            return
        self._at = now
        text = f"{size_of(went.done)} of {size_of(went.total)}"
        if waits:
            text = f"{text}; the transfer continues when the target is connected. {waits}"
        self._handle.progress(text, went.done / went.total if went.total else None)


def storage_error(error: OSError) -> GenOpsError:
    """Return the error for a disk of this machine that refuses data."""
    return Failed(
        f"The data from the target could not be stored: {error}.",
        hint="Check that this machine's disk has free space.",
    )
