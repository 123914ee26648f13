"""Requests through the gateway: passed on, split, limited, refused; answers whole or told as broken."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections import Counter
from typing import Any

import pytest

from tests.support.rooms import eventually
from tests.support.strangers import half_open, is_cut

from .conftest import KEY, GatewayProcess, Scorer, sha

AUTH = f"Authorization: Bearer {KEY}\r\n".encode()


@pytest.fixture(autouse=True)
def routed(gateway: GatewayProcess, one: Scorer) -> None:
    gateway.route((one, 1))


def test_a_request_is_passed_on_with_the_scorers_key_and_none_of_the_connections_headers(
    gateway: GatewayProcess, one: Scorer
) -> None:
    found = gateway.ask(
        "/headers", X_Request_ID="mine", X_Sent="1", Connection="x-of-hop", X_Of_Hop="2", TE="trailers"
    )
    lines = dict(line.split(": ", 1) for line in found.body.decode().splitlines())
    assert lines["authorization"] == f"Bearer {one.key}" and KEY not in found.body.decode()
    assert (
        lines["host"] == f"127.0.0.1:{one.port}"
        and lines["x-request-id"] == "mine"
        and lines["x-sent"] == "1"
    )
    assert 59 < float(lines["x-request-timeout"]) <= 60
    assert not {"connection", "x-of-hop", "te"} & set(lines)
    assert found.headers["x-request-id"] == "mine" and found.headers["x-genops-revision"] == "1"
    assert found.headers["x-ratelimit-remaining"] == "2"
    assert set(found.headers) <= {
        "content-length", "date", "x-ratelimit-remaining", "x-request-id", "x-genops-revision",
    }  # fmt: skip
    made = gateway.ask(X_Request_ID="with a space").headers["x-request-id"]
    assert len(made) == 16 and made != gateway.ask().headers["x-request-id"]
    assert gateway.ask(body=b"x" * 1_000_000).body == b"x" * 1_000_000
    assert len(gateway.ask("/large").body) == 8_000_000
    head = gateway.ask("/who", None, "HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, "3", b"")
    assert gateway.ask("/who", None, "GET").body == b"one"


def test_connections_are_kept_and_requests_that_come_together_are_answered_in_turn(
    gateway: GatewayProcess,
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    for number in range(5):
        connection.request("POST", "/digits/invocations", str(number), {"Authorization": f"Bearer {KEY}"})
        assert connection.getresponse().read() == str(number).encode()
    local = connection.sock.getsockname()  # type: ignore[union-attr]
    connection.request("POST", "/digits/invocations", "last", {"Authorization": f"Bearer {KEY}"})
    assert connection.getresponse().read() == b"last" and connection.sock.getsockname() == local  # type: ignore[union-attr]
    connection.close()
    assert len({gateway.ask("/client").body for _ in range(5)}) == 1, (
        "the connection to the scorer is kept too"
    )
    one = b"POST /digits/invocations HTTP/1.1\r\nHost: localhost\r\n" + AUTH + b"Content-Length: 1\r\n"
    found = gateway.raw(one + b"\r\n1" + one + b"\r\n2" + one + b"Connection: close\r\n\r\n3")
    assert [part.split(b"\r\n\r\n")[1][:1] for part in found.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"1",
        b"2",
        b"3",
    ]
    old = gateway.raw(
        b"POST /digits/invocations HTTP/1.0\r\nHost: localhost\r\n" + AUTH + b"Content-Length: 1\r\n\r\n1"
    )
    assert old.endswith(b"\r\n\r\n1") and b"connection: close" in old
    waits = b"POST /digits/invocations HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + AUTH
    waits += b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    assert gateway.raw(waits, b"12").startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:80"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:8888"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"X_Request_Timeout": "soon"}, 400),
        ({"X_Request_Timeout": "nan"}, 400),
        ({"X_Request_Timeout": "-1"}, 400),
    ],
)
def test_foreign_hosts_and_origins_are_refused(
    gateway: GatewayProcess, headers: dict[str, str], status: int
) -> None:
    assert gateway.ask(**headers).status == status


def test_a_key_is_one_deployments_and_a_revoked_one_ends_at_once(
    gateway: GatewayProcess, one: Scorer
) -> None:
    for key in (None, "", "wrong", KEY + "x"):
        found = gateway.ask(key=key)
        assert (found.status, found.headers["www-authenticate"]) == (401, "Bearer")
        assert gateway.ask(key=key, name="unknown").body == found.body, (
            "nobody learns which deployments there are"
        )
    both = [{"name": "default", "sha256": sha(KEY)}, {"name": "ci", "sha256": sha("of-ci")}]
    gateway.route((one, 1), keys=both)
    gateway.route((one, 1), name="other", keys=[{"name": "default", "sha256": sha("of-other")}])
    assert gateway.ask(key="of-ci").status == 200
    assert (
        gateway.ask(key="of-other").status == 401 and gateway.ask(key="of-other", name="other").status == 200
    )
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    for status in (200, 401):
        connection.request("POST", "/digits/invocations", "1", {"Authorization": "Bearer of-ci"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status, "the connection was open before the key was revoked"
        gateway.route((one, 1), keys=both[:1])
    connection.close()
    gateway.route((one, 1), keys=both)
    head = b"POST /digits/stream HTTP/1.1\r\nHost: localhost\r\nX-Lines: 600\r\nContent-Length: 1\r\nAuthorization: "
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as stream:
        stream.sendall(head + b"Bearer of-ci\r\n\r\n1")
        while b"data: 1" not in (found_ := stream.recv(65536)):
            assert found_
        gateway.route((one, 1), keys=both[:1])
        with pytest.raises(ConnectionResetError):  # it is no whole answer
            while stream.recv(65536):
                pass
    assert gateway.ask().status == 200
    gateway.say({"op": "remove", "name": "other", "generation": gateway.generation + 1})
    assert gateway.ask(key="of-other", name="other").status == 401


def test_a_key_has_its_own_limit(gateway: GatewayProcess, one: Scorer) -> None:
    keys = [{"name": "default", "sha256": sha(KEY)}, {"name": "ci", "sha256": sha("of-ci"), "limit": 3}]
    gateway.route((one, 1), keys=keys)
    assert [gateway.ask(key="of-ci").status for _ in range(5)] == [200, 200, 200, 429, 429]
    found = gateway.ask(key="of-ci")
    assert (
        15 <= int(found.headers["retry-after"]) <= 20 and "'ci' may send 3 requests a minute" in found.error
    )
    assert [gateway.ask().status for _ in range(5)] == [200] * 5, "the limit is that key's"


def test_requests_are_split_by_weight_and_a_unit_stays(
    gateway: GatewayProcess, one: Scorer, two: Scorer
) -> None:
    gateway.route((one, 80), (two, 20))
    who = [gateway.ask("/who", X_Request_ID=f"r{number}").body for number in range(300)]
    assert 30 <= Counter(who)[b"two"] <= 95
    assert who == [gateway.ask("/who", X_Request_ID=f"r{number}").body for number in range(300)]
    gateway.route((one, 60), (two, 40))
    later = [gateway.ask("/who", X_Request_ID=f"r{number}").body for number in range(300)]
    moved = Counter(zip(who, later, strict=True))
    assert moved[b"two", b"one"] == 0 < moved[b"one", b"two"], "only those move that must"
    gateway.route((one, 50), (two, 50), sticky="header", header="X-User")
    for user in range(12):
        assert len({gateway.ask("/who", X_User=f"u{user}").body for _ in range(3)}) == 1
    assert len({gateway.ask("/who", X_User=f"u{user}").body for user in range(12)}) == 2
    gateway.route((one, 50), (two, 50), sticky="key")
    assert len({gateway.ask("/who").body for _ in range(8)}) == 1
    gateway.route((one, 0), (two, 1))
    assert {gateway.ask("/who").body for _ in range(8)} == {b"two"}


def test_older_changes_change_nothing(gateway: GatewayProcess, one: Scorer) -> None:
    route = gateway.route((one, 1))
    newest = gateway.generation
    older = {**route, "generation": newest - 1, "keys": []}
    assert gateway.say({"op": "set", "route": older}) == {"applied": False, "generation": newest}
    assert gateway.say({"op": "remove", "name": "digits", "generation": newest - 1})["applied"] is False
    assert gateway.ask().status == 200
    for wrong in (
        {"op": "set", "route": {"name": "x"}},
        {"op": "nothing"},
        {"op": "set", "route": {**route, "sticky": "?"}},
    ):
        assert "error" in gateway.say(wrong)
    assert gateway.status()["generations"]["digits"] == newest


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /digits/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n"
        b"\r\n0\r\n\r\n",
        b"POST /digits/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        b"POST /digits/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n",
        b"POST /digits/invocations HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /digits/invocations HTTP/1.1\nHost: localhost\n\n",
        b"GET /digits/ping HTTP/1.1\r\nHost: localhost\r\nX : 1\r\n\r\n",
        b"GET /digits/ping HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        b"GET /digits/ping HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET /digits/ping HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://127.0.0.1/digits/ping HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)  # fmt: skip
def test_what_is_no_clear_request_is_refused(gateway: GatewayProcess, request_: bytes) -> None:
    head, _, rest = request_.partition(b"Host: localhost\r\n")
    given = (
        head + b"Host: localhost\r\nConnection: close\r\n" + AUTH + rest
        if rest and b"Upgrade" not in rest
        else request_
    )
    found = gateway.raw(given)
    assert found.startswith(b"HTTP/1.1 400 ") and found.count(b"HTTP/1.1") == 1, found


def test_oversized_requests_are_refused_unread(gateway: GatewayProcess, one: Scorer) -> None:
    gateway.route((one, 1), max_body=1000)
    start = b"POST /digits/invocations HTTP/1.1\r\nHost: localhost\r\n" + AUTH
    assert gateway.raw(start + b"Content-Length: %d\r\n\r\n" % 10**12).startswith(b"HTTP/1.1 413 ")
    assert gateway.raw(
        start + b"Transfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1000, b"\r\n1\r\nx\r\n"
    ).startswith(b"HTTP/1.1 413 ")
    assert gateway.ask(body=b"x" * 1000).status == 200
    assert gateway.raw(start + b"X: " + b"x" * 40_000).startswith(b"HTTP/1.1 431 ")
    assert gateway.raw(
        start + b"X: 1\r\n" * 200 + b"Content-Length: 0\r\nConnection: close\r\n\r\n"
    ).startswith(b"HTTP/1.1 431 ")


def test_slow_and_half_open_requests_end_and_stop_nobody(gateway: GatewayProcess) -> None:
    with half_open(gateway.port, 600) as held:
        assert gateway.ask().status == 200
        slow = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
        slow.sendall(b"POST /digits/invoc")
        for _ in range(3):
            assert gateway.ask().status == 200
        assert is_cut(held[0], 10) and is_cut(held[-1], 10)
        assert is_cut(slow, 10), "who does not end a head in 5 s is cut"
        slow.close()


def test_more_than_a_scorer_takes_wait_and_more_than_wait_are_refused(
    gateway: GatewayProcess, one: Scorer
) -> None:
    gateway.route((one, 1), in_flight=1, queue=2)
    held = [_begin(gateway, b"/slow", b"0.6") for _ in range(3)]
    eventually(lambda: _metric(gateway, "genops_requests_waiting"), lambda found: found == 2)
    found = gateway.ask()
    assert (found.status, found.headers["retry-after"]) == (429, "1")
    assert [_status(each) for each in held] == [200] * 3


def _begin(gateway: GatewayProcess, path: bytes, body: bytes = b"", headers: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
    size = b"Content-Length: %d\r\n\r\n" % len(body)
    connection.sendall(
        b"POST /digits" + path + b" HTTP/1.1\r\nHost: localhost\r\n" + AUTH + headers + size + body
    )
    return connection


def _status(connection: socket.socket) -> int:
    with connection:
        return int(connection.recv(65536).split()[1])


def _metric(gateway: GatewayProcess, name: str) -> float:
    text = gateway.ask("/metrics", None, "GET", name="").body.decode()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


def test_an_answer_that_is_late_is_not_awaited(gateway: GatewayProcess, one: Scorer) -> None:
    began = time.monotonic()
    found = gateway.ask("/slow", b"30", X_Request_Timeout="0.3")
    assert found.status == 504 and "No answer within 0.3 s" in found.error and time.monotonic() - began < 10
    eventually(lambda: _metric(gateway, "genops_requests_in_flight"), lambda busy: busy == 0)


def test_a_stream_is_passed_on_at_once_and_ends_with_its_caller(gateway: GatewayProcess) -> None:
    connection = _begin(gateway, b"/stream", headers=b"X-Lines: 5\r\n")
    parts = []
    with connection:
        while not (parts and parts[-1].endswith(b"0\r\n\r\n")):
            parts.append(connection.recv(65536))
    assert len(parts) >= 5, "each line came by itself"
    assert b"transfer-encoding: chunked" in parts[0] and b"data: 4" in b"".join(parts)
    left = _begin(gateway, b"/stream", headers=b"X-Lines: 1000\r\n")
    assert b"data: 0" in left.recv(65536) + left.recv(65536)
    left.close()
    eventually(lambda: gateway.ask("/seen", None, "GET").body, lambda seen: b"caller left" in seen, 10)


def test_a_caller_that_reads_slowly_holds_the_scorer_back_and_gets_all(gateway: GatewayProcess) -> None:
    connection = _begin(gateway, b"/large")
    time.sleep(0.3)  # the gateway's buffers are full by then
    found = b""
    with connection:
        while len(found) < 8_000_000:
            found += connection.recv(65536)
    assert found.endswith(b"x" * 1000)


def test_a_scorer_that_dies_is_told_and_another_takes_the_next_requests(
    gateway: GatewayProcess, one: Scorer
) -> None:
    dying = Scorer("dying")
    gateway.route((dying, 1))
    broken = gateway.raw(
        b"POST /digits/stream HTTP/1.1\r\nHost: localhost\r\n"
        + AUTH
        + b"X-Lines: 2\r\nX-Dies: 1\r\nContent-Length: 0\r\n\r\n"
    )
    assert b"data: 1" in broken and not broken.endswith(b"0\r\n\r\n"), "a part is not told as the whole"
    dying.kill()
    found = gateway.ask()
    assert (found.status, found.headers["retry-after"]) == (503, "1")
    again = Scorer("again")
    gateway.route((one, 0), (again, 1))
    found = gateway.ask("/die")
    assert found.status == 502 and "Idempotency-Key" in found.error
    again.kill()
    assert gateway.ask("/who").body == b"one", "the request was not sent to the dead one"
    again = Scorer("again")
    gateway.route((again, 1))
    assert gateway.ask("/half").status == 502, "a small answer is passed on whole or not at all"
    again.kill()
    third = Scorer("third")
    gateway.route((one, 0), (third, 1))
    # Killed with the request in its hands. The scorer that is left dies of the same path, so it asks for another one.
    slow = _begin(gateway, b"/slow", b"2", b"Idempotency-Key: a\r\n")
    eventually(lambda: _metric(gateway, "genops_requests_in_flight"), lambda busy: busy == 1)
    third.kill()
    assert _status(slow) == 200, "the caller allows that it is sent again"


def test_metrics_are_those_of_the_keys_deployments(gateway: GatewayProcess, one: Scorer) -> None:
    gateway.route((one, 1), name="counted", keys=[{"name": "default", "sha256": sha("of-counted")}])
    for path in ("/invocations", "/headers", "/slow"):
        gateway.ask(path, b"0.03", key="of-counted", name="counted")
    found = gateway.ask("/metrics", None, "GET", key="of-counted", name="")
    assert found.status == 200 and found.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = found.body.decode()
    assert (
        'genops_requests_total{deployment="counted",revision="1",code="200"} 3' in text
        and "digits" not in text
    )
    assert 'genops_request_seconds_bucket{deployment="counted",revision="1",le="+Inf"} 3' in text
    assert 'genops_request_seconds_count{deployment="counted",revision="1"} 3' in text
    assert gateway.ask("/metrics", None, "GET", key="wrong", name="").status == 401
    prometheus = pytest.importorskip("prometheus_client.parser", reason="prometheus_client reads the text")
    assert {family.name for family in prometheus.text_string_to_metric_families(text)} >= {
        "genops_request_seconds"
    }
    gateway.say({"op": "remove", "name": "counted", "generation": gateway.generation + 1})


def test_the_error_has_the_shape_of_mlflows(gateway: GatewayProcess) -> None:
    found = json.loads(gateway.ask(key="wrong").body)
    assert found["error_code"] == "UNAUTHENTICATED" and found["message"]


def test_a_sample_of_requests_waits_for_the_lab_within_bounds(gateway: GatewayProcess, one: Scorer) -> None:
    def samples(share: float = 1.0, run: str = "", after: int = 0) -> dict[str, Any]:
        return gateway.say({"op": "samples", "name": "digits", "share": share, "run": run, "after": after})

    sent = {"Content_Type": "application/json"}
    gateway.ask(**sent)  # before anybody asked
    assert samples()["samples"] == []
    gateway.ask(body=b'{"n": 1}', **sent)
    gateway.ask(body=b"no json")
    gateway.ask(body=b"x" * 200_000, **sent)
    first = samples()
    small, large = first["samples"]
    assert (small["request"], small["answer"], small["status"], small["cut"]) == (
        '{"n": 1}',
        '{"n": 1}',
        200,
        False,
    )
    assert (small["caller"], small["path"], small["revision"]) == ("default", "/invocations", 1)
    assert KEY not in json.dumps(first) and one.key not in json.dumps(first)
    assert large["cut"] and len(large["request"]) == len(large["answer"]) == 64 * 1024
    # They come again until the Lab says that it has them, and to a Lab that knows another run of the gateway.
    assert samples()["samples"] == first["samples"] == samples(run="other", after=first["last"])["samples"]
    assert samples(run=first["run"], after=first["last"])["samples"] == []
    for _ in range(150):
        gateway.ask(body=b"x" * 64 * 1024, **sent)
    found = samples()
    assert found["more"] and 0 < found["lost"] < 50 and len(found["samples"]) < 10
    assert samples(share=0)["samples"] == [] == samples(share=1e-9)["samples"]
    gateway.ask(**sent)
    assert samples()["samples"] == []
    samples(share=0)


def test_a_request_names_the_span_of_its_application(gateway: GatewayProcess, one: Scorer) -> None:
    gateway.route((one, 1), name="traced")

    def samples(**more: Any) -> dict[str, Any]:
        asked = {"op": "samples", "name": "traced", "share": 1.0, "run": "", "after": 0, **more}
        return gateway.say(asked)

    def ask(**headers: str) -> dict[str, str]:
        found = gateway.ask("/headers", b"1", name="traced", Content_Type="application/json", **headers)
        return dict(line.split(": ", 1) for line in found.body.decode().splitlines())

    samples()
    trace, span = "4b" * 16, "0a" * 8
    passed = ask(traceparent=f"00-{trace}-{span}-01", tracestate="vendor=1, other=a b")
    assert (passed["traceparent"], passed["tracestate"]) == (f"00-{trace}-{span}-01", "vendor=1, other=a b")
    # It waits for the trace of its application, and no other request waits with it.
    ask(traceparent=f"00-{trace}-{span}-00")  # the application keeps no trace
    wrong = [
        "not a trace", f"00-{'0' * 32}-{span}-01", f"00-{trace}-{'0' * 16}-01", f"ff-{trace}-{span}-01",
        f"00-{trace}-{span}-01-more", f"00-{trace.upper()}-{span}-01",
    ]  # fmt: skip
    for each in wrong:
        assert ask(traceparent=each)["traceparent"] == each
    alone = samples()
    assert [each["caller_trace"] for each in alone["samples"]] == [""] * 7
    found = samples(run=alone["run"], after=alone["last"], all=True)
    assert [(each["caller_trace"], each["caller_span"]) for each in found["samples"]] == [(trace, span)]
    later = samples(run=alone["run"], after=found["last"])
    assert later["samples"] == [] and later["lost"] == 0
    ask(traceparent=f"01-{trace}-{span}-03-a later version")
    (newer,) = samples(run=alone["run"], after=found["last"], all=True)["samples"]
    assert newer["caller_trace"] == trace and newer["trace"] != trace
    log = (gateway.folder / "log.txt").read_text()
    assert log.count("is in no trace of its application") == 1 and "not a trace" not in log
    # They count for the bounds, and a deployment that is gone leaves none behind.
    for _ in range(150):
        gateway.ask(
            body=b"x" * 64 * 1024, name="traced", Content_Type="application/json",
            traceparent=f"00-{trace}-{span}-01",
        )  # fmt: skip
    assert 0 < samples()["lost"] < 50
    gateway.say({"op": "remove", "name": "traced", "generation": gateway.generation + 1})
    gateway.route((one, 1), name="again")
    samples(name="again")
    gateway.ask(body=b"x", name="again", Content_Type="application/json")
    assert len(samples(name="again")["samples"]) == 1
    gateway.say({"op": "remove", "name": "again", "generation": gateway.generation + 1})
