"""Bring outputs into documents: note what a page saved, and write what no page takes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from genops_lab.core.errors import GenOpsError

from .documents import SUFFIX, Documents
from .merge import holds, supersedes
from .models import Execution
from .service import OutputsService

log = logging.getLogger("genops_lab")

_LOOK_EVERY_S = 1.0
_AGAIN_AFTER_TROUBLE_S = 30.0
#: Seconds after which a page that was open all the time has shown the end of a run.
_SHOWN_AFTER_S = 10.0


class DocumentKeeper:
    """Keeps documents complete, for the kernels of notebooks.

    ``path_of`` returns a kernel's notebook, or an empty path. ``in_room(path)`` returns whether the notebook
    is edited together: then its room saves it, and would undo other writes. ``wait_s`` is the time in seconds
    that a document is left to pages that may come (after a restore, a reload, when a laptop wakes up).
    """

    def __init__(
        self,
        outputs: OutputsService,
        documents: Documents,
        path_of: Callable[[str], str],
        in_room: Callable[[str], bool],
        *,
        wait_s: float,
    ) -> None:
        self._outputs = outputs
        self._documents = documents
        self._path_of = path_of
        self._in_room = in_room
        self._wait_s = wait_s
        self._caring: dict[str, asyncio.Task[None]] = {}
        self._news: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        #: by run: the pages that were open at its start, and when its end was first seen
        self._epochs: dict[str, int] = {}
        self._ends: dict[str, float] = {}
        #: kernels that this process restored: only a page of ours knows what was missed
        self.restored: set[str] = set()
        outputs.run_listeners.append(self.look_after)

    def look_after(self, kernel_id: str) -> None:
        """Watch the document of a kernel whose run started or ended, until it has all outputs."""
        self._news.add(kernel_id)
        if kernel_id not in self._caring:
            self._caring[kernel_id] = asyncio.get_running_loop().create_task(self._care(kernel_id))

    def saved(self, path: str) -> None:
        """Handle a saved notebook (in the event loop)."""
        task = asyncio.get_running_loop().create_task(self._take_saved(path))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def see(self, kernel_id: str, path: str) -> None:
        """Record the notebook's present state as the one that its kernel's outputs belong to."""
        found = await self._documents.hash_of(path)
        await asyncio.to_thread(self._outputs.ledger.change, kernel_id, file_hash=found)

    async def write_now(self, kernel_id: str, path: str) -> bool:
        """Write finished outputs into the notebook at ``path``; return whether no finished output is left."""
        wanted = await self._wanted(kernel_id)
        done = [each for each in wanted if each.state == "done"]
        if not done:
            return True
        if not path.endswith(SUFFIX):
            await self._outputs.documented(kernel_id, done)  # a console's: it has no document
            return True
        if self._in_room(path):
            return False
        remembered = await asyncio.to_thread(self._outputs.ledger.get, kernel_id)
        seen = remembered.file_hash if remembered is not None else None
        written = await self._documents.write(path, done, seen)
        if written.beside:
            log.warning(
                "Outputs of %s are in %s: the notebook was changed after it was last read.",
                path,
                written.path,
            )
        else:
            await asyncio.to_thread(self._outputs.ledger.change, kernel_id, file_hash=written.hash)
            log.info("Outputs of %d runs were written into %s.", len(done), path)
        await self._outputs.documented(kernel_id, done)
        self._outputs.tell(kernel_id)
        return True

    async def left_to_page(self, kernel_id: str) -> None:
        """Handle a removed kernel while a page is open, or was a moment ago.

        The page itself saves the runs that it has seen from start to end. Waits briefly for the others.
        """
        watched = [
            each
            for each in await self._wanted(kernel_id)
            if self._epochs.get(each.msg_id) == self._outputs.presence.epoch(kernel_id)
        ]
        await self._outputs.documented(kernel_id, watched)
        deadline = time.monotonic() + self._wait_s
        while time.monotonic() < deadline:
            if not await asyncio.to_thread(self._outputs.recorder.wanted, kernel_id):
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def close(self) -> None:
        """Stop watching; unwritten outputs are in the hosts' journals."""
        tasks = [*self._caring.values(), *self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _wanted(self, kernel_id: str) -> list[Execution]:
        return await asyncio.to_thread(self._outputs.recorder.executions, kernel_id)

    async def _care(self, kernel_id: str) -> None:
        pause_s = 0.0
        while True:
            await asyncio.sleep(pause_s)
            pause_s = _LOOK_EVERY_S
            self._news.discard(kernel_id)
            wanted = await asyncio.to_thread(self._outputs.recorder.wanted, kernel_id)
            self._note_times(kernel_id, wanted)
            if not any(wanted.values()):
                if kernel_id in self._news:
                    continue  # outputs came while the notebook was read
                del self._caring[kernel_id]
                return  # the end of the unfinished run calls this again
            ended = await asyncio.to_thread(self._outputs.recorder.end_of, kernel_id) is not None
            restored = kernel_id in self.restored
            absent_s = self._outputs.presence.absent_for(kernel_id, restored=restored)
            if absent_s < self._wait_s and not (ended and absent_s and not restored):
                continue
            try:
                await self.write_now(kernel_id, self._path_of(kernel_id))
            except GenOpsError as error:
                log.warning("%s %s", error.message, error.hint)
                pause_s = _AGAIN_AFTER_TROUBLE_S
            except Exception:  # a boundary: a failed document must not stop the others
                log.exception("The outputs of kernel %s were not written.", kernel_id)
                pause_s = _AGAIN_AFTER_TROUBLE_S

    def _note_times(self, kernel_id: str, wanted: dict[str, bool]) -> None:
        past = self._outputs.recovering(kernel_id)
        for msg_id, done in wanted.items():
            self._epochs.setdefault(msg_id, -1 if past else self._outputs.presence.epoch(kernel_id))
            if done:
                self._ends.setdefault(msg_id, time.monotonic())

    async def _take_saved(self, path: str) -> None:
        try:
            for kernel in await asyncio.to_thread(self._outputs.ledger.all):
                if kernel.path == path:
                    await self._compare(kernel.kernel_id, path)
        except Exception:  # a boundary: a save of the user's must not fail because of this
            log.exception("The saved content of %s was not compared.", path)

    async def _compare(self, kernel_id: str, path: str) -> None:
        await self.see(kernel_id, path)
        done = [each for each in await self._wanted(kernel_id) if each.state == "done"]
        if not done:
            return
        saved = await self._documents.saved(path)
        if saved is None:
            return
        there = [each for each in done if self._is_in(kernel_id, saved.content, each)]
        if there:
            await self._outputs.documented(kernel_id, there)
            for each in there:
                self._epochs.pop(each.msg_id, None)
                self._ends.pop(each.msg_id, None)

    def _is_in(self, kernel_id: str, content: dict[str, Any], execution: Execution) -> bool:
        if holds(content, execution):
            return True
        # A page that was open from the start to the end has shown all of it. What it saves then is the user's
        # choice: cleared outputs and deleted cells do not come back.
        presence = self._outputs.presence
        watched = presence.connections(kernel_id) > 0 and self._epochs.get(
            execution.msg_id
        ) == presence.epoch(kernel_id)
        ended_s = time.monotonic() - self._ends.get(execution.msg_id, time.monotonic())
        return watched and supersedes(content, execution, shown=ended_s > _SHOWN_AFTER_S)
