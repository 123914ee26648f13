"""Give the Lab's event loop access to the connections of this process."""

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
    from genops_lab.hosts.link.route import HostRef, Route
    from genops_lab.hosts.link.state import LinkState

T = TypeVar("T")
_NEAREST = ("up", "asking", "connecting", "pending", "down", "failed", "idle")

#: Connection attempts at once. More look like an attack to hosts behind one gateway, and ask one person too
#: many questions.
HANDSHAKES = 4

log = logging.getLogger("genops_lab")


class LoopConnections(Service):
    """The connections by host, also those that kernels' starts made. Connections live on a loop of their own."""

    def __init__(self, links: HostConnections) -> None:
        self.links = links
        self._changed: Listeners[[str]] = Listeners("connections")
        self._loop = asyncio.get_running_loop()
        self._unwatch = links.watch_all(self._state_changed)

    def watch(self, changed: Callable[[str], None]) -> Callable[[], None]:
        """Call ``changed(target)`` on this object's loop when a connection's state changes; return a function
        that stops this."""
        return self._changed.add(changed)

    def link(self, route: Route) -> HostConnection:
        """Return the connection of a target's host without connecting."""
        return self.links.link(route)

    def states(self) -> dict[str, LinkState]:
        """Return the state of each wanted target: that of its host which is nearest to being up."""
        found: dict[str, LinkState] = {}
        for link in self.links.known():
            known = found.get(link.route.target)
            if known is None or _NEAREST.index(link.state.state) < _NEAREST.index(known.state):
                found[link.route.target] = link.state
        return found

    def of(self, target: str) -> list[HostConnection]:
        """Return the wanted connections of a target's hosts."""
        return [link for link in self.links.known() if link.route.target == target]

    def up_of(self, target: str) -> list[HostConnection]:
        """Return the connections of a target's hosts that are up now."""
        return [link for link in self.of(target) if link.state.state == "up"]

    def is_up(self, target: str) -> bool:
        """Return whether a host of the target is connected now."""
        return bool(self.up_of(target))

    def up_links(self) -> list[HostConnection]:
        """Return the connections of targets that are up now, without connecting."""
        known = self.links.known()
        return [link for link in known if link.state.state == "up" and link.route.target != HERE.target]

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the connections' own loop."""
        return await self.links.run(work)

    async def reach(self, link: HostConnection, handle: TaskHandle) -> None:
        """Connect for a long task.

        In the Lab where a person started the task, the person is asked. In a later Lab, a login that asks
        something makes the task wait until the person connects. Raises what the connection raises.
        """

        def waits(error: GenOpsError) -> None:
            words = f"Waiting for you to connect {link.route.target}. {error.message}"
            self._loop.call_soon_threadsafe(handle.progress, words, handle.task.progress)

        await self.run(link.up_unasked(waits) if handle.taken_over else link.up())

    async def disconnect(self, target: str) -> None:
        """Disconnect a target until somebody connects; harmless when it is not connected."""
        for link in self.of(target):
            if link.state.state != "idle":
                await self.run(link.down())

    def forget(self, target: str) -> None:
        """Drop the connections of a removed target."""
        if self.of(target):
            self.links.forget(target)

    def _state_changed(self, target: str, _state: LinkState) -> None:
        # Connections notify from their own thread; the Lab's loop may have closed before them.
        if target != HERE.target and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.tell, target)

    async def close(self) -> None:
        """Close all connections; kernels on hosts keep running."""
        self._unwatch()
        await asyncio.to_thread(self.links.close)


class Connecting:
    """Connects targets in the background. Belongs to the Lab's loop; calls ``changed(target)``."""

    def __init__(self, connections: LoopConnections, changed: Callable[[str], None]) -> None:
        self._connections = connections
        self._changed = changed
        self._jobs: dict[HostRef, asyncio.Task[None]] = {}
        self._handshakes = asyncio.Semaphore(HANDSHAKES)
        self._failures: dict[str, tuple[str, str]] = {}

    def begin(self, link: HostConnection) -> None:
        """Connect in the background; do nothing where the target is connected or connecting."""
        host = link.route.ref
        if host not in self._jobs and link.state.state != "up":
            self._failures.pop(host.target, None)
            self._jobs[host] = asyncio.create_task(self._connect(host, link))
            self._changed(host.target)

    async def give_up(self, name: str) -> None:
        """Stop connecting a target; harmless where no attempt runs."""
        jobs = [job for host, job in self._jobs.items() if host.target == name]
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs)

    def forget(self, name: str) -> None:
        """Show a target's failure no more."""
        self._failures.pop(name, None)

    async def close(self) -> None:
        """Stop all attempts."""
        for host in list(self._jobs):
            await self.give_up(host.target)

    def link_fields(self, name: str, state: LinkState | None) -> dict[str, Any]:
        """Return the state of a target's connection as fields of a Target."""
        link_fields = {} if state is None else link_words(state)
        if link_fields.get("state") in ("up", "connecting", "asking", "pending"):
            return link_fields
        if any(host.target == name for host in self._jobs):
            return {"state": "connecting"}
        if name in self._failures:
            message, hint = self._failures[name]
            return {**link_fields, "state": "failed", "message": message, "hint": hint}
        return link_fields

    async def _connect(self, host: HostRef, link: HostConnection) -> None:
        name = host.target
        try:
            async with self._handshakes:
                await self._connections.run(link.up())
        except GenOpsError as error:
            self._failures[name] = (error.message, error.hint)
        except Exception as error:  # the task's result is its report; nobody awaits it
            log.error("The connection to the target %s failed.", name, exc_info=error)
            self._failures[name] = (
                f"The connection to {name} failed: {type(error).__name__}.",
                "The server's log has the details.",
            )
        finally:
            del self._jobs[host]
            self._changed(name)


def link_words(state: LinkState) -> dict[str, Any]:
    """Return the state of a connection as fields of a Target."""
    return {
        "state": state.state,
        "since": state.since,
        "rtt_s": state.rtt_s,
        "message": state.message,
        "hint": state.hint,
        "retry_at": state.retry_at,
        "carrier_used": state.carrier if state.state == "up" else "",
    }
