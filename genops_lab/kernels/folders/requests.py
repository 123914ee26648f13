"""Let a kernel on another host ask for a pull into the notebook's folder, which a user confirms.

The host is not trusted: exactly the listed files are written, or nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.errors import Conflict, NotAllowed, NotFound
from genops_lab.core.formatting import size_of
from genops_lab.core.principals import Principal, asking_kernel
from genops_lab.hosts.link.questions import ACCEPT, Question
from genops_lab.hosts.providers import provider_of

if TYPE_CHECKING:
    from genops_lab.agent.tree import Seen

    from .before_start import Folders
    from .channel import Listed
    from .download import Report
    from .plan import Pull
    from .service import FoldersService
    from .task import PassageTasks

#: Seconds after a refusal before a kernel may ask again: repeated dialogs must not wear a user down.
PAUSE_S = 30.0
_ANSWER_WITHIN_S = 20.0
_MAX_NAMED = 20
#: The most files that a user must see; nobody reads more in 3 minutes.
_MAX_ASKED = 2000


class PullRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Pull these files, or all that are new or changed. ``replace``: also those that were changed on both
    sides; the user's own versions are kept as copies."""

    paths: list[str] = []
    replace: bool = False


class PullAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a request; ``text`` is for the user who ran the cell."""

    id: str
    state: str
    text: str = ""


@dataclass
class _Open:
    kernel: Principal
    work: asyncio.Task[str]


class FolderRequests:
    """The requests of kernels on targets; belongs to the Lab's loop."""

    def __init__(
        self, service: FoldersService, folders: Folders, watched: PassageTasks, *, pause_s: float = PAUSE_S
    ) -> None:
        self._service = service
        self._watched = watched
        self._folders = folders
        self._pause_s = pause_s
        self._open: dict[str, _Open] = {}
        self._refused: dict[Principal, float] = {}

    async def ask_to_pull(self, body: PullRequest) -> PullAnswer:
        """Ask the user for a pull of this host's files into the notebook's folder; a kernel has one request
        at a time."""
        kernel = asking_kernel()
        if any(each.kernel == kernel and not each.work.done() for each in self._open.values()):
            raise Conflict("This kernel has already asked for a pull.", hint="Answer it in JupyterLab first.")
        if time.monotonic() - self._refused.get(kernel, -self._pause_s) < self._pause_s:
            raise NotAllowed(
                "The user did not agree to the last request of this kernel.",
                hint="Pull the files yourself: `genops pull` in a terminal of JupyterLab.",
            )
        self._open = {key: each for key, each in self._open.items() if each.kernel != kernel}
        request_id = secrets.token_hex(8)
        work = asyncio.create_task(self._serve(kernel, body))
        work.add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )  # nobody may ask for its result
        self._open[request_id] = _Open(kernel, work)
        return PullAnswer(id=request_id, state="running")

    async def get_pull(self, request_id: str) -> PullAnswer:
        """Return the state of a request; wait briefly for its end. Raises its error, and NotFound for another
        kernel's."""
        found = self._open.get(request_id)
        if found is None or found.kernel != asking_kernel():
            raise NotFound("There is no such request.", hint="Ask again: %genops pull")
        await asyncio.wait([found.work], timeout=_ANSWER_WITHIN_S)
        if not found.work.done():
            return PullAnswer(id=request_id, state="running")
        return PullAnswer(id=request_id, state="done", text=found.work.result())

    async def close(self) -> None:
        """Cancel all requests."""
        for each in self._open.values():
            each.work.cancel()
        if self._open:
            await asyncio.wait([each.work for each in self._open.values()], timeout=5)

    async def _serve(self, kernel: Principal, request: PullRequest) -> str:
        from .local_folder import NotSendable

        try:
            return await self._pull(kernel, request)
        except NotSendable as error:
            raise Conflict(str(error)) from None

    async def _pull(self, kernel: Principal, request: PullRequest) -> str:
        from .download import Progress
        from .local_folder import place_of
        from .paths import chosen

        target, kernel_id = kernel.target, kernel.name
        memory = await asyncio.to_thread(self._folders.memories.of_kernel, target, kernel_id)
        if memory is None:
            raise NotFound(
                "This kernel was started without a folder.", hint="Start it from its notebook, in JupyterLab."
            )
        if memory.shared:
            return f"The kernel works in {memory.root} itself, so nothing needs to be pulled."
        inner = f"{memory.root}/{memory.kernels[kernel_id]}".rstrip("/")
        place = await asyncio.to_thread(place_of, inner)
        route = (await self._service.record(target)).route
        route = route.at(provider_of(route.kind).host_of(route, kernel_id))
        wanted = chosen(request.paths, place)
        offered: dict[str, Seen] = {}
        text = ""

        async def look(pull: Pull, there: Listed) -> bool:
            nonlocal text
            offered.update((path, there.files[path]) for path in pull.bring)
            if request.replace:
                offered.update(pull.conflicts)
            text = _question(target, place.root, offered, pull, request.replace)
            return False

        async def take(pull: Pull, there: Listed) -> bool:
            pull.bring = {
                path: seen for path, seen in pull.bring.items() if offered.get(path) == there.files[path]
            }
            pull.conflicts = {
                path: seen for path, seen in pull.conflicts.items() if offered.get(path) == seen
            }
            return True

        folder = self._folders.folder(route, place)
        seen = await self._service.run(route, lambda: folder.pull(Progress(), look, wanted=wanted))
        if not offered:
            return _nothing(seen)
        question = Question(id=uuid.uuid4().hex, target=target, kind="folder_pull", text=text)
        if await self._folders.links.asker.ask(question) != ACCEPT:
            self._refused[kernel] = time.monotonic()
            raise NotAllowed(
                "No user agreed to the pull in JupyterLab, so no file was pulled.",
                hint="Answer the question in JupyterLab within 3 minutes, or run `genops pull` in a terminal.",
            )
        progress = Progress()
        work = self._service.run(
            route, lambda: folder.pull(progress, take, replace=request.replace, wanted=wanted)
        )
        report = await self._watched(f"Pull files from {target}", f"target:{target}", progress, work)
        return _brought(report, place.root)


