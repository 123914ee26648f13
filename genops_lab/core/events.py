"""Emit events ``{kind, id, revision}``. An event has no content: the client fetches the object."""

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
        "title": "GenOps Lab: a change",
        "description": "Names the object that changed and counts the changes of its kind. The event has no content, "
        "because all subscribers of the server see it.",
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
    """Count changes in the store and pass them to listeners, such as the Jupyter event logger.

    Call ``emit`` only from the event loop. Equal changes within 50 ms become one event.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._listeners: list[Callable[[str, str, int], None]] = []
        #: Changes that wait for equal ones, and all whose listeners were not called yet.
        self._due: set[tuple[str, str]] = set()
        self._announcing: set[asyncio.Task[None]] = set()

    def listen(self, listener: Callable[[str, str, int], None]) -> None:
        """Call ``listener(kind, id, revision)`` for each change."""
        self._listeners.append(listener)

    def emit(self, kind: str, id: str = "") -> None:
        """Announce a change of ``id`` of ``kind``; an empty id means several objects."""
        key = (kind, id)
        if key not in self._due:
            self._due.add(key)
            task = asyncio.get_running_loop().create_task(self._count(kind, id))
            self._announcing.add(task)
            task.add_done_callback(self._announcing.discard)

    async def _count(self, kind: str, id: str) -> None:
        try:
            await asyncio.sleep(0.05)
        finally:
            self._due.discard((kind, id))
        revision = await asyncio.to_thread(self._store.touch, kind)
        self.announce(kind, id, revision)

    def announce(self, kind: str, id: str, revision: int) -> None:
        """Call the listeners for a change that is already counted, such as one of another process."""
        for listener in self._listeners:
            listener(kind, id, revision)

    async def close(self) -> None:
        """Wait until all pending changes are announced."""
        await asyncio.gather(*self._announcing, return_exceptions=True)
