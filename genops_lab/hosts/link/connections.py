"""Hold all connections of a process, in one thread with a loop of its own.

Urgent work in that loop (bytes between kernels and their clients) never waits for the process's other loops,
and they never wait for it.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import logging
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from .connection import HostConnection, Opener
from .listeners import Listeners
from .questions import Asker, Question, is_present
from .route import HostRef, Route
from .state import LinkDown, LinkState

T = TypeVar("T")
log = logging.getLogger("genops_lab")

_CLOSE_S = 3.0


class HostConnections:
    """Made in any thread; its own thread starts with the first work. Ends with :meth:`close`, or with the
    process.

    ``folder`` is GenOps' data directory. ``opener`` replaces the function that opens streams (tests).
    """

    def __init__(self, folder: Path, asker: Asker, *, opener: Opener | None = None) -> None:
        self.folder = folder
        self._asker = asker
        self._opener = opener
        self._links: dict[HostRef, HostConnection] = {}
        self._watchers: Listeners[[str, LinkState]] = Listeners("links")
        self._closers: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def asker(self) -> Asker:
        """The asker of questions; a new one counts for later questions."""
        return self._asker

    @asker.setter
    def asker(self, asker: Asker) -> None:
        self._asker = asker

    @property
    def closed(self) -> bool:
        """Return whether :meth:`close` was called."""
        return self._closed

    async def ask(self, question: Question) -> str | None:
        """Pass a question to the present asker."""
        return await self._asker.ask(question)

    # From any thread

    def link(self, route: Route) -> HostConnection:
        """Return the connection of the route's host without connecting. A changed route counts from the next
        attempt on."""
        with self._lock:
            link = self._links.get(route.ref)
            if link is None:
                link = self._links[route.ref] = HostConnection(route, self.folder, self, self._opener)
                link.watch(lambda state: self._watchers.tell(route.target, state))
            link.route = route
            return link

    def known(self) -> list[HostConnection]:
        """Return all connections that :meth:`link` has made."""
        with self._lock:
            return list(self._links.values())

    def forget(self, target: str) -> None:
        """Drop the connections of a removed target, and end them."""
        with self._lock:
            links = [self._links.pop(ref) for ref in list(self._links) if ref.target == target]
        for link in links:
            self.submit(link.down())

    def drop(self, link: HostConnection) -> None:
        """Drop the connection of a host that no longer exists."""
        with self._lock:
            if self._links.get(link.route.ref) is link:
                del self._links[link.route.ref]

    def watch_all(self, on_change: Callable[[str, LinkState], None]) -> Callable[[], None]:
        """Call ``on_change(target, state)`` in the connections' thread at each change, also for later connections;
        return a function that stops this."""
        return self._watchers.add(on_change)

    def at_close(self, closer: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run this in the loop before the connections close."""
        self._closers.append(closer)

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start a coroutine in the connections' loop."""
        try:
            loop = self._running_loop()
        except LinkDown:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(self._attended(work), loop)

    async def _attended(self, work: Coroutine[Any, Any, T]) -> T:
        is_present(self, self.folder)
        return await work

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the connections' loop and wait for it in the caller's; a cancel reaches it."""
        if asyncio.get_running_loop() is self._loop:
            return await work
        return await asyncio.wrap_future(self.submit(work))

    def soon(self, call: Callable[[], None]) -> None:
        """Call this in the loop; do nothing once the loop has ended."""
        loop = self._loop
        if loop is not None and not self._closed:
            loop.call_soon_threadsafe(call)

    def close(self) -> None:
        """End all connections and the thread; kernels on hosts keep running.

        Takes seconds at most; harmless when repeated. Not to be called in the connections' loop.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            loop, thread = self._loop, self._thread
        atexit.unregister(self.close)
        if loop is None or thread is None:
            return
        ending = asyncio.run_coroutine_threadsafe(self._end(), loop)
        try:
            ending.result(_CLOSE_S)
        except concurrent.futures.TimeoutError:
            log.warning("Connections did not end within %.0f s; their processes end with this one.", _CLOSE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_CLOSE_S)

    # The thread

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                raise LinkDown(
                    "The connections of this process are closed.", hint="Restart JupyterLab's server."
                )
            if self._loop is None:
                self._loop = asyncio.SelectorEventLoop()
                self._thread = threading.Thread(
                    target=self._serve, args=(self._loop,), name="genops-links", daemon=True
                )
                self._thread.start()
                atexit.register(self.close)
            return self._loop

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    async def _end(self) -> None:
        for closer in self._closers:
            await closer()
        with self._lock:
            links = list(self._links.values())
        await asyncio.gather(*(link.down() for link in links))
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=1.0)
