"""Compare, pull and push folders on targets on a user's request."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from genops_lab.core.errors import Conflict, Failed, InvalidRequest, NotFound
from genops_lab.core.paths import contained
from genops_lab.core.services import Service
from genops_lab.core.tasks import TasksService
from genops_lab.hosts.providers import provider_of

from .last_sync import copies_on
from .models import FolderFile, FolderJob, FolderQuery, FolderResult, FolderState, FolderTransfer
from .requests import FolderRequests
from .task import PassageTasks

if TYPE_CHECKING:
    from genops_lab.agent.tree import Seen
    from genops_lab.core.settings import Settings
    from genops_lab.hosts.link.route import Route
    from genops_lab.hosts.records import TargetRecord

    from .before_start import Cap, Folders
    from .download import Progress, Report
    from .local_folder import Place

T = TypeVar("T")

_ANSWER_WITHIN_S = 5.0
_KEPT_JOBS = 20


@dataclass
class _Job:
    work: asyncio.Task[FolderResult]
    task_id: str = ""


class FoldersService(Service):
    """Compares a folder with its copy on a target, and transfers files either way on request."""

    def __init__(
        self,
        settings: Settings,
        tasks: TasksService,
        find: Callable[[str], TargetRecord],
        folders: Folders,
    ) -> None:
        self._settings = settings
        self._find = find
        self._folders = folders
        self._watched = PassageTasks(tasks)
        self._jobs: dict[str, _Job] = {}
        self.requests = FolderRequests(self, folders, self._watched)

    async def look_at_folder(self, body: FolderQuery) -> FolderState:
        """Compare a folder with its copy on a target; transfer nothing. Connects where needed."""
        from . import messages
        from .paths import chosen

        route, place = await self._which(body)
        if await self._is_shared(route, place):
            return FolderState(
                target=route.target,
                here=place.root,
                there=place.root,
                message=messages.shared(place.root, route),
            )
        wanted = chosen(body.paths, place)
        found = await self.run(route, lambda: self._folders.folder(route, place).look())
        memory = await asyncio.to_thread(
            self._folders.memories.get, route.target, place.root, copies_on(route)
        )
        here, there = found.contents.files, found.there.files
        send = [here[path] for path in found.push.send if wanted(path)]
        bring = [there[path] for path in found.pull.bring if wanted(path)]
        replaced = {path: "" for path, mine in found.pull.bring.items() if mine is not None}
        first = set(messages.risky_files({each.path: each for each in bring}, replaced))
        conflicts = {**found.push.conflicts, **found.pull.conflicts}
        return FolderState(
            target=route.target,
            here=place.root,
            there=memory.there,
            synced_at=memory.synced_at,
            to_send=messages.entries(send, _changes(found.push.send))
            + [FolderFile(path=path, change="deleted") for path in found.push.delete if wanted(path)],
            to_send_count=len(send) + len(found.push.delete),
            to_send_bytes=sum(each.size for each in send),
            to_bring=messages.entries(bring, _changes(found.pull.bring), first=first),
            to_bring_count=len(bring),
            to_bring_bytes=sum(each.size for each in bring),
            conflicts=messages.entries(
                (each for each in conflicts.values() if wanted(each.path)), "conflict"
            ),
            left_out=messages.reasons({**found.contents.left_out, **found.blocked}),
            message=""
            if found.there.whole
            else (f"{route.target} has more files in this folder than are listed."),
        )

    async def pull_folder(self, body: FolderTransfer) -> FolderJob:
        """Pull new and changed files from the target into the folder. Files changed on both sides are left
        alone, unless ``replace``: then a copy of the version here is kept."""
        from .paths import chosen

        route, place = await self._which(body)
        if await self._is_shared(route, place):
            return _nothing_to_do("brought", route, place)
        wanted = chosen(body.paths, place)
        allow = self._folders.bringing_of(body.confirmed, await self._cap(route))

        async def work(progress: Progress) -> Report:
            folder = self._folders.folder(route, place)
            return await folder.pull(progress, allow, replace=body.replace, wanted=wanted)

        title = f"Pull files of {Path(place.root).name} from {route.target}"
        return await self._begin(title, "brought", route, place, work)

    async def push_folder(self, body: FolderTransfer) -> FolderJob:
        """Send new and changed files of the folder to the target. Files changed on both sides are left alone,
        unless ``replace``: then a copy of the target's version is kept."""
        from .paths import chosen

        route, place = await self._which(body)
        if await self._is_shared(route, place):
            return _nothing_to_do("sent", route, place)
        wanted = chosen(body.paths, place) if body.paths else None
        allow = self._folders.sending_of(body.confirmed, await self._cap(route))

        async def work(progress: Progress) -> Report:
            folder = self._folders.folder(route, place)
            return await folder.push(progress, allow, replace=body.replace, wanted=wanted)

        title = f"Send {Path(place.root).name} to {route.target}"
        return await self._begin(title, "sent", route, place, work)

    async def get_folder_job(self, job_id: str) -> FolderJob:
        """Return the state of a transfer; its result once it has ended."""
        return await self._answer(job_id)

    async def record(self, target: str) -> TargetRecord:
        """Return a target's record. Raises NotFound."""
        return await asyncio.to_thread(self._find, target)

    async def _cap(self, route: Route) -> Cap:
        from .before_start import Cap

        policy = (await self.record(route.target)).policy
        return Cap(policy.folder_max_files, policy.folder_max_bytes)

    # The folder

    async def _which(self, body: FolderQuery) -> tuple[Route, Place]:
        from .local_folder import NotSendable, place_of

        try:
            place = await asyncio.to_thread(lambda: self._known(place_of(str(self._path(body)))))
        except NotSendable as error:
            raise Conflict(str(error), hint="Put the notebook into a folder of its own.") from None
        except OSError as error:
            raise NotFound(
                f"{body.folder or body.notebook} is not a folder on this machine: {error.strerror}.",
                hint="Check the path.",
            ) from None
        target = body.target or await self._only_target(place)
        route = (await self.record(target)).route
        if provider_of(route.kind).is_this_machine:
            raise Conflict(
                f"{target} is this machine: its kernels run in the folder itself.",
                hint="No transfer is needed.",
            )
        return await self._on_host(route, place), place

    async def _on_host(self, route: Route, place: Place) -> Route:
        """Return the host that has the folder. Where hosts have their own files, this is the one that was
        synchronised last. Raises Conflict for none."""
        provider = provider_of(route.kind)
        if not provider.allocates:
            return route
        hosts = {link.route.host_id: link.route.ref for link in self._folders.links.known() if link.is_up}
        hosts = {each: ref for each, ref in hosts.items() if ref.target == route.target}
        if not provider.shares_storage(route.config):
            memories = await asyncio.to_thread(self._folders.memories.of_root, place.root)
            memories = [each for each in memories if each.target == route.target]
            hosts = {each.host_id: hosts[each.host_id] for each in memories if each.host_id in hosts}
        if not hosts and provider.shares_storage(route.config) and await self._was_shared(route, place):
            return route
        if not hosts:
            raise Conflict(
                f"No connected {provider.host_noun} of {route.target} has {place.root}.",
                hint="The folder is sent when a kernel starts on the target. See: genops targets hosts "
                f"{route.target}",
            )
        return route.at(next(iter(hosts.values())))

    async def _was_shared(self, route: Route, place: Place) -> bool:
        memory = await asyncio.to_thread(self._folders.memories.get, route.target, place.root)
        return memory.shared

    async def _is_shared(self, route: Route, place: Place) -> bool:
        """Return whether the host has the folder itself; without a host, whether the last one had."""
        if provider_of(route.kind).allocates and not route.host_id:
            return await self._was_shared(route, place)
        return await self._folders.sees(route, place.root)

    def _known(self, place: Place) -> Place:
        """Return the recorded folder around a place: without git, a part of a folder on a target means that
        folder. Blocks."""
        from .local_folder import Place

        around = [] if place.is_git else self._folders.memories.roots_around(place.root)
        if not around or around[0] == place.root:
            return place
        return Place(around[0], Path(place.root).relative_to(around[0]).as_posix(), is_git=False)

    def _path(self, body: FolderQuery) -> Path:
        if body.notebook:
            if self._settings.root_dir is None:
                raise InvalidRequest(
                    "No JupyterLab with a file browser is running here.",
                    hint="Give the folder instead of the notebook.",
                )
            return contained(self._settings.root_dir, body.notebook).parent
        if not Path(body.folder).is_absolute():
            raise InvalidRequest(
                "The request has neither a notebook nor a folder.", hint="Give folder as an absolute path."
            )
        return Path(body.folder)

    async def _only_target(self, place: Place) -> str:
        known = await asyncio.to_thread(self._folders.memories.of_root, place.root)
        if len({each.target for each in known}) == 1:
            return known[0].target
        if not known:
            raise NotFound(
                f"{place.root} is on no target yet.",
                hint="Start a notebook of this folder on the target, or name the target: --target NAME",
            )
        raise Conflict(
            f"{place.root} is on several targets: {', '.join(each.target for each in known)}.",
            hint="Name one: --target NAME",
        )

    # Transfers

    async def run(self, route: Route, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Connect if needed, and run the work in the connections' loop. Raises GenOpsError."""
        links = self._folders.links
        await links.run(links.link(route).up())
        try:
            return await links.run(make())
        except OSError as error:
            raise Failed(f"{error.filename or 'The folder'}: {error.strerror or error}.") from error

    async def _begin(
        self,
        title: str,
        direction: str,
        route: Route,
        place: Place,
        work: Callable[[Progress], Coroutine[Any, Any, Report]],
    ) -> FolderJob:
        from .download import Progress

        progress, job_id = Progress(), secrets.token_hex(8)

        def begun(task_id: str) -> None:
            self._jobs[job_id].task_id = task_id

        async def passage() -> FolderResult:
            running = self.run(route, lambda: work(progress))
            report = await self._watched(title, f"target:{route.target}", progress, running, begun)
            return _result(report, direction, route, place)

        for old in list(self._jobs)[: -_KEPT_JOBS + 1]:
            if self._jobs[old].work.done():
                del self._jobs[old]
        job = self._jobs[job_id] = _Job(asyncio.create_task(passage()))
        # Nobody may ask for its result.
        job.work.add_done_callback(lambda work: work.cancelled() or work.exception())
        await asyncio.wait([job.work], timeout=_ANSWER_WITHIN_S)
        return await self._answer(job_id)

    async def _answer(self, job_id: str) -> FolderJob:
        job = self._jobs.get(job_id)
        if job is None:
            raise NotFound(
                "There is no such transfer of a folder.",
                hint="Compare the folder again: genops folders status",
            )
        if not job.work.done():
            return FolderJob(id=job_id, state="running", task_id=job.task_id)
        return FolderJob(id=job_id, state="done", task_id=job.task_id, result=job.work.result())

    async def close(self) -> None:
        """Cancel all transfers."""
        await self.requests.close()
        for job in self._jobs.values():
            job.work.cancel()
        if self._jobs:
            await asyncio.wait([job.work for job in self._jobs.values()], timeout=5)


def _nothing_to_do(direction: Any, route: Route, place: Place) -> FolderJob:
    from . import messages

    result = FolderResult(
        target=route.target,
        here=place.root,
        there=place.root,
        direction=direction,
        message=messages.shared(place.root, route),
    )
    return FolderJob(id=secrets.token_hex(8), state="done", result=result)


def _changes(planned: dict[str, Seen | None]) -> dict[str, Any]:
    return {path: "new" if seen is None else "changed" for path, seen in planned.items()}


def _result(report: Report, direction: Any, route: Route, place: Place) -> FolderResult:
    from . import messages

    changes: dict[str, Any] = {path: "new" if path in report.new else "changed" for path in report.done}
    deleted = [FolderFile(path=path, change="deleted") for path in report.deleted]
    count = len(report.done) + len(report.deleted)
    verb = "sent" if direction == "sent" else "pulled"
    there = f"to {route.target}" if direction == "sent" else f"from {route.target}"
    said = [f"{messages.files_of(count)} {verb} {there}." if count else f"No file had to be {verb}."]
    if report.conflicts:
        said.append(f"{messages.files_of(len(report.conflicts))} changed on both sides and left alone.")
    if report.failed:
        said.append(f"{messages.files_of(len(report.failed))} failed.")
    return FolderResult(
        target=route.target,
        here=place.root,
        there=report.root_there,
        direction=direction,
        done=messages.entries(report.done.values(), changes, report.kept) + deleted,
        done_count=count,
        done_bytes=report.size,
        conflicts=messages.entries(report.conflicts.values(), "conflict"),
        failed=messages.reasons(report.failed),
        message=" ".join(said),
    )
