"""Traces on their way from targets, as tasks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from genops_lab.core.errors import Failed, GenOpsError
from genops_lab.core.formatting import size_of
from genops_lab.core.models import Task
from genops_lab.core.tasks import TaskHandle, TasksService

from ..models import Profile

if TYPE_CHECKING:
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.service import TargetsService

    from ..service import ProfilesService
    from .channel import Went

#: The kind of these tasks; their subject is ``profile:<id>``.
KIND = "trace"
_TOLD_EACH_S = 0.5


class Bringing:
    """Brings traces, each once at a time."""

    def __init__(self, profiles: ProfilesService, targets: TargetsService, tasks: TasksService) -> None:
        self._profiles = profiles
        self._targets = targets
        self._tasks = tasks

    async def start(self, profile: Profile) -> Task:
        """The task that brings a profile's trace; one that goes on already is told again. Raises NotFound, Conflict
        where the target is not connected."""
        running = await self._running(profile.id)
        if running is not None:
            return running
        if not profile.trace_target:
            return self._begin(profile, _is_here)
        link = await self._targets.connected_link(profile.trace_target)
        running = await self._running(profile.id)  # somebody may have begun it meanwhile
        if running is not None:
            return running

        async def work(handle: TaskHandle) -> str:
            size = await self._bring(handle, profile.id, link, profile.trace_path)
            await self._profiles.try_to_give(profile.id)
            return f"{size_of(size)} came from {link.route.target}."

        return self._begin(profile, work)

    async def stop(self, profile_id: str) -> None:
        """Have nothing more come for a profile."""
        running = await self._running(profile_id)
        if running is not None:
            await self._tasks.cancel_task(running.id)

    async def for_analysis(self, profile: Profile, link: HostConnection, path: str) -> None:
        """Have a profile's trace here that cannot be read there. Raises Failed, also where somebody cancels it."""

        async def work(handle: TaskHandle) -> str:
            return (
                f"{size_of(await self._bring(handle, profile.id, link, path))} came from {link.route.target}."
            )

        begun = await self._running(profile.id) or self._begin(profile, work)
        task = await self._tasks.wait(begun.id)
        if task.state != "done":
            raise Failed(task.message, hint=task.hint)

    def _begin(self, profile: Profile, work: Callable[[TaskHandle], Awaitable[str]]) -> Task:
        title = f"Fetch the trace of {profile.title}"
        return self._tasks.start(title, work, subject=_subject(profile.id), kind=KIND)

    async def _running(self, profile_id: str) -> Task | None:
        told, subject = await self._tasks.list_tasks(), _subject(profile_id)
        return next((task for task in told if _goes_on(task, subject)), None)

    async def _bring(self, handle: TaskHandle, profile_id: str, link: HostConnection, path: str) -> int:
        """Have a trace here, as the profile's; its bytes here. Raises what a link raises, and Failed."""
        from ..service import TRACE
        from .channel import fetched

        loop, told = asyncio.get_running_loop(), _Told(handle)
        trace = self._profiles.root / profile_id / TRACE
        handle.progress(f"Asking {link.route.target} for {path}.")

        def progress(went: Went, waits: str) -> None:
            with contextlib.suppress(RuntimeError):  # the Lab's loop has ended
                loop.call_soon_threadsafe(told.tell, went, waits)

        try:
            await self._targets.connections.run(
                fetched(link, path, trace, progress, lambda: self._tasks.closing)
            )
            size = (await asyncio.to_thread(trace.stat)).st_size
        except OSError as error:
            raise no_place(error) from error
        await self._profiles.update(profile_id, trace_path=str(trace), size_bytes=size)
        return size


def _subject(profile_id: str) -> str:
    return f"profile:{profile_id}"


def _goes_on(task: Task, subject: str) -> bool:
    return (task.kind, task.subject, task.state) == (KIND, subject, "running")


class _Told:
    """What a task says of its trace, a few times a second at most."""

    def __init__(self, handle: TaskHandle) -> None:
        self._handle = handle
        self._at = 0.0

    def tell(self, went: Went, waits: str) -> None:
        """How far it is; ``waits``: why nothing comes, where that is so."""
        now = time.monotonic()
        if self._handle.task.state != "running" or not (
            waits or went.done == went.total or now - self._at > _TOLD_EACH_S
        ):
            return
        self._at = now
        text = f"{size_of(went.done)} of {size_of(went.total)}"
        if waits:
            text = f"{text}; it goes on when the target is connected again. {waits}"
        self._handle.progress(text, went.done / went.total if went.total else None)


async def _is_here(_handle: TaskHandle) -> str:
    return "The trace is here already."


def no_place(error: OSError) -> GenOpsError:
    """What is told where this machine's disk refuses."""
    return Failed(
        f"What came from the target could not be kept: {error}.",
        hint="See whether this machine's disk is full.",
    )
