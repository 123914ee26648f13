"""Transfer a folder between this machine and a target. Coroutines run in the connections' loop; blocking work
runs in threads."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from genops_lab.agent.tree import Changed, Seen, State, Tree

from ...core.errors import Failed, Unavailable
from ...core.locks import FileLock
from ...hosts.link.connection import HostConnection
from ...hosts.link.transfer import through_breaks
from . import plan as plans
from .channel import FolderChannel, Listed, folder_talk, putting
from .download import Coming, Download, Progress, Report, check_room, known_of
from .last_sync import LastSync, LastSyncs, copies_on
from .local_folder import Contents, Place, contents, rules_of

T = TypeVar("T")
Allow = Callable[[plans.Push, Contents], Awaitable[bool]]
Wanted = Callable[[str], bool]

_BREAKS = 20
_BACK_WITHIN_S = 120.0
_LOCK_S = 600.0


@dataclass
class Look:
    """A folder on both sides."""

    contents: Contents
    there: Listed
    push: plans.Push
    pull: plans.Pull
    blocked: dict[str, str]
    root_there: str


class Folder:
    """One folder and one target. Each transfer writes ``memory`` back."""

    def __init__(self, link: HostConnection, place: Place, memories: LastSyncs, kernel_id: str = "") -> None:
        self.link = link
        self.place = place
        self.target = link.route.target
        self._of = self.target, place.root, copies_on(link.route)
        self._memories = memories
        self._kernel_id = kernel_id
        self._hashes: dict[tuple[str, State], str] = {}
        self._unfinished: dict[Seen, Coming] = {}

    async def push(
        self, progress: Progress, allow: Allow, *, replace: bool = False, wanted: Wanted | None = None
    ) -> Report:
        """Make the target's folder equal to the one here. Raises the errors of a connection, Failed, OSError."""
        stamp = _stamp()

        async def work(talk: FolderChannel, memory: LastSync) -> Report:
            report = Report(root_there=talk.root, running=talk.running)
            if talk.running and self._kernel_id:
                return report
            progress.what = "Looking"
            with await asyncio.to_thread(Tree, self.place.root) as tree:
                found, there = await asyncio.gather(
                    asyncio.to_thread(contents, self.place), self._there(talk, memory)
                )
                if not found.whole:
                    raise Failed(
                        f"{self.place.root} has more than {len(found.files):,} files.",
                        hint="Leave some out: list them in a file .genopsignore in that folder.",
                    )
                report.left_out = found.left_out
                push = await self._push_plan(talk, tree, memory, found, there)
                if wanted is not None:
                    push.send = {path: seen for path, seen in push.send.items() if wanted(path)}
                    push.conflicts = {path: seen for path, seen in push.conflicts.items() if wanted(path)}
                    push.delete = [path for path in push.delete if wanted(path)]
                if (push.send or push.conflicts) and not await allow(push, found):
                    report.refused = True
                    return report
                if replace:
                    push.send |= push.conflicts
                    report.kept = {path: _backup(path, f"there-{stamp}") for path in push.conflicts}
                    push.conflicts = {}
                report.conflicts = push.conflicts
                await self._send(talk, tree, memory, found, push, report, progress)
            memory.synced_at = time.time()
            return report

        return await self._passage(work)

    async def pull(
        self,
        progress: Progress,
        allow: Callable[[plans.Pull, Listed], Awaitable[bool]],
        *,
        replace: bool = False,
        wanted: Wanted | None = None,
    ) -> Report:
        """Pull new and changed files. Raises the errors of a connection, Failed, OSError."""
        stamp = _stamp()

        async def work(talk: FolderChannel, memory: LastSync) -> Report:
            report = Report(root_there=talk.root)
            progress.what = "Looking"
            with await asyncio.to_thread(Tree, self.place.root) as tree:
                there = await talk.listing()
                pull, blocked = await self._pull_plan(talk, tree, memory, there, wanted)
                report.failed |= blocked
                if not await allow(pull, there):
                    report.refused = True
                    return report
                if replace:
                    pull.bring |= {path: await asyncio.to_thread(tree.look, path) for path in pull.conflicts}
                    report.kept = {path: _backup(path, f"mine-{stamp}") for path in pull.conflicts}
                    pull.conflicts = {}
                report.conflicts = pull.conflicts
                await self._bring(talk, tree, memory, there, pull, report, progress)
            return report

        return await self._passage(work)

    async def look(self) -> Look:
        """Compare both sides; change only the records of equal files."""

        async def work(talk: FolderChannel, memory: LastSync) -> Look:
            with await asyncio.to_thread(Tree, self.place.root) as tree:
                found, there = await asyncio.gather(asyncio.to_thread(contents, self.place), talk.listing())
                push = await self._push_plan(talk, tree, memory, found, there)
                pull, blocked = await self._pull_plan(talk, tree, memory, there, None)
            return Look(found, there, push, pull, blocked, talk.root)

        return await self._passage(work)

    # The transfer

    async def _passage(self, work: Callable[[FolderChannel, LastSync], Awaitable[T]]) -> T:
        """Run the work under the folder's lock. When the connection breaks, start again, which costs little:
        files that have arrived are kept."""
        release = self.link.hold()
        try:
            async with self._locked():
                memory = await asyncio.to_thread(self._memories.get, *self._of)
                return await through_breaks(
                    self.link, lambda: self._once(work, memory), breaks=_BREAKS, within_s=_BACK_WITHIN_S
                )
        finally:
            for file in self._unfinished.values():
                file.abort()
            self._unfinished.clear()
            release()

    async def _once(self, work: Callable[[FolderChannel, LastSync], Awaitable[T]], memory: LastSync) -> T:
        make = [self.place.inside] if self.place.inside else []
        async with folder_talk(self.link, memory.there, make=make, kernel_id=self._kernel_id) as talk:
            if self._kernel_id:
                memory.remember_kernel(self._kernel_id, self.place.inside)
            try:
                return await work(talk, memory)
            finally:
                await asyncio.to_thread(self._memories.put, memory)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        lock = FileLock(await asyncio.to_thread(self._memories.lock_path, *self._of))
        deadline = time.monotonic() + _LOCK_S
        while not await asyncio.to_thread(lock.try_acquire):
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"Another process has been synchronising {self.place.root} with {self.target} for a "
                    "long time.",
                    hint="Check the tasks of your Labs, and cancel the one that hangs.",
                )
            await asyncio.sleep(0.1)
        try:
            yield
        finally:
            lock.release()

    # Plans

    async def _there(self, talk: FolderChannel, memory: LastSync) -> Listed:
        listed = await talk.listing()
        if not listed.whole:  # very many results: only recorded files are compared
            listed.files |= await talk.look([path for path in memory.files if path not in listed.files])
        return listed

    async def _push_plan(
        self, talk: FolderChannel, tree: Tree, memory: LastSync, found: Contents, there: Listed
    ) -> plans.Push:
        if not there.whole:
            there.files |= await talk.look([path for path in found.files if path not in there.files])

        def sha(path: str) -> str:
            return self._sha(tree, found.files[path])

        doubtful = await asyncio.to_thread(
            plans.doubtful, found.files, there.files, memory.files, sha, pulling=False
        )
        hashes = await talk.hashes(doubtful) if doubtful else {}

        def gone(path: str) -> bool:
            try:
                Path(self.place.root, path).lstat()
            except (FileNotFoundError, NotADirectoryError):
                return True
            except OSError:
                return False  # it cannot be read: that is no reason to delete its copy
            return False

        def make() -> plans.Push:
            made = plans.push(found.files, there.files, memory.files, sha, hashes, gone, there.links)
            for path, seen in made.same.items():
                memory.files[path] = known_of(found.files[path], sha(path), seen.state)
            for path in made.forget:
                del memory.files[path]
            for path, known in list(memory.files.items()):
                mine = found.files.get(path)
                if (
                    mine is not None
                    and mine.mtime_ns != known.mtime_ns
                    and plans.unchanged_here(known, mine, sha)
                ):
                    memory.files[path] = known_of(mine, known.sha, (known.size_there, known.mtime_there))
            return made

        return await asyncio.to_thread(make)

    async def _pull_plan(
        self, talk: FolderChannel, tree: Tree, memory: LastSync, there: Listed, wanted: Wanted | None
    ) -> tuple[plans.Pull, dict[str, str]]:
        rules = await asyncio.to_thread(rules_of, self.place.root)
        here: dict[str, Seen] = {}
        theirs: dict[str, Seen] = {}
        blocked: dict[str, str] = {}

        def look() -> None:
            for path, seen in there.files.items():
                known = memory.files.get(path)
                if known is not None and known.there == seen.state:
                    continue
                if (wanted is not None and not wanted(path)) or rules.leaves_out(path):
                    continue
                try:
                    mine = tree.look(path)
                except Changed:
                    blocked[path] = "A link or a folder with this name is in its place on this machine."
                    continue
                except OSError as error:
                    blocked[path] = error.strerror or str(error)
                    continue
                theirs[path] = seen
                if mine is not None:
                    here[path] = mine

        await asyncio.to_thread(look)

        def sha(path: str) -> str:
            return self._sha(tree, here[path])

        doubtful = await asyncio.to_thread(plans.doubtful, here, theirs, memory.files, sha, pulling=True)
        hashes = await talk.hashes(doubtful) if doubtful else {}

        def make() -> plans.Pull:
            made = plans.pull(here, theirs, memory.files, sha, hashes)
            for path, seen in made.same.items():
                memory.files[path] = known_of(here[path], sha(path), seen.state)
            return made

        return await asyncio.to_thread(make), blocked

    def _sha(self, tree: Tree, seen: Seen) -> str:
        key = seen.path, seen.state
        if key not in self._hashes:
            try:
                self._hashes[key] = tree.sha(seen.path)
            except OSError:
                return ""
        return self._hashes[key]

    # Bytes

    async def _send(
        self,
        talk: FolderChannel,
        tree: Tree,
        memory: LastSync,
        found: Contents,
        push: plans.Push,
        report: Report,
        progress: Progress,
    ) -> None:
        deletes = [(path, memory.files[path].there) for path in push.delete]
        if not push.send and not deletes and (memory.synced_at is not None or not found.folders):
            return
        files = [
            (
                found.files[path],
                None if seen is None else seen.state,
                Path(report.kept.get(path, "")).name,
            )
            for path, seen in push.send.items()
        ]
        progress.what, progress.done = "Sending", 0
        progress.total = sum(each.size for each, _, _ in files)
        digests: dict[str, str] = {}

        def hashed(path: str, digest: Any) -> None:
            if isinstance(digest, str):
                report.failed[path] = digest
            else:
                digests[path] = digest.hexdigest()

        unfinished = await talk.unfinished(seen for seen, _, _ in files)
        pieces = putting(
            tree,
            files,
            [(path, state) for path, state in deletes if state],
            found.folders,
            hashed,
            unfinished,
        )
        for outcome in await talk.put(pieces, progress.came):
            path = outcome.path
            if outcome.why and (path in push.send or path in memory.files):
                report.failed[path] = f"{outcome.why}."
            elif path in push.send and path in digests:
                mine = found.files[path]
                memory.files[path] = known_of(mine, digests[path], outcome.state)
                report.done[path] = mine
                if push.send[path] is None:
                    report.new.add(path)
            elif path in push.delete:
                memory.files.pop(path, None)
                report.deleted.append(path)

    async def _bring(
        self,
        talk: FolderChannel,
        tree: Tree,
        memory: LastSync,
        there: Listed,
        pull: plans.Pull,
        report: Report,
        progress: Progress,
    ) -> None:
        files = [there.files[path] for path in pull.bring]
        progress.what = "Download"
        progress.done = sum(
            self._unfinished[seen].receiver.done for seen in files if seen in self._unfinished
        )
        progress.total = sum(each.size for each in files)
        await asyncio.to_thread(check_room, self.place.root, progress.total - progress.done)
        await talk.get(files, Download(tree, memory, pull, report, progress), self._unfinished)


def _stamp() -> str:
    return time.strftime("%Y%m%d-%H%M%S")


def _backup(path: str, mark: str) -> str:
    """Return the name for the copy of a replaced file: in the same folder, marked, with its suffix at the
    end."""
    found = Path(path)
    return found.with_name(f"{found.stem[:150]}.{mark}{found.suffix}").as_posix()
