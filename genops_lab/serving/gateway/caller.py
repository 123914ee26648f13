"""Read the requests of one caller's connection, within limits of size and time."""

from __future__ import annotations

import asyncio
import socket
import struct
import traceback
from collections import deque
from typing import TYPE_CHECKING

import httptools

from .answers import Answer
from .exchange import Exchange
from .framing import MAX_FRAMING, MAX_HEAD, MAX_TRAILERS, Framing, add_part
from .request import METRICS, Request, too_large
from .shadow import shadow_of

if TYPE_CHECKING:
    from .routes import Route
    from .server import Gateway

MAX_HEADERS = 100
#: Seconds for the head of a request, for its body, and between two requests of a caller that sent a key.
HEAD_S, BODY_S, IDLE_S = 5.0, 60.0, 75.0
#: Seconds for which a caller may leave the answer unread.
SLOW_S = 60.0
#: After a refusal of an unread body: the answer would be lost if the connection closed at once.
LINGER_S = 1.0


class CallerConnection(asyncio.Protocol):
    """A connection of a caller. Requests that arrive together are answered one after the other."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._loop = gateway.loop
        self._parser = httptools.HttpRequestParser(self)
        self._reading: Request | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._target = b""
        self._framing = Framing()
        self._waiting: deque[Request] = deque()
        self._exchange: Exchange | None = None
        self._busy = False
        #: Whether the caller leaves its answers unread.
        self._full = False
        self._closing = False
        #: Whether a request of this connection had a valid key.
        self.known = False
        self.deadline = 0.0
        self.transport: asyncio.Transport = None  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.deadline = self._loop.time() + HEAD_S
        self._gateway.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._gateway.closed(self)
        self._closing = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.left()

    def eof_received(self) -> bool:
        """A caller that sends no more is taken for one that left: its request is not worked on further."""
        return False

    def data_received(self, data: bytes) -> None:
        if self._closing:  # the rest of a body that was refused
            return
        self._framing.arrived(len(data))
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(_NO_UPGRADE)
            return
        except httptools.HttpParserCallbackError:  # a fault of the gateway
            traceback.print_exc()
            self._refuse(Answer(500, "internal_error", "The gateway failed; its log has the error."))
            return
        except httptools.HttpParserError as error:
            self._refuse(Answer(400, "bad_request", f"{error}."))
            return
        if self._framing.is_over(MAX_HEAD):
            self._refuse(_HEAD_TOO_LARGE if self._framing.in_head else _FRAMING_TOO_LARGE)
        elif self._full or (self._waiting and self._busy):
            self.transport.pause_reading()

    # httptools calls these ------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._headers, self._target = [], b""
        if not self._busy and not self._full:
            self.deadline = self._loop.time() + HEAD_S

    def on_url(self, target: bytes) -> None:
        self._target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._framing.in_head:
            self._headers.append((name.lower(), value))
        else:
            self._framing.trailer(name, value)

    def on_headers_complete(self) -> None:
        self._framing.head_ended()
        parser = self._parser
        version = parser.get_http_version()
        request = self._reading = Request(
            method=parser.get_method(),
            target=self._target,
            headers=self._headers,
            http_1_1=version == "1.1",
            keep_alive=parser.should_keep_alive(),
        )
        if version not in ("1.0", "1.1"):
            request.answer = Answer(505, "bad_request", "Use HTTP 1.1.")
        elif parser.should_upgrade():
            request.answer, request.keep_alive = _NO_UPGRADE, False
        elif len(self._headers) > MAX_HEADERS:
            request.answer = _HEAD_TOO_LARGE
        elif any(b"\r" in value or b"\n" in value for _, value in self._headers):
            request.answer = Answer(400, "bad_request", "A header has more than one line.")
        else:
            request.answer = request.admit(self._gateway.routes, self._gateway.tls.host)
        if request.answer is None:
            self.known = True
            self._gateway.admitted(self)
            if request.header(b"expect").lower() == b"100-continue" and not self._busy:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self._busy and not self._full:
            self.deadline = self._loop.time() + BODY_S
        has_body = request.header(b"transfer-encoding") or request.header(b"content-length") not in (
            b"",
            b"0",
        )
        if request.answer is not None and has_body:
            request.keep_alive = False
            self._take(request)

    def on_body(self, body: bytes) -> None:
        self._framing.body(len(body))
        request = self._reading
        if request is None or request.answer is not None:
            return
        add_part(request.body, body)
        request.body_size += len(body)
        assert request.route is not None or request.target.startswith(METRICS)
        if request.route is not None and request.body_size > request.route.max_body:
            request.answer, request.keep_alive, request.body = too_large(request.route), False, []
            self._take(request)

    def on_message_complete(self) -> None:
        request, self._reading = self._reading, None
        long_trailers = self._framing.has_long_trailers
        self._framing.message_ended()
        if request is not None and not request.complete:
            if long_trailers:
                request.answer, request.keep_alive, request.body = _FRAMING_TOO_LARGE, False, []
            self._take(request)

    # -----------------------------------------------------------------------------------------------------------------

    def _take(self, request: Request) -> None:
        """Answer a request that is read as far as it must be, once those before it are answered."""
        request.complete = True
        self._waiting.append(request)
        if not self._busy:
            self._next()

    def _next(self) -> None:
        # A loop: each answer of the gateway itself ends at once.
        while self._waiting and not self._busy and not self._full and not self._closing:
            request = self._waiting.popleft()
            self._busy = True
            self.deadline = float("inf")
            request.arrived = self._loop.time()
            answer = request.answer or self._gateway.own_answer(request)
            if answer is not None:
                self.answer(request, answer)
            else:
                self._gateway.recordings.take(request)
                shadow = shadow_of(self._gateway, request)
                exchange = Exchange(self._gateway, self, request, watch=shadow.answered if shadow else None)
                self._exchange = None if exchange.over else exchange
                if shadow is not None:
                    shadow.began()

    def answer(self, request: Request, answer: Answer) -> None:
        """Give the gateway's own answer."""
        if not self._closing:
            self.write(answer.encoded(request.id, close=not request.keep_alive, http_1_1=request.http_1_1))
            self.finished(request.keep_alive, linger=request.answer is not None)

    def finished(self, keep_alive: bool, *, linger: bool = False) -> None:
        """The answer to a request is written: close, or go on with the next one."""
        self._exchange = None
        self._busy = False
        if not keep_alive or self._gateway.stopping:
            self._close(linger)
            return
        if self._full:  # resume_writing goes on
            return
        self.deadline = self._loop.time() + (IDLE_S if self.known else HEAD_S)
        if self._waiting:
            self._loop.call_soon(self._next)
        elif not self.transport.is_closing():
            self.transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.transport.write(data)

    def _refuse(self, answer: Answer) -> None:
        """Answer bytes that are no request, unless an answer before is on its way or due; then close."""
        if self._closing:
            return
        if self._exchange is None and not self._waiting:
            self.write(answer.encoded(b"", close=True))
            self._close(True)
        else:
            self.abort()

    def _close(self, linger: bool) -> None:
        self._closing = True
        if linger and self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
            self.transport.resume_reading()
            self.deadline = self._loop.time() + LINGER_S
        else:
            self.transport.close()

    def abort(self) -> None:
        """Reset the connection: the caller sees that the answer is no whole one."""
        self._closing = True
        self._exchange = None
        found = self.transport.get_extra_info("socket")
        if found is not None and self.transport.get_write_buffer_size() == 0:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def late(self) -> None:
        """The deadline has passed: nothing more is awaited from this caller."""
        if self._reading is not None and not self._busy and not self._closing:
            self._refuse(Answer(408, "timeout", "The request did not arrive in time."))
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        self._full = True
        self.deadline = self._loop.time() + SLOW_S
        if self._exchange is not None:
            self._exchange.hold()

    def resume_writing(self) -> None:
        self._full = False
        if self._busy:
            self.deadline = float("inf")
            if self._exchange is not None:
                self._exchange.go_on()
        elif not self._closing:
            self.finished(keep_alive=True)

    def check_key(self, route: Route) -> None:
        """Cut the request under way if its key was revoked: a stream may last for hours."""
        exchange = self._exchange
        if exchange is None or exchange.request.route is None or exchange.request.route.name != route.name:
            return
        key = exchange.request.key
        if key is not None and key.sha256 not in {each.sha256 for each in route.keys}:
            exchange.left()  # the scoring process stops its work for it
            self.abort()

    def stop(self) -> None:
        """Close the connection once it has no request."""
        if not self._busy and not self._waiting:
            self.transport.close()


_NO_UPGRADE = Answer(400, "bad_request", "This gateway does not change protocols.")
_FRAMING_TOO_LARGE = Answer(
    400,
    "bad_request",
    f"A chunked body may have at most {MAX_TRAILERS} trailers, and {MAX_FRAMING // 1024} KiB of trailers and "
    "extensions of chunks.",
)
_HEAD_TOO_LARGE = Answer(
    431, "bad_request", f"The head of a request may have at most {MAX_HEAD // 1024} KiB."
)
