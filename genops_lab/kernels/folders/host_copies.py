"""Find the folders of copies on targets, and check whether a copy has files that exist nowhere else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ...core.errors import Conflict
from ...core.locks import FileLock
from ...hosts.link.connection import HostConnection
from ...hosts.link.route import Route
from .channel import folder_talk
from .last_sync import LastSync, LastSyncs, copies_on
from .messages import files_of


class Copies:
    """This Lab's copies. A copy is named by its folder's name below ``~/genops``."""

    def __init__(self, memories: LastSyncs) -> None:
        self._memories = memories

    def known(self, name: str, host: Route) -> list[LastSync]:
        """Return the records of a copy on a host: one per target, where several targets lead to the host.
        Blocks."""
        host_id = copies_on(host)
        return [each for each in self._memories.of_copy(f"~/genops/{name}") if each.host_id == host_id]

    async def only_there(self, link: HostConnection, known: list[LastSync]) -> str:
        """Return what a removal of the copy would lose, as text; empty for nothing. In the connections' loop.
        Raises the errors of a connection."""
        roots = sorted({memory.root for memory in known})
        missing = await asyncio.to_thread(lambda: [root for root in roots if not Path(root).is_dir()])
        if missing:
            return f"{missing[0]} no longer exists: this may be the last copy"
        async with folder_talk(link, known[0].there) as talk:
            found = await talk.listing()
        if not found.whole:
            return "it has more files than are checked"
        new = [
            path
            for path, seen in found.files.items()
            if not any(path in each.files and each.files[path].there == seen.state for each in known)
        ]
        return (
            f"{files_of(len(new))} on the host {'was' if len(new) == 1 else 'were'} not pulled" if new else ""
        )

    @asynccontextmanager
    async def held(self, known: list[LastSync]) -> AsyncIterator[None]:
        """Lock the copy: no Lab of this user synchronises it meanwhile. Raises Conflict where one does now."""
        locks = [FileLock(self._memories.lock_path(each.target, each.root, each.host_id)) for each in known]
        try:
            for lock, each in zip(locks, known, strict=True):
                if not await asyncio.to_thread(lock.try_acquire):
                    raise Conflict(
                        f"{each.root} is being synchronised with {each.target}.",
                        hint="Wait until that is done.",
                        code="synchronising",
                    )
            yield
        finally:
            for lock in locks:
                lock.release()

    def forget(self, target: str, known: list[LastSync]) -> None:
        """Forget a removed copy: the next start sends all files again. Blocks."""
        for each in known:
            if each.target == target:  # others may have a copy on another host
                self._memories.drop(each)
