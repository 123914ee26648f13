"""Write the heads of HTTP messages, and the gateway's own answers in the shape of MLflow's errors."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

Headers = Iterable[tuple[bytes, bytes]]

#: Headers of one connection, which are not passed on (RFC 9110, section 7.6.1).
HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
#: Headers of scoring processes that callers get. All others are dropped: cookies, service workers, reports and
#: redirections would let a model change what a browser does, and ``X-Accel-Redirect`` what a proxy does.
#: The gateway writes length, id and revision itself.
_RETURNED = frozenset(
    {
        b"accept-ranges",
        b"age",
        b"allow",
        b"cache-control",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-range",
        b"content-type",
        b"date",
        b"deprecation",
        b"etag",
        b"expires",
        b"inference-header-content-length",  # of Open Inference Protocol's binary tensors
        b"last-modified",
        b"ratelimit",
        b"ratelimit-policy",
        b"retry-after",
        b"server-timing",
        b"traceparent",
        b"tracestate",
        b"vary",
        b"warning",
        b"x-content-type-options",
    }
)
#: Those of limits and of language models' usage.
_RETURNED_PREFIXES = (b"x-ratelimit-", b"ratelimit-", b"openai-", b"x-inference-")
_LINES = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}


@dataclass(frozen=True)
class Answer:
    """An answer that the gateway gives itself. ``reason`` is its label in the metrics."""

    status: int
    reason: str
    message: str
    retry_after_s: int = 0
    content_type: str = "application/json"

    def encoded(self, request_id: bytes, *, close: bool, http_1_1: bool = True) -> bytes:
        """Return the whole message."""
        body = self.message.encode()
        if self.content_type == "application/json":
            body = json.dumps({"error_code": self.reason.upper(), "message": self.message}).encode()
        headers = [
            (b"content-type", self.content_type.encode()),
            (b"content-length", str(len(body)).encode()),
        ]
        if request_id:
            headers.append((b"x-request-id", request_id))
        if self.retry_after_s:
            headers.append((b"retry-after", str(self.retry_after_s).encode()))
        if self.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        headers += connection_header(close=close, http_1_1=http_1_1)
        return head(self.status, headers) + body


def connection_header(*, close: bool, http_1_1: bool) -> list[tuple[bytes, bytes]]:
    """Return the header that says what differs from the default of the HTTP version."""
    if close:
        return [(b"connection", b"close")]
    return [] if http_1_1 else [(b"connection", b"keep-alive")]


def head(status: int, headers: Headers) -> bytes:
    """Return the status line and headers of an answer."""
    return b"".join([_LINES.get(status) or b"HTTP/1.1 %d Status\r\n" % status, *_lines(headers), b"\r\n"])


def request_head(method: bytes, path: bytes, headers: Headers) -> bytes:
    """Return the request line and headers of a request."""
    return b"".join([method, b" ", path, b" HTTP/1.1\r\n", *_lines(headers), b"\r\n"])


def _lines(headers: Headers) -> Iterable[bytes]:
    for name, value in headers:
        yield b"%b: %b\r\n" % (name, value)


def passed_on(headers: list[tuple[bytes, bytes]], without: frozenset[bytes]) -> list[tuple[bytes, bytes]]:
    """Return the headers without those of the connection, those that ``Connection`` names, and ``without``.

    >>> passed_on([(b"connection", b"x-hop"), (b"x-hop", b"1"), (b"accept", b"*/*")], frozenset())
    [(b'accept', b'*/*')]
    """
    left_out = HOP_BY_HOP | without
    for name, value in headers:
        if name == b"connection":
            left_out = left_out | {each.strip().lower() for each in value.split(b",")}
    return [each for each in headers if each[0] not in left_out]


def returned(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of a scoring process that its caller gets.

    >>> returned([(b"content-type", b"text/csv"), (b"set-cookie", b"a=1"), (b"x-ratelimit-remaining", b"2")])
    [(b'content-type', b'text/csv'), (b'x-ratelimit-remaining', b'2')]
    """
    return [
        each
        for each in passed_on(headers, frozenset())
        if each[0] in _RETURNED or each[0].startswith(_RETURNED_PREFIXES)
    ]
