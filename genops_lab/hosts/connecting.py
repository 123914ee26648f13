"""Connecting when a person asks for it: few targets at a time, and why one could not be is remembered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from genops_lab.core.errors import GenOpsError

if TYPE_CHECKING:
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.link.state import LinkState

    from .loop_connections import LoopConnections

#: More at once look like an attack to hosts behind one gateway, and ask too much of a person.
HANDSHAKES = 4

log = logging.getLogger("genops_lab")


class Connecting:
    """Belongs to the Lab's loop; ``changed(target)`` is told."""

    def __init__(self, connections: LoopConnections, changed: Callable[[str], None]) -> None:
        self._connections = connections
        self._changed = changed
        self._jobs: dict[str, asyncio.Task[None]] = {}
        self._handshakes = asyncio.Semaphore(HANDSHAKES)
        self._failures: dict[str, tuple[str, str]] = {}

    def begin(self, name: str, link: HostConnection) -> None:
        """Connect in the background; nothing happens where that is under way or done."""
        if name not in self._jobs and link.state.state != "up":
            self._failures.pop(name, None)
            self._jobs[name] = asyncio.create_task(self._connect(name, link))
            self._changed(name)

    async def give_up(self, name: str) -> None:
        """Connect it no more; harmless where nobody does."""
        job = self._jobs.get(name)
        if job is not None:
            job.cancel()
            await asyncio.wait([job])

    def forget(self, name: str) -> None:
        """A failure is shown no more."""
        self._failures.pop(name, None)

    async def close(self) -> None:
        """Give up everything."""
        for name in list(self._jobs):
            await self.give_up(name)

    def told(self, name: str, state: LinkState | None) -> dict[str, Any]:
        """How a target's link is, in the fields of a Target."""
        told = {} if state is None else _told(state)
        if told.get("state") in ("up", "connecting", "asking", "pending"):
            return told
        if name in self._jobs:
            return {"state": "connecting"}
        if name in self._failures:
            message, hint = self._failures[name]
            return {**told, "state": "failed", "message": message, "hint": hint}
        return told

    async def _connect(self, name: str, link: HostConnection) -> None:
        try:
            async with self._handshakes:
                await self._connections.run(link.up())
        except GenOpsError as error:
            self._failures[name] = (error.message, error.hint)
        except Exception as error:  # a task's end is its report; nobody awaits it
            log.error("The target %s could not be connected.", name, exc_info=error)
            self._failures[name] = (
                f"{name} could not be connected: {type(error).__name__}.",
                "The server's log has the details.",
            )
        finally:
            del self._jobs[name]
            self._changed(name)


def _told(state: LinkState) -> dict[str, Any]:
    return {
        "state": state.state,
        "since": state.since,
        "rtt_s": state.rtt_s,
        "message": state.message,
        "hint": state.hint,
        "retry_at": state.retry_at,
        "carrier_used": state.carrier if state.state == "up" else "",
    }
