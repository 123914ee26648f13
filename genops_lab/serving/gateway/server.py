"""Listen on the stable port, know all connections, and end when no scoring process is left."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import resource
import signal
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from .answers import Answer
from .caller import CallerConnection
from .control import Control
from .keys import KeyUses, RateLimits, find_key
from .metrics import Metrics
from .recordings import Recordings
from .replicas import Replicas
from .request import FEEDBACK, METRICS, Request
from .rollouts import Rollouts
from .routes import Route, Routes
from .samples import Samples
from .tls import TlsPort
from .tokens import TokenUsage
from .upstream import Pools

#: Most connections that have not sent a key, and most in all.
MAX_STRANGERS = 128
MAX_CONNECTIONS = 2048
FILES = 2 * MAX_CONNECTIONS + 128
BACKLOG = 256
SWEEP_S = 0.5
PORT_S = 0.5
#: How long a gateway without any scoring process stays, and how often it looks for one.
EMPTY_S = 30.0
#: How long it stays after its last route was removed.
LAST_S = 1.0
LOOK_S = 5.0
#: A change that was sent before a removal does not arrive later than this.
LATE_S = 60.0
GRACE_S = 10.0


def log(line: str) -> None:
    """Write a line to the log; a full disk must not end the answers."""
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


class Gateway:
    """The routes, the connections and the life of the process."""

    def __init__(self, folder: Path, routes: Path, *, empty_s: float = EMPTY_S) -> None:
        self._folder = folder
        self._empty_s = empty_s
        self.routes = Routes()
        self.pools = Pools()
        self.metrics = Metrics()
        self.tokens = TokenUsage()
        self.port = 0
        #: The port that another program has; 0 if the gateway listens.
        self.waits_for = 0
        self.stopping = False
        self._limits = RateLimits()
        self.key_uses = KeyUses()
        self._strangers: dict[CallerConnection, None] = {}
        self._known: dict[CallerConnection, None] = {}
        self._stop = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.recordings = Recordings(self.loop.time)
        self.samples = Samples(self.loop.time, log)
        self._began = self.loop.time()
        self.tls = TlsPort(folder / "spec.json", lambda: CallerConnection(self), log)
        self.rollouts = Rollouts(routes, self._reroute, log)
        #: The routes as they were given, without what follows from rollouts.
        self._given: dict[str, Route] = {}
        self.replicas = Replicas(routes, self.pools, self.routes.all, self._set_pools, log)

    @property
    def runs_s(self) -> float:
        """For how long the gateway has run."""
        return self.loop.time() - self._began

    # Routes ---------------------------------------------------------------------------------------------------------

    def set_route(self, route: Route) -> bool:
        """Set a route for all requests that arrive from now on. Return False if a newer one is known."""
        applied = self.routes.set(self.rollouts.applied(route))
        if applied:
            self._given[route.name] = route
            self._set_pools(route.name)
            for each in self._known:
                each.check_key(route)
            self._limits.forget(route.name, route.keys)
            self.key_uses.forget(route.name, route.keys)
            self.tokens.forget(route.name, route.keys)
        return applied

    def _reroute(self, name: str) -> None:
        """Give a deployment the weights that follow from its rollout now."""
        if name in self._given and self.routes.get(name) is not None:
            self.routes.set(self.rollouts.applied(self._given[name]))

    def _set_pools(self, name: str) -> None:
        route = self.routes.get(name)
        if route is not None:
            self.pools.set(name, [*route.revisions, *self.replicas.of(name)])

    def remove_route(self, name: str, generation: int) -> bool:
        """Remove a route. Return False if a newer one is known."""
        applied = self.routes.remove(name, generation)
        if applied:
            self.pools.set(name, ())
            self.rollouts.remove(name)
            self._given.pop(name, None)
            self._limits.forget(name, ())
            self.key_uses.forget(name, ())
            self.metrics.forget(name)
            self.tokens.drop(name)
            self.recordings.end(name)
            self.samples.drop(name)
            self.loop.call_later(LATE_S, self.routes.forget, name)
            if not self.routes.all():
                self.loop.call_later(LAST_S, self._end_without_routes)
        return applied

    def _end_without_routes(self) -> None:
        if not self.routes.all():
            self._stop.set()

    def read_routes(self, files: Iterable[Path]) -> None:
        """Read the desired state, which a gateway that was killed left."""
        self.rollouts.read()
        for path in files:
            try:
                self.set_route(Route.decode(json.loads(path.read_bytes())))
            except (OSError, ValueError) as error:
                log(f"Cannot read {path.name} of {path.parent.name}: {error}")

    # Requests -------------------------------------------------------------------------------------------------------

    def own_answer(self, request: Request) -> Answer | None:
        """Return the answer that needs no scoring process: the metrics, or the limit of a key."""
        if request.target.partition(b"?")[0] == METRICS:
            authorization = request.header(b"authorization")
            names = [each.name for each in self.routes.all() if find_key(authorization, each.keys)]
            text = self.metrics.text(
                names, self._waiting, self._at_work, self.replicas.figures
            ) + self.tokens.text(names)
            return Answer(200, "", text, content_type="text/plain; version=0.0.4; charset=utf-8")
        assert request.route is not None and request.key is not None
        now = self.loop.time()
        self.key_uses.used(request.route, request.key, now)
        wait_s = self._limits.wait_s(request.route, request.key, now)
        text = f"The key {request.key.name!r} may send {request.key.limit} requests a minute."
        if not wait_s:
            wait_s = self.tokens.wait_s(request.route, request.key, now)
            text = f"The key {request.key.name!r} may use {request.key.tokens} tokens a minute."
        if not wait_s:
            return self._feedback(request) if request.path.partition(b"?")[0] == FEEDBACK else None
        self.metrics.count(request.route.name, 0, 429, 0.0)
        return Answer(429, "too_many_requests", text, retry_after_s=wait_s)

    def _feedback(self, request: Request) -> Answer:
        assert request.route is not None
        if request.method != b"POST":
            return Answer(405, "method_not_allowed", "Send feedback by POST.")
        status, reason, found = self.rollouts.feedback(request.route.name, b"".join(request.body))
        if status != 200:
            return Answer(status, reason, found["message"])
        return Answer(200, "", json.dumps(found), content_type="application/json; charset=utf-8")

    def _waiting(self, name: str) -> int:
        return sum(each.waiting for each in self.pools.among(name))

    def _at_work(self, name: str) -> int:
        return sum(each.at_work for each in self.pools.among(name))

    # Connections ----------------------------------------------------------------------------------------------------

    def opened(self, caller: CallerConnection) -> None:
        """Count a connection; close the oldest one without a key if there are too many."""
        self._strangers[caller] = None
        if len(self._strangers) > MAX_STRANGERS or len(self._strangers) + len(self._known) > MAX_CONNECTIONS:
            next(iter(self._strangers)).transport.abort()

    def admitted(self, caller: CallerConnection) -> None:
        """Count a connection as one of a caller that has a key."""
        if caller in self._strangers:
            del self._strangers[caller]
            self._known[caller] = None

    def closed(self, caller: CallerConnection) -> None:
        """Forget a connection."""
        self._strangers.pop(caller, None)
        self._known.pop(caller, None)

    @property
    def connections(self) -> list[CallerConnection]:
        """All connections of callers."""
        return [*self._strangers, *self._known]

    # The life of the process ----------------------------------------------------------------------------------------

    async def serve(self, control: Path, files: Iterable[Path]) -> None:
        """Answer requests until a signal, or until no scoring process has been there for a while."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
        if 0 < soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._stop.set)
        self.read_routes(files)
        self.replicas.look_once(self.loop.time())  # replicas that run get requests from the first one on
        socket_ = Control(self, control)
        await socket_.open()
        sweeping = asyncio.create_task(self._sweep(socket_))
        judging = asyncio.create_task(self.rollouts.look())
        scaling = asyncio.create_task(self.replicas.look())
        others = asyncio.create_task(self.tls.keep())
        looking = asyncio.create_task(self._end_when_empty())
        listening = asyncio.create_task(self._listen())
        listening.add_done_callback(lambda task: None if _listens(task) else self._stop.set())
        await self._stop.wait()
        self.stopping = True
        looking.cancel()
        scaling.cancel()
        others.cancel()
        if listening.done() and _listens(listening):
            listening.result().close()
        listening.cancel()
        socket_.remove()
        await self._drain()
        sweeping.cancel()
        judging.cancel()
        self.rollouts.write()
        log("stopped: The gateway has ended.")

    async def _drain(self) -> None:
        until = self.loop.time() + GRACE_S
        while self.connections and self.loop.time() < until:
            for each in self.connections:
                each.stop()
            await asyncio.sleep(0.05)
        for each in self.connections:
            each.transport.abort()

    async def _listen(self) -> asyncio.AbstractServer:
        """Listen on the port of before. If another program has it, wait for it while deployments need it."""
        path = self._folder / "port"
        try:
            before = int(path.read_text())
        except (OSError, ValueError):
            before = 0
        while True:
            try:
                listener = _bound(before)
                break
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                if not self.routes.all():
                    before = 0
                    continue
                if self.waits_for != before:
                    log(f"waiting: another program uses port {before}.")
                self.waits_for = before
                await asyncio.sleep(PORT_S)
        server = await self.loop.create_server(lambda: CallerConnection(self), sock=listener, backlog=BACKLOG)
        port = int(listener.getsockname()[1])
        if port != before:
            try:
                _write(path, str(port))
            except OSError as error:  # the next gateway gets another port
                log(f"Cannot write the port: {error}")
        self.port, self.waits_for = port, 0
        log(f"running: http://127.0.0.1:{port}")
        return server

    async def _sweep(self, control: Control) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self.loop.time()
            for caller in self.connections:
                if caller.deadline < now:
                    caller.late()
            for pool in self.pools.all():
                pool.sweep(now)
            self.recordings.forget_old()
            self.samples.forget_old()
            await control.keep()

    async def _end_when_empty(self) -> None:
        seen = self.loop.time()
        while self.loop.time() - seen < self._empty_s:
            await asyncio.sleep(min(LOOK_S, self._empty_s / 2))
            for route in self.routes.all():
                if self._is_alive(route):
                    seen = self.loop.time()
                    break
        log("ending: no scoring process is left.")
        self._stop.set()

    def _is_alive(self, route: Route) -> bool:
        now = self.loop.time()
        return any(
            now - self.pools.of(each).answered_at < LOOK_S or _is_listened_to(each.host, each.port)
            for each in [*route.revisions, *self.replicas.of(route.name)]
        )


def _is_listened_to(host: str, port: int) -> bool:
    """Return whether a process listens. A connection would wake one that sleeps, so the port is tried for ourselves."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _listens(task: asyncio.Task[asyncio.AbstractServer]) -> bool:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log(f"failed: {error}")
    return not task.cancelled() and error is None


def _bound(port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only if the protocol is named; with Nagle an answer takes 44 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text)
    temporary.chmod(0o600)
    temporary.replace(path)
