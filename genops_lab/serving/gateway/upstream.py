"""Keep connections to scoring processes, and read their answers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import httptools

from .framing import MAX_ANSWER_HEAD, Framing
from .routes import Route, Upstream

if TYPE_CHECKING:
    from .exchange import Exchange

CONNECT_S = 3.0
#: A process that took no connection is tried after others for so long.
REFUSES_S = 1.0

Endpoint = tuple[str, int, str]


class UpstreamConnection(asyncio.Protocol):
    """A connection to a scoring process, with one request at a time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._exchange: Exchange | None = None
        self.transport: asyncio.Transport = None  # type: ignore[assignment]
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def send(self, exchange: Exchange, message: bytes, body: list[bytearray]) -> None:
        """Send a request."""
        self._exchange = exchange
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._framing = Framing()
        self._interim = self._framed = self._begun = self._ended = self._surplus = self._lasts = False
        self.transport.write(message if not body else b"".join((message, *body)))

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:  # an idle connection says nothing
            self.transport.abort()
            return
        self._framing.arrived(len(data))
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._exchange = None
            self.transport.abort()
            exchange.broken()
            return
        if self._exchange is not exchange:
            return  # it was abandoned meanwhile
        if self._framing.is_over(MAX_ANSWER_HEAD):
            self._exchange = None
            self.transport.abort()
            exchange.unreadable()
            return
        if self._ended:
            self._end(exchange)
        else:
            exchange.flush()

    # httptools calls these ------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._surplus = self._ended

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._begun:
            self._framing.trailer(name, value)
        else:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        self._interim = 100 <= status < 200
        if self._interim or self._surplus or self._exchange is None:
            return
        names = {name for name, _ in self._headers}
        self._framed = bool(names & {b"content-length", b"transfer-encoding"}) or status in (204, 304)
        self._begun = True
        self._framing.head_ended()  # interim answers count with the head
        self._lasts = self._parser.should_keep_alive()  # the parser forgets it at the end
        self._exchange.began(status, self._headers)
        if self._exchange.request.method == b"HEAD":
            self._ended = True

    def on_body(self, body: bytes) -> None:
        if self._exchange is not None and not self._interim and not self._surplus:
            self._framing.body(len(body))
            self._exchange.body(body)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim, self._headers = False, []
        else:
            self._ended = True

    # -----------------------------------------------------------------------------------------------------------------

    def _end(self, exchange: Exchange) -> None:
        self._exchange = None
        # The parser waits for the body that a HEAD has not: such a connection is not used again.
        if exchange.request.method == b"HEAD" or self._surplus or not self._lasts:
            self.transport.abort()
        else:
            self._pool.release(self)
        exchange.done()

    def connection_lost(self, error: Exception | None) -> None:
        self._pool.lost(self)
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if error is None and self._begun and not self._framed:
            exchange.done()  # the end of the connection is the end of such an answer
        else:
            exchange.broken()

    def abandon(self) -> None:
        """Close the connection, so that the scoring process stops its work for it."""
        self._exchange = None
        self.transport.abort()

    def pause_writing(self) -> None:
        """The body is in memory already: nothing can wait."""

    def resume_writing(self) -> None:
        """See :meth:`pause_writing`."""


class Pool:
    """The connections to one scoring process, and the requests that wait for one of them."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self._idle: deque[UpstreamConnection] = deque()
        self._open: set[UpstreamConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._waiting: deque[Exchange] = deque()
        self._idle_s = 0.0
        #: When the process last answered.
        self.answered_at = 0.0
        self._refused_at = float("-inf")
        self._closed = False

    @property
    def waiting(self) -> int:
        """The number of requests that wait."""
        return len(self._waiting)

    @property
    def at_work(self) -> int:
        """The number of requests that the process has."""
        return len(self._open) + len(self._connecting) - len(self._idle)

    @property
    def refuses(self) -> bool:
        """Whether the process took no connection just now."""
        return asyncio.get_running_loop().time() - self._refused_at < REFUSES_S

    def give(self, exchange: Exchange, route: Route) -> bool:
        """Send a request now or once a connection is free. Return False if too many wait."""
        self._idle_s = route.idle_s
        while self._idle:
            connection = self._idle.pop()
            if not connection.transport.is_closing():
                exchange.send(connection)
                return True
        if self.at_work < route.in_flight:
            self._connect(exchange)
        elif self.waiting < route.queue:
            self._waiting.append(exchange)
        else:
            return False
        return True

    def withdraw(self, exchange: Exchange) -> None:
        """Forget a request that waits."""
        if exchange in self._waiting:
            self._waiting.remove(exchange)

    def release(self, connection: UpstreamConnection) -> None:
        """Take a connection back after an answer."""
        self.answered_at = connection.idle_since = asyncio.get_running_loop().time()
        if self._closed or connection.transport.is_closing():
            connection.transport.close()
        elif self._waiting:
            self._waiting.popleft().send(connection)
        else:
            self._idle.append(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        """Forget a connection; a request that waits gets a new one."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._waiting:
            self._connect(self._waiting.popleft())

    def _connect(self, exchange: Exchange) -> None:
        task = asyncio.get_running_loop().create_task(self._connected(exchange))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connected(self, exchange: Exchange) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await asyncio.wait_for(
                loop.create_connection(
                    lambda: UpstreamConnection(self), self.upstream.host, self.upstream.port
                ),
                CONNECT_S,
            )
        except (OSError, asyncio.TimeoutError):
            self._refused_at = loop.time()
            while self._waiting:
                self._waiting.popleft().refused()
            exchange.refused()
            return
        if connection.transport.is_closing():  # the process died meanwhile
            exchange.refused()
            return
        self._open.add(connection)
        if exchange.over:
            self.release(connection)
        else:
            exchange.send(connection)

    def sweep(self, now: float) -> None:
        """Close connections that were idle for long."""
        while self._idle and now - self._idle[0].idle_since > self._idle_s:
            self._idle.popleft().transport.close()

    def close(self) -> None:
        """Close idle connections; the others end with their requests."""
        self._closed = not self._waiting
        self.close_idle()

    def close_idle(self) -> None:
        """Close idle connections, so that the next request gets a new one or is refused."""
        while self._idle:
            self._idle.popleft().transport.close()


class Pools:
    """The pools by scoring process, and those of a deployment."""

    def __init__(self) -> None:
        self._pools: dict[Endpoint, Pool] = {}
        self._of: dict[str, set[Endpoint]] = {}

    def of(self, upstream: Upstream) -> Pool:
        """Return the pool of a scoring process."""
        at = (upstream.host, upstream.port, upstream.key)
        pool = self._pools.get(at)
        if pool is None:
            pool = self._pools[at] = Pool(upstream)
        return pool

    def all(self) -> list[Pool]:
        """Return all pools."""
        return list(self._pools.values())

    def set(self, name: str, upstreams: Iterable[Upstream]) -> None:
        """Close the pools of processes that a deployment no longer has."""
        now = {(each.host, each.port, each.key) for each in upstreams}
        for gone in self._of.pop(name, set()) - now:
            pool = self._pools.pop(gone, None)
            if pool is not None:
                pool.close()
        if now:
            self._of[name] = now

    def among(self, name: str) -> list[Pool]:
        """Return the pools of a deployment."""
        return [self._pools[each] for each in self._of.get(name, ()) if each in self._pools]
