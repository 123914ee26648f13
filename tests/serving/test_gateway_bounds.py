"""What peers send beside bodies is bounded, dropped, and costs no memory: on the side of callers and of scorers."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator

import pytest

from .conftest import KEY, GatewayProcess, Scorer
from .raw import MOST_GROWTH, PORTION, RawScorer, forever, poured, rss

HEAD = b"POST /digits%b HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MUCH = 64 * 2**20


@pytest.fixture
def scorer(gateway: GatewayProcess, one: Scorer) -> Scorer:
    gateway.route((one, 1))
    return one


@pytest.fixture
def raw(gateway: GatewayProcess) -> Iterator[RawScorer]:
    found = RawScorer(lambda _asked: ())
    gateway.route((found, 1))  # type: ignore[arg-type]
    yield found
    found.close()


@pytest.mark.parametrize(
    "parts",
    [
        forever(b"x: 1\r\n"),
        forever(b"x" * 100),
    ],
    ids=["lines", "one line"],
)
def test_trailers_without_an_end_are_refused(
    gateway: GatewayProcess, scorer: Scorer, parts: Iterable[bytes]
) -> None:
    before = rss(gateway.process.pid)
    _sent, found = poured(gateway.port, CHUNKED % b"/invocations" + b"1\r\nx\r\n0\r\n", parts, MUCH)
    assert not found or (found.startswith(b"HTTP/1.1 400 ") and found.count(b"HTTP/1.1") == 1), found
    assert rss(gateway.process.pid) - before < MOST_GROWTH
    assert gateway.ask(body=b"2").body == b"2"


@pytest.mark.parametrize(
    ("trailers", "status"),
    [
        (b"x: 1\r\n" * 32, b"200"),
        (b"x: 1\r\n" * 33, b"400"),
        (b"x: " + b"x" * 9000 + b"\r\n", b"400"),
    ],
)
def test_few_trailers_are_dropped_and_many_refused(
    gateway: GatewayProcess, scorer: Scorer, trailers: bytes, status: bytes
) -> None:
    asked = CHUNKED.replace(b"Transfer", b"Connection: close\r\nTransfer") % b"/invocations"
    found = gateway.raw(asked + b"1\r\nx\r\n0\r\n" + trailers + b"\r\n")
    assert found.startswith(b"HTTP/1.1 " + status)
    if status == b"400":
        assert b"A chunked body may have at most 32 trailers" in found
        assert found.count(b"HTTP/1.1") == 1, "the connection is closed"


def test_no_trailer_is_a_header(gateway: GatewayProcess, scorer: Scorer) -> None:
    forged = b"X-User: admin\r\nX-Forwarded-For: 10.0.0.1\r\nIdempotency-Key: 1\r\nTraceparent: 1\r\nHost: evil\r\n"
    asked = CHUNKED.replace(b"Transfer", b"Connection: close\r\nX-Sent: 1\r\nTransfer") % b"/headers"
    found = gateway.raw(asked + b"1\r\nx\r\n0\r\n" + forged + b"\r\n").lower()
    assert found.startswith(b"http/1.1 200") and b"x-sent: 1" in found
    assert not [
        name for name in (b"x-user", b"x-forwarded", b"idempotency", b"traceparent", b"evil") if name in found
    ]
    for framing in (b"Content-Length: 5\r\n", b"Transfer-Encoding: identity\r\n"):
        assert gateway.raw(asked + b"1\r\nx\r\n0\r\n" + framing + b"\r\n").startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "chunk", [b"1;" + b"e" * 500 + b"\r\nx\r\n", b"1;" + b"e" * 100_000], ids=["many", "one without an end"]
)
def test_extensions_of_chunks_are_bounded_and_those_of_signed_uploads_pass(
    gateway: GatewayProcess, scorer: Scorer, chunk: bytes
) -> None:
    before = rss(gateway.process.pid)
    _sent, found = poured(gateway.port, CHUNKED % b"/invocations", forever(chunk), MUCH)
    assert not found or found.startswith(b"HTTP/1.1 400 "), found
    assert rss(gateway.process.pid) - before < MOST_GROWTH
    signed = b"10000;chunk-signature=" + b"a" * 64 + b"\r\n" + b"x" * 65536 + b"\r\n"
    small = b"1;a=1\r\nx\r\n" * 30_000
    body = CHUNKED.replace(b"Transfer", b"Connection: close\r\nTransfer") % b"/invocations"
    assert gateway.raw(body + signed * 20 + b"0\r\n\r\n").endswith(b"x" * 65536 * 20)
    assert gateway.raw(body + small + b"0\r\n\r\n").endswith(b"\r\n\r\n" + b"x" * 30_000)


def test_a_body_in_tiny_chunks_costs_its_own_size(gateway: GatewayProcess, scorer: Scorer) -> None:
    before = rss(gateway.process.pid)
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as connection:
        connection.sendall(CHUNKED % b"/invocations")
        for _ in range(150):
            connection.sendall(b"2\r\nxy\r\n" * 10_000)
        # The gateway reads what is sent before a slow request of another connection is answered.
        assert gateway.ask("/slow", b"0.5").status == 200
        assert rss(gateway.process.pid) - before < MOST_GROWTH, "3 MB of body"
        connection.sendall(b"0\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"


def test_callers_that_do_not_read_are_not_read_either(gateway: GatewayProcess, scorer: Scorer) -> None:
    before = rss(gateway.process.pid)
    asked = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=2) as connection:
        sent = 0
        try:
            for part in forever(asked):
                connection.sendall(part)
                sent += len(part)
                assert sent < MUCH, f"{sent} bytes were taken, whose answers nobody reads"
        except TimeoutError:
            pass  # it is not read
        assert rss(gateway.process.pid) - before < MOST_GROWTH
        found = b""
        while found.count(b"HTTP/1.1 401 ") < 20_000:  # it goes on once they are read
            data = connection.recv(PORTION)
            assert data
            found += data


@pytest.mark.parametrize(
    "body", [b"[" * 200_000, b'{"request_id": "1", "name": "a", "value": 1' + b"0" * 400 + b"}"]
)
def test_outcomes_that_no_parser_takes_are_refused(
    gateway: GatewayProcess, scorer: Scorer, body: bytes
) -> None:
    assert gateway.ask("/feedback", body).status == 400


BEGINS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"


@pytest.mark.parametrize(
    ("begins", "part"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x: 1\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        (b"HTTP/1.1 200 ", b"x"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"),
        (BEGINS + b"0\r\n", b"x: 1\r\n"),
        (BEGINS + b"0\r\nx: ", b"x"),
        (BEGINS, b"1;" + b"e" * 500 + b"\r\nx\r\n"),
        (BEGINS + b"1;", b"e"),
    ],
    ids=["headers", "header", "reason", "interim", "trailers", "trailer", "extensions", "extension"],
)
def test_what_a_scorer_sends_beside_its_answer_is_bounded(
    gateway: GatewayProcess, raw: RawScorer, begins: bytes, part: bytes
) -> None:
    def reply(_asked: bytes) -> Iterator[bytes]:
        yield begins
        while raw.sent < MUCH:
            yield part * (PORTION // len(part))

    raw.reply = reply
    before = rss(gateway.process.pid)
    found = gateway.raw(
        HEAD.replace(b"Auth", b"Connection: close\r\nAuth") % b"/invocations" + b"Content-Length: 0\r\n\r\n"
    )
    assert raw.sent < MUCH, "the gateway has closed"
    assert rss(gateway.process.pid) - before < MOST_GROWTH
    if begins.startswith(BEGINS):
        assert not found.endswith(b"0\r\n\r\n"), "no caller takes a part for the whole"
    else:
        assert found.startswith(b"HTTP/1.1 502 ") and b"too long" in found


def test_few_trailers_of_an_answer_are_dropped_and_many_make_it_a_bad_one(
    gateway: GatewayProcess, raw: RawScorer
) -> None:
    for count, status in ((32, 200), (33, 502)):
        raw.reply = lambda _asked, count=count: (
            BEGINS + b"0\r\n" + b"set-cookie: a=1\r\n" * count + b"\r\n",
        )  # type: ignore[misc]
        found = gateway.ask()
        assert found.status == status
        if status == 200:
            assert found.body == b"x" and "set-cookie" not in found.headers
        else:
            assert json.loads(found.body)["error_code"] == "BAD_GATEWAY"


def test_interim_answers_are_not_the_answer(gateway: GatewayProcess, raw: RawScorer) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nEtag: no\r\n\r\n" * 20
    raw.reply = lambda _asked: (hints, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")
    found = gateway.ask()
    assert (found.status, found.body) == (200, b"1") and "etag" not in found.headers
