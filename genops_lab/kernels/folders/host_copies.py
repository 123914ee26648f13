"""The copies of folders that lie on targets: whose they are, and whether anything in them is nowhere else."""

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
    """Of this Lab. A copy is named by its folder's name below ``~/genops``."""

    def __init__(self, memories: LastSyncs) -> None:
        self._memories = memories

    def known(self, name: str, host: Route) -> list[LastSync]:
        """What is remembered of a copy on a host: once a target, where several lead there. Blocks."""
        host_id = copies_on(host)
        return [each for each in self._memories.of_copy(f"~/genops/{name}") if each.host_id == host_id]

    async def only_there(self, link: HostConnection, known: list[LastSync]) -> str:
        """What of a copy would be lost with it, in words; empty for nothing. In the links' loop. Raises what a link
        raises."""
        roots = sorted({memory.root for memory in known})
        missing = await asyncio.to_thread(lambda: [root for root in roots if not Path(root).is_dir()])
        if missing:
            return f"{missing[0]} is not here any more: this may be the last copy"
        async with folder_talk(link, known[0].there) as talk:
            found = await talk.listing()
        if not found.whole:
            return "it holds more files than are looked at"
        new = [
            path
            for path, seen in found.files.items()
            if not any(path in each.files and each.files[path].there == seen.state for each in known)
        ]
        return (
            f"{files_of(len(new))} there {'was' if len(new) == 1 else 'were'} not brought here" if new else ""
        )

    @asynccontextmanager
    async def held(self, known: list[LastSync]) -> AsyncIterator[None]:
        """Meanwhile no Lab of this user synchronises it. Raises Conflict where one does now."""
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
        """The copy is no more: the next start sends everything anew. Blocks."""
        for each in known:
            if each.target == target:  # others may have one on another host
                self._memories.drop(each)
