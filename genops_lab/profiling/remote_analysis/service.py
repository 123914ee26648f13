"""Profiles of traces on targets."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings
from genops_lab.core.tasks import TasksService

from ..models import DeletedProfile, NewProfile, Profile, TraceOnTarget
from .downloads import Bringing, storage_error

if TYPE_CHECKING:
    from genops_lab.core.work import WorkService
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.service import TargetsService

    from ..service import Price, ProfilesService
    from .host_traces import HostTrace, HostTraces

_ANSWER = "answer.tar.gz"
_MAX_PATH = 4096

log = logging.getLogger("genops_lab")

_CALL_S = 30.0
#: Error code of the host for a file that no kernel of GenOps Lab wrote.
_NOT_OURS = "not_ours"


class RemoteAnalysisService:
    """Analyze traces on their hosts. The trace itself is copied on request, or where the engine cannot
    run."""

    def __init__(
        self,
        settings: Settings,
        profiles: ProfilesService,
        targets: TargetsService,
        tasks: TasksService,
        work: WorkService,
    ) -> None:
        self._wheels = settings.data_dir / "wheels"
        self._profiles = profiles
        self._targets = targets
        self._bringing = Bringing(profiles, targets, tasks, work)
        self._removing = Removing(profiles.host_traces, targets)

    async def open_on_target(self, body: TraceOnTarget) -> Profile:
        """Make a profile of a trace on a connected target; the trace stays there.

        The answer comes before the analysis ends; an event follows then.
        """
        return await self._begin(
            NewProfile(
                trace_path=body.path,
                title=PurePosixPath(body.path).name,
                target=body.target,
                usd_per_hour=body.usd_per_hour,
            )
        )

    async def add_profile_beside(self, body: NewProfile) -> Profile:
        """Make a profile of the trace ``trace_path``, which a kernel wrote on ``target``. Its results are
        stored with the run, and the trace is deleted with the profile.

        Raises NotFound, InvalidRequest, and Conflict where the target is not connected.
        """
        # The table of routes needs only this class; SQLAlchemy takes 135 ms to import.
        from .host_traces import HostTrace

        profile = await self._begin(body)
        trace = HostTrace(profile.id, body.target, body.trace_path)
        await asyncio.to_thread(self._profiles.host_traces.add, trace)
        return profile

    async def _begin(self, asked: NewProfile) -> Profile:
        path = asked.trace_path
        if not path or "\0" in path or len(path) > _MAX_PATH:
            raise InvalidRequest(
                "This is not a valid path of a trace.", hint="Give the path of a trace on the target."
            )
        link = await self._targets.connected_link(asked.target)
        price = await asyncio.to_thread(self._profiles.price, asked)
        profile_id, folder = await self._profiles.begin(asked, f"{asked.target}:{path}", 0)
        self._profiles.go_on(self._analyze(profile_id, folder, link, path, price))
        return await self._profiles.get_profile(profile_id)

    async def fetch_trace(self, profile_id: str) -> Task:
        """Copy a profile's trace from its target, which must be connected; return the task. A trace in the
        Lab is not copied again."""
        return await self._bringing.start(await self._profiles.get_profile(profile_id))

    async def delete_profile(self, profile_id: str) -> DeletedProfile:
        """Delete a profile and its trace, also a trace that a kernel wrote on a target: now if the target is
        connected, else with its next connection. The artifact of the run stays, and so does a file that was
        opened on a target."""
        await self._bringing.stop(profile_id)
        await self._profiles.delete_profile(profile_id)
        return DeletedProfile(id=profile_id, left=await self._removing.deleted(profile_id))

    def connected(self, target: str) -> None:
        """Delete the traces that waited for this connection of a target."""
        self._profiles.go_on(self._removing.connected(target))

    async def _analyze(
        self, profile_id: str, folder: Path, link: HostConnection, path: str, price: Price
    ) -> None:
        try:
            await self._analyzed(profile_id, folder, link, path, price)
        except (GenOpsError, OSError) as error:
            await self._profiles.failed(
                profile_id, storage_error(error) if isinstance(error, OSError) else error
            )

    async def _analyzed(
        self, profile_id: str, folder: Path, link: HostConnection, path: str, price: Price
    ) -> None:
        from ..backends.analysis import TraceAnalysis
        from .channel import analyzed
        from .engine_parts import parts_for
        from .unpacking import HostAnswers

        target, answer = link.route.target, folder / _ANSWER
        came = await self._targets.connections.run(
            analyzed(link, path, lambda host: parts_for(host, self._wheels), answer)
        )
        worker, message = self._profiles.worker, ""
        if came.why:
            message = f"The trace was copied to the Lab, because {target} could not analyze it: {came.why}."
            await self._bringing.for_analysis(await self._profiles.get_profile(profile_id))
            trace = (await self._profiles.get_profile(profile_id)).trace_path
            summary = await worker.call(TraceAnalysis.summarize, trace, str(folder), *price)
        else:
            await asyncio.to_thread(self._profiles.host_traces.set_path, profile_id, came.host.path)
            if (
                await self._profiles.get_profile(profile_id)
            ).trace_target:  # the trace was not fetched meanwhile
                await self._profiles.update(
                    profile_id, trace_path=f"{target}:{came.host.path}", size_bytes=came.host.size
                )
            usd_per_hour, priced_target = price
            summary = await worker.call(
                HostAnswers.take, str(answer), str(folder), usd_per_hour, priced_target
            )
        text = msgspec.json.encode(summary).decode()
        await self._profiles.update(profile_id, state="ready", summary=text, message=message)
        await self._profiles.try_to_give(profile_id)


class Removing:
    """Deletes traces of deleted profiles on targets."""

    def __init__(self, traces: HostTraces, targets: TargetsService) -> None:
        self._traces = traces
        self._targets = targets
        self._lock = asyncio.Lock()

    async def deleted(self, profile_id: str) -> str:
        """Delete the trace of a deleted profile. Return which part stays and why, empty where nothing
        stays."""
        trace = await asyncio.to_thread(self._traces.deleted, profile_id)
        if trace is None:
            return ""
        place = f"{trace.target}:{trace.path}"
        try:
            await self._remove(trace)
        except Conflict:
            return f"The trace {place} is deleted when {trace.target} is connected next."
        except NotFound:
            return f"The trace {place} stays, because the target {trace.target} was deleted."
        except GenOpsError as error:
            again = "" if error.code == _NOT_OURS else " GenOps Lab tries again with the next connection."
            return f"The trace {place} could not be deleted: {error.message}{again}"
        return ""

    async def connected(self, target: str) -> None:
        """Delete the marked traces on a target that was connected."""
        async with self._lock:
            for trace in await asyncio.to_thread(self._traces.to_remove, target):
                try:
                    await self._remove(trace)
                except GenOpsError as error:
                    log.warning("trace %s on %s could not be deleted: %s", trace.path, target, error)

    async def _remove(self, trace: HostTrace) -> None:
        link = await self._targets.connected_link(trace.target)
        call = link.call("traces.remove", {"path": trace.path}, timeout_s=_CALL_S)
        try:
            await self._targets.connections.run(call)
        except GenOpsError as error:
            if error.code == _NOT_OURS:
                await asyncio.to_thread(self._traces.forget, trace.profile_id)
            raise
        await asyncio.to_thread(self._traces.forget, trace.profile_id)
