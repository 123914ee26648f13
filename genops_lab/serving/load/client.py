"""Send requests over kept connections, and note when the parts of each answer arrive."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httptools

#: Most connections. Further requests wait; their time counts from when they were due.
CONNECTIONS = 200


@dataclass
class Sent:
    """A request: when it was due, sent, answered; times of the event loop. ``failure`` says what went wrong."""

    due: float
    step: int
    body: bytes
    sent: float = 0.0
    first: float = 0.0
    ended: float = 0.0
    status: int = 0
    failure: str = ""
    chunks: list[float] = field(default_factory=list)
    streamed: bool = False


class Client:
    """Connections to one address. Each has one request at a time."""

    def __init__(self, url: str, path: str, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._host, self._port = parts.hostname, parts.port or 80
        head = [f"POST {parts.path.rstrip('/')}{path} HTTP/1.1", f"Host: {parts.netloc}"]
        self._head = "\r\n".join([*head, *(f"{name}: {value}" for name, value in headers.items())]).encode(
            "latin-1"
        )
        self._idle: list[Connection] = []
        self._open = 0
        self._waiting: deque[Sent] = deque()
        self.loop = asyncio.get_running_loop()
        self.unanswered = 0

    def send(self, request: Sent) -> None:
        """Send a request as soon as there is a connection for it."""
        self.unanswered += 1
        if self._idle:
            self._write(self._idle.pop(), request)
        elif self._open < CONNECTIONS:
            self._open += 1
            self.loop.create_task(self._connect(request))
        else:
            self._waiting.append(request)

    async def _connect(self, request: Sent) -> None:
        try:
            _, connection = await self.loop.create_connection(
                lambda: Connection(self), self._host, self._port
            )
        except OSError as error:
            self._open -= 1
            self.over(request, failure=f"cannot connect: {error.strerror or error}")
            return
        self._write(connection, request)

    def _write(self, connection: Connection, request: Sent) -> None:
        request.sent = self.loop.time()
        head = b"%b\r\nContent-Length: %d\r\n\r\n" % (self._head, len(request.body))
        connection.ask(request, head + request.body)

    def over(self, request: Sent, failure: str = "") -> None:
        """Note the end of a request."""
        if not request.ended:
            request.ended, request.failure = self.loop.time(), failure
            self.unanswered -= 1

    def free(self, connection: Connection) -> None:
        """Take the next request for a connection."""
        while self._waiting:
            request = self._waiting.popleft()
            if not request.ended:
                self._write(connection, request)
                return
        self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        if self._waiting:
            self._open += 1
            self.loop.create_task(self._connect(self._waiting.popleft()))


class Connection(asyncio.Protocol):
    """One connection, and the answer that it reads."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._request: Sent | None = None
        self._parser: Any = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, request: Sent, data: bytes) -> None:
        """Send a request on this connection."""
        self._request = request
        self._parser = httptools.HttpResponseParser(self)
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self._request is None:
            self.transport.abort()
            return
        if not self._request.first:
            self._request.first = self._client.loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._client.over(self._request, f"no HTTP: {error}")
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser."""
        if name.lower() == b"content-type" and self._request is not None:
            self._request.streamed = value.startswith(b"text/event-stream")

    def on_body(self, data: bytes) -> None:
        """Called by the parser: parts of a stream are timed."""
        if self._request is not None and self._request.streamed and b"data:" in data:
            self._request.chunks += [self._client.loop.time()] * data.count(b"data:")

    def on_message_complete(self) -> None:
        """Called by the parser."""
        request, self._request = self._request, None
        if request is None:
            return
        request.status = self._parser.get_status_code()
        self._client.over(request, "" if request.status < 400 else f"HTTP {request.status}")
        if self._parser.should_keep_alive():
            self._client.loop.call_soon(self._client.free, self)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._request is not None:
            self._client.over(self._request, "the connection was lost")
        self._client.lost(self)
