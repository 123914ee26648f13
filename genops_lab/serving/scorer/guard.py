"""Check each request before the model sees it; count the requests to the model."""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from .answer import Answer, refusal

if TYPE_CHECKING:
    from .endpoints import Endpoints
    from .lease import Lease
    from .loopback import Connections
    from .report import Report

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_BODY_BYTES = 64 * 1024 * 1024
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_TOO_LARGE = refusal(
    413, "REQUEST_TOO_LARGE", f"A request body may have at most {MAX_BODY_BYTES // 2**20} MiB."
)


class RequestGuard:
    """The ASGI app of the process: host, origin, key and size of each request, then its answer."""

    def __init__(
        self,
        endpoints: Endpoints,
        key: str,
        report: Report,
        lease: Lease,
        timeout_s: float,
        connections: Connections,
    ) -> None:
        self._endpoints = endpoints
        self._authorization = f"Bearer {key}".encode()
        self._report = report
        self._lease = lease
        self._timeout_s = timeout_s
        self._connections = connections
        self.in_flight = 0
        self.changed = asyncio.Event()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])
        refused = self._refusal(headers)
        if refused is not None:
            await _send(send, refused)
            return
        self._connections.admit(scope["client"])
        method, path = scope["method"], scope["path"]
        if not self._endpoints.scores(method, path):
            await _send(send, self._endpoints.look(method, path))
            return
        self.in_flight += 1
        try:
            await self._score(path, headers, receive, send)
        finally:
            self.in_flight -= 1

    def _refusal(self, headers: dict[bytes, bytes]) -> Answer | None:
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin")
        if not _is_loopback(host) or (
            origin is not None and not _is_loopback(origin.decode("latin-1"), origin=True)
        ):
            return refusal(
                403, "PERMISSION_DENIED", "Use localhost or 127.0.0.1 as the host and origin of requests."
            )
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._authorization):
            return refusal(401, "UNAUTHENTICATED", "Send the deployment's key: Authorization: Bearer <key>.")
        if int(headers.get(b"content-length", b"0")) > MAX_BODY_BYTES:
            return _TOO_LARGE
        return None

    async def _score(self, path: str, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        timeout_s = min(self._timeout_s, _time_left(headers))
        status = 500
        try:
            body = await _whole_body(receive)
            if body is None:
                answer = _TOO_LARGE
            else:
                content_type = headers.get(b"content-type", b"").decode("latin-1")
                answer = await self._endpoints.score(path, body, content_type, timeout_s)
            status = answer.status
            await _send(send, answer)
        except TimeoutError:
            status = 504
            text = f"The model did not answer within {timeout_s:.0f} s."
            await _send(send, refusal(status, "DEADLINE_EXCEEDED", text))
        finally:
            self._lease.used()
            self._report.requests += 1
            self._report.errors += status >= 400
            self._report.latencies_ms.append((time.perf_counter() - began) * 1000)
            self.changed.set()


def _time_left(headers: dict[bytes, bytes]) -> float:
    """Return the seconds for which the caller still waits, as the gateway says."""
    try:
        return max(float(headers.get(b"x-request-timeout", b"inf")), 0.0)
    except ValueError:
        return math.inf


def _is_loopback(text: str, *, origin: bool = False) -> bool:
    if origin:
        scheme, _, text = text.partition("://")
        if scheme not in ("http", "https"):
            return False
    name, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        name = text
    return name.lower() in LOOPBACK


async def _whole_body(receive: Receive) -> bytes | None:
    """Return the body, or None if it is too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return b""
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def _send(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