def _question(target: str, root: str, offered: dict[str, Seen], pull: Pull, replace: bool) -> str:
    from .messages import coming, files_of, risky_files

    replaced = {path: "replaces yours" for path in offered if pull.bring.get(path) is not None}
    if replace:
        replaced |= dict.fromkeys(pull.conflicts, "replaces yours, of which a copy is kept")
    if len(risky_files(offered, replaced)) > _MAX_ASKED:
        raise Conflict(
            f"More than {_MAX_ASKED:,} of {len(offered):,} files replace yours, are hidden, executable "
            "or code. A question cannot show this many.",
            hint="Pull them in parts: %genops pull PATHS. Or run `genops pull` in a terminal of JupyterLab.",
        )
    total = size_of(sum(each.size for each in offered.values()))
    text = (
        f"A kernel on {target} asks to write {files_of(len(offered))} ({total}) into {root}.\n\n"
        f"{coming(offered, replaced)}"
    )
    if pull.conflicts and not replace:
        text += f"\n\n{files_of(len(pull.conflicts))} more changed on both sides and will be left alone."
    return text


def _nothing(report: Report) -> str:
    return "No new or changed files can be pulled without conflicts." + _rest(report)


def _brought(report: Report, root: str) -> str:
    from .messages import files_of, shown

    lines = [
        f"{files_of(len(report.done))} ({size_of(report.size)}) pulled into {root} on the Lab's machine."
    ]
    lines += [f"  {shown(path)}" for path in sorted(report.done)[:_MAX_NAMED]]
    if len(report.done) > _MAX_NAMED:
        lines.append(f"  and {len(report.done) - _MAX_NAMED:,} more")
    return "\n".join(lines) + _rest(report)


def _rest(report: Report) -> str:
    from .messages import named

    said = ""
    if report.conflicts:
        said += (
            f"\nChanged on both sides and left alone: {named(report.conflicts)}. Use --theirs to "
            "take those of this host."
        )
    if report.failed:
        said += f"\nNot pulled: {named(report.failed)} ({report.failed[min(report.failed)]})"
    return said
