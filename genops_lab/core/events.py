"""Events say that something changed, never what: ``{kind, id, revision}``; the client fetches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .store import Store

SCHEMA_ID = "https://events.genops-lab.dev/changed/v1"
log = logging.getLogger("genops_lab")


def schema(kinds: Iterable[str]) -> dict[str, Any]:
    """Return the JSON Schema of events, as Jupyter's event logger takes it."""
    return {
        "$id": SCHEMA_ID,
        "version": "1",
        "title": "GenOps Lab: something changed",
        "description": "Names what changed and counts its changes. It carries no content: every subscriber of the "
        "server sees it.",
        "type": "object",
        "properties": {
            "kind": {"type": "string", "enum": list(kinds)},
            "id": {"type": "string"},
            "revision": {"type": "integer"},
        },
        "required": ["kind", "id", "revision"],
        "additionalProperties": False,
    }


class EventBus:
    """Counts changes in the store and tells them to listeners (the Jupyter event logger is one).

    ``emit`` may be called from the event loop only. A burst of equal changes within 50 ms becomes one event.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: list[Callable[[str, str, int], None]] = []
        #: Changes that wait for equal ones, and all that are on their way to the listeners.
        self._due: set[tuple[str, str]] = set()
        self._telling: set[asyncio.Task[None]] = set()
        #: the revisions that this process has told already
        self.told: dict[str, int] = {}

    def listen(self, listener: Callable[[str, str, int], None]) -> None:
        """Call ``listener(kind, id, revision)`` for each change."""
        self._listeners.append(listener)

    def emit(self, kind: str, id: str = "") -> None:
        """Tell that ``id`` of ``kind`` changed (an empty id: some of them)."""
        key = (kind, id)
        if key not in self._due:
            self._due.add(key)
            task = asyncio.get_running_loop().create_task(self._tell(kind, id))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _tell(self, kind: str, id: str) -> None:
        try:
            await asyncio.sleep(0.05)
        finally:
            self._due.discard((kind, id))
        revision = await asyncio.to_thread(self._store.touch, kind)
        self.announce(kind, id, revision)

    def announce(self, kind: str, id: str, revision: int) -> None:
        """Tell listeners a change that is counted already (by another process, say)."""
        self.told[kind] = max(revision, self.told.get(kind, 0))
        for listener in self._listeners:
            listener(kind, id, revision)

    async def close(self) -> None:
        """Let the changes that are due be told."""
        await asyncio.gather(*self._telling, return_exceptions=True)
