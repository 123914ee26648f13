"""Give pages the recorded outputs of targets' kernels, and let the hosts drop what a document has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from genops_lab.core.errors import NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings

from .models import Execution, Executions, ExecutionsQuery, TextFound, TextPart, TextQuery, TextSearch
from .presence import Presence
from .recorder import Recorder

if TYPE_CHECKING:
    from genops_lab.core.store import LocalStore

    from .full_text import Text

EVENT = "output"
OVERFLOW = "outputs"
ACK_EVERY_S = 1.0
#: The most lines of a full output in one answer.
MAX_LINES = 1000

log = logging.getLogger("genops_lab")


class Journals(Protocol):
    """The kernels' journals: :class:`~genops_lab.kernels.remote_kernels.RemoteKernels`."""

    def acknowledge(self, kernel_id: str, incarnation: str, seq: int) -> None:
        """Let a journal be dropped up to a record."""

    def is_recovering(self, kernel_id: str) -> bool:
        """Return whether earlier outputs are still arriving."""


class OutputsService(Service):
    """The answers for pages, and the acknowledgement of each kernel's journal. ``limits``: what does not work
    in this server, with the extension that is the reason."""

    def __init__(
        self, settings: Settings, store: LocalStore, events: EventBus, journals: Journals, limits: list[str]
    ) -> None:
        # The routes' table needs only this class; SQLAlchemy costs 135 ms.
        from .ledger import KernelLedger

        self.ledger = KernelLedger(store)
        self.presence = Presence()
        self.recorder = Recorder(
            settings.data_dir / OVERFLOW,
            self._changed,
            max_bytes=settings.cell_output_bytes,
            max_outputs=settings.cell_outputs,
            heard=self._heard,
        )
        self.recovering = journals.is_recovering
        self.limits = limits
        self._journals = journals
        #: why kernels of this machine are not kept, though the settings ask for it
        self.not_kept: list[str] = []
        #: called in the event loop when a run started or ended
        self.run_listeners: list[Callable[[str], None]] = []
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._acked: dict[str, tuple[str, int]] = {}
        self._records_came = asyncio.Event()

    async def list_executions(self, kernel_id: str, query: ExecutionsQuery) -> Executions:
        """Return the outputs of a kernel's cells that the saved document does not have, or that the page
        waits for."""
        self.presence.claim(kernel_id)
        recovering = self.recovering(kernel_id)
        executions, reason = await asyncio.to_thread(self._account, kernel_id, query.open.split(","))
        return Executions(
            kernel_id=kernel_id,
            recovering=recovering,
            ended=reason is not None,
            reason=reason or "",
            executions=executions,
        )

    async def execution_documented(self, kernel_id: str, msg_id: str) -> None:
        """Note that a page has an execution's outputs in its saved document; idempotent."""
        done = [
            each
            for each in await asyncio.to_thread(self.recorder.executions, kernel_id)
            if each.msg_id == msg_id
        ]
        await self.documented(kernel_id, done)

    async def read_text(self, kernel_id: str, msg_id: str, query: TextQuery) -> TextPart:
        """Return lines of the full output of a run whose cell does not show all."""
        return await asyncio.to_thread(self._read_text, kernel_id, msg_id, query)

    async def find_text(self, kernel_id: str, msg_id: str, query: TextSearch) -> TextFound:
        """Return the next line that contains a text; after the last line the search starts again."""
        return await asyncio.to_thread(self._find_text, kernel_id, msg_id, query)

    async def whole_text(self, kernel_id: str, msg_id: str) -> Text:
        """Return the full output of a run so far."""
        return (await asyncio.to_thread(self._text, kernel_id, msg_id))[0]

    def _read_text(self, kernel_id: str, msg_id: str, query: TextQuery) -> TextPart:
        text, running = self._text(kernel_id, msg_id)
        first, limit = max(0, query.offset), max(0, min(query.limit, MAX_LINES))
        return TextPart(
            first=first,
            lines=text.lines(first, limit),
            total=text.total,
            bytes=text.size,
            running=running,
            complete=text.is_complete,
        )

    def _find_text(self, kernel_id: str, msg_id: str, query: TextSearch) -> TextFound:
        text, _running = self._text(kernel_id, msg_id)
        return TextFound(line=text.find(query.text[:1000], query.offset) if query.text else None)

    def _text(self, kernel_id: str, msg_id: str) -> tuple[Text, bool]:
        text, running = self.recorder.text(kernel_id, msg_id)
        if text is None:
            raise NotFound(
                "The full output of this cell was removed.",
                hint="GenOps Lab keeps it for 30 days on the machine of the Lab that ran the cell, "
                "until the cell runs again.",
            )
        return text, running

    async def documented(self, kernel_id: str, executions: Sequence[Execution]) -> None:
        """Note that the saved document has these runs: the journal may drop them."""
        await asyncio.to_thread(self.recorder.documented, kernel_id, executions)
        incarnation, cursor = await asyncio.to_thread(self.recorder.cursor, kernel_id)
        await asyncio.to_thread(self.ledger.change, kernel_id, incarnation=incarnation, documented_seq=cursor)
        await self.advance(kernel_id)

    async def advance(self, kernel_id: str) -> None:
        """Acknowledge what is no longer needed."""
        cursor = await asyncio.to_thread(self.recorder.cursor, kernel_id)
        if cursor == self._acked.get(kernel_id, ("", 0)):
            return
        self._acked[kernel_id] = cursor
        self._journals.acknowledge(kernel_id, *cursor)

    async def forget(self, kernel_id: str) -> None:
        """Drop all of a kernel."""
        await asyncio.to_thread(self.recorder.forget, kernel_id)
        await asyncio.to_thread(self.ledger.forget, kernel_id)
        self._acked.pop(kernel_id, None)
        self.presence.forget(kernel_id)
        self._events.emit(EVENT, kernel_id)

    async def acknowledging(self) -> None:
        """Acknowledge messages that need no document, until cancelled."""
        while True:
            await self._records_came.wait()
            await asyncio.sleep(ACK_EVERY_S)
            self._records_came.clear()
            for kernel_id in await asyncio.to_thread(self.recorder.kernels):
                await self.advance(kernel_id)

    def tell(self, kernel_id: str) -> None:
        """Notify pages that a kernel's outputs have changed (in the event loop)."""
        self._events.emit(EVENT, kernel_id)
        for each in self.run_listeners:
            each(kernel_id)

    async def close(self) -> None:
        """Stop recording."""
        self.recorder.close()

    def _account(self, kernel_id: str, open_runs: Sequence[str]) -> tuple[list[Execution], str | None]:
        found = self.recorder.executions(kernel_id, open_runs, encoded=True)
        return found, self.recorder.end_of(kernel_id)

    def _heard(self) -> None:
        if not self._records_came.is_set() and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._records_came.set)

    def _changed(self, kernel_id: str) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.tell, kernel_id)
