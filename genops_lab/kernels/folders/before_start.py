"""Send the notebook's folder before a kernel's start. After a failure the kernel starts, and the notebook
shows the reason."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from genops_lab.agent.tree import Seen

from ...core.errors import Conflict, GenOpsError
from ...core.formatting import size_of
from ...hosts import shared_files
from ...hosts.link.connections import HostConnections
from ...hosts.link.questions import ACCEPT, Question
from ...hosts.link.route import Route
from ...hosts.providers import provider_of
from . import plan as plans
from .channel import Listed
from .download import Progress, Report
from .last_sync import LastSyncs, copies_on
from .local_folder import Contents, NotSendable, Place, place_of
from .messages import coming, files_of, largest, push_notices
from .transfer import Folder

log = logging.getLogger("genops_lab")
T = TypeVar("T")

PROGRAM = "GenOps Lab: "


class Cap(NamedTuple):
    """The number of files and bytes that are sent without a question."""

    files: int
    size: int

    def allows(self, files: list[Seen]) -> bool:
        """Return whether these files are within the limits."""
        return len(files) <= self.files and sum(each.size for each in files) <= self.size


class Watch(Protocol):
    """Shows users the progress of a transfer, and lets them cancel it."""

    async def __call__(self, title: str, subject: str, progress: Progress, work: Coroutine[Any, Any, T]) -> T:
        """Do the work. Raises what it raises, and Failed when a user cancelled it."""
        ...


@dataclass
class Prepared:
    """Where the kernel starts (empty: where it would without a folder), and the sentences for its notebook."""

    cwd: str = ""
    said: list[str] = field(default_factory=list)


class Folders:
    """The folders of this process's kernels. ``watch`` shows transfers to users, where there is a panel."""

    def __init__(self, links: HostConnections, watch: Watch | None = None) -> None:
        self.links = links
        self.memories = LastSyncs(links.folder)
        self._watch = watch
        #: folders that nobody agreed to send: another process asks again, and so does an explicit push
        self._refused: set[tuple[str, str]] = set()

    def folder(self, route: Route, place: Place, kernel_id: str = "") -> Folder:
        """Return a folder on a target."""
        return Folder(self.links.link(route), place, self.memories, kernel_id)

    async def prepare(self, route: Route, folder: str, kernel_id: str, cap: Cap) -> Prepared:
        """Send the folder around ``folder``. Raises only LinkError: without a connection there is no kernel."""
        try:
            place = await asyncio.to_thread(place_of, folder)
        except NotSendable as error:
            if await self.sees(route, folder):
                return Prepared(cwd=folder)
            return Prepared(
                said=[
                    f"{PROGRAM}{error} Put it into a folder of its own to have its files on {route.target}."
                ]
            )
        except OSError:
            return Prepared()  # the path does not exist on this machine
        link = self.links.link(route)
        await self.links.run(link.up())
        memory = await asyncio.to_thread(self.memories.get, route.target, place.root, copies_on(route))
        memory.shared = await self.sees(route, place.root)
        if memory.shared:
            memory.remember_kernel(kernel_id, place.inside)
            await asyncio.to_thread(self.memories.put, memory)
            return Prepared(cwd=str(Path(place.root, place.inside)))
        prepared = Prepared(cwd="/".join(filter(None, (memory.there, place.inside))))
        progress = Progress()
        try:
            report = await self._watched(
                f"Send {Path(place.root).name} to {route.target}",
                f"target:{route.target}",
                progress,
                self.folder(route, place, kernel_id).push(progress, self._allow(route.target, place, cap)),
            )
        except GenOpsError as error:
            prepared.said.append(_without(route.target, place, f"{error.message} {error.hint}".strip()))
        except OSError as error:
            prepared.said.append(_without(route.target, place, f"{error.strerror or error}."))
        except Exception as error:  # the boundary: a failed folder must not stop a kernel
            log.exception("The folder %s was not sent to %s.", place.root, route.target)
            prepared.said.append(_without(route.target, place, f"{type(error).__name__}: {error}"))
        else:
            prepared.said += self._sentences(report, route.target, place)
        return prepared

    async def sees(self, route: Route, folder: str) -> bool:
        """Return whether a host has this machine's folder itself: then nothing is copied. Raises LinkError."""
        provider, link = provider_of(route.kind), self.links.link(route)
        if not provider.allocates or not provider.shares_storage(route.config):
            return False

        async def look() -> bool:
            await link.up()
            return await shared_files.has_folder(link, folder)

        found = await self.links.run(look())
        await asyncio.to_thread(shared_files.remember, self.links.folder, route.target, found)
        return found

    def _sentences(self, report: Report, target: str, place: Place) -> list[str]:
        if report.refused:
            return [
                f"{PROGRAM}The files of {place.root} are not on {target}: they are many or large, and nobody agreed "
                f"to send them. `genops push --target {target}` in a terminal of JupyterLab (in that folder) sends "
                "them; a file .genopsignore leaves some out."
            ]
        return [PROGRAM + text for text in push_notices(report, target)]

    async def _watched(self, title: str, subject: str, progress: Progress, work: Coroutine[Any, Any, T]) -> T:
        running = self.links.run(work)
        if self._watch is None:
            return await running
        return await self._watch(title, subject, progress, running)

    def bringing_of(self, confirmed: bool, cap: Cap) -> Callable[[plans.Pull, Listed], Awaitable[bool]]:
        """Return a check that allows a pull of the expected size; a larger one only once it is confirmed.
        Raises Conflict."""

        async def allow(pull: plans.Pull, there: Listed) -> bool:
            files = {path: there.files[path] for path in pull.bring}
            replaced = {path: "replaces yours" for path, mine in pull.bring.items() if mine is not None}
            self._check(list(files.values()), confirmed, cap, "come", lambda: coming(files, replaced))
            return True

        return allow

    def sending_of(self, confirmed: bool, cap: Cap) -> Callable[[plans.Push, Contents], Awaitable[bool]]:
        """Return the same check for a push."""

        async def allow(push: plans.Push, found: Contents) -> bool:
            files = [found.files[path] for path in push.send]
            self._check(files, confirmed, cap, "be sent", lambda: largest(files))
            return True

        return allow

    def _check(
        self, files: list[Seen], confirmed: bool, cap: Cap, what: str, listed: Callable[[], str]
    ) -> None:
        size = sum(each.size for each in files)
        if not confirmed and not cap.allows(files):
            raise Conflict(
                f"{files_of(len(files))} ({size_of(size)}) would {what}:\n{listed()}",
                hint="Confirm with --yes, or name the files that you want.",
                code="confirmation_needed",
                details={"files": len(files), "bytes": size},
            )

    def _allow(
        self, target: str, place: Place, cap: Cap
    ) -> Callable[[plans.Push, Contents], Awaitable[bool]]:
        """Return a check that asks a user about a large push; once per start."""
        answered: list[bool] = []

        async def allow(push: plans.Push, found: Contents) -> bool:
            files = [found.files[path] for path in push.send]
            size = sum(each.size for each in files)
            if cap.allows(files):
                return True
            if (target, place.root) in self._refused:
                return False
            if not answered:
                answered.append(await self._ask(target, place, size, len(files), largest(files)))
            if not answered[0]:
                self._refused.add((target, place.root))
            return answered[0]

        return allow

    async def _ask(self, target: str, place: Place, size: int, count: int, listed: str) -> bool:
        text = (
            f"The kernel is about to start on {target} in a copy of {place.root}. For this, "
            f"{files_of(count)} ({size_of(size)}) must be sent. Without them the kernel starts in an "
            f"empty folder.\n\n{listed}"
        )
        answer = await self.links.asker.ask(
            Question(id=uuid.uuid4().hex, target=target, kind="folder_size", text=text)
        )
        return answer == ACCEPT


def _without(target: str, place: Place, why: str) -> str:
    return (
        f"{PROGRAM}The files of {place.root} could not be sent to {target}. The kernel runs without the "
        f"missing files. {why}"
    )
