"""The links of this process, as the Lab's event loop sees them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from genops_lab.core.errors import GenOpsError
from genops_lab.core.services import Service
from genops_lab.hosts.link.listeners import Listeners
from genops_lab.hosts.link.route import HERE

if TYPE_CHECKING:
    from genops_lab.core.tasks import TaskHandle
    from genops_lab.hosts.link.connection import HostConnection
    from genops_lab.hosts.link.connections import HostConnections
    from genops_lab.hosts.link.route import Route
    from genops_lab.hosts.link.state import LinkState

T = TypeVar("T")
_NEAREST = ("up", "asking", "connecting", "pending", "down", "failed", "idle")

#: More at once look like an attack to hosts behind one gateway, and ask too much of a person.
HANDSHAKES = 4

log = logging.getLogger("genops_lab")


class LoopConnections(Service):
    """Links by host, those that kernels' starts made too. Links live on a loop of their own."""

    def __init__(self, links: HostConnections) -> None:
        self.links = links
        self._changed: Listeners[[str]] = Listeners("connections")
        self._loop = asyncio.get_running_loop()
        self._unwatch = links.watch_all(self._told)

    def watch(self, changed: Callable[[str], None]) -> Callable[[], None]:
        """Call ``changed(target)`` on this object's loop when a link's state changes; returns what ends that."""
        return self._changed.add(changed)

    def link(self, route: Route) -> HostConnection:
        """The link of a target's host; nothing is connected by this."""
        return self.links.link(route)

    def states(self) -> dict[str, LinkState]:
        """The state of each target that somebody asked for: that of its host which is nearest to being up."""
        found: dict[str, LinkState] = {}
        for link in self.links.known():
            known = found.get(link.route.target)
            if known is None or _NEAREST.index(link.state.state) < _NEAREST.index(known.state):
                found[link.route.target] = link.state
        return found

    def is_up(self, target: str) -> bool:
        """Whether a target's link is up now."""
        state = self.states().get(target)
        return state is not None and state.state == "up"

    def up_links(self) -> list[HostConnection]:
        """The links of targets that are up now; none is connected by asking."""
        known = self.links.known()
        return [link for link in known if link.state.state == "up" and link.route.target != HERE.target]

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the links' own loop."""
        return await self.links.run(work)

    async def reach(self, link: HostConnection, handle: TaskHandle) -> None:
        """Connect for long work. A person is asked in the Lab where they began it; a later Lab has it wait until they
        connect, where that asks something. Raises what a link raises."""

        def waits(error: GenOpsError) -> None:
            words = f"Waiting for you to connect {link.route.target}. {error.message}"
            self._loop.call_soon_threadsafe(handle.progress, words, handle.task.progress)

        await self.run(link.up_unasked(waits) if handle.taken_over else link.up())

    async def disconnect(self, target: str) -> None:
        """Disconnect a target on purpose; harmless when it is not connected."""
        for link in self.links.known():
            if link.route.target == target and link.state.state != "idle":
                await self.run(link.down())

    def forget(self, target: str) -> None:
        """Drop the link of a target that is removed."""
        if any(link.route.target == target for link in self.links.known()):
            self.links.forget(target)

    def _told(self, target: str, _state: LinkState) -> None:
        # Links tell on their own thread; the Lab's loop may be gone before them.
        if target != HERE.target and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.tell, target)

    async def close(self) -> None:
        """Close all links; kernels on their hosts go on."""
        self._unwatch()
        await asyncio.to_thread(self.links.close)


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
