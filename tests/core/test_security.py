"""Every route and socket of the extension, tried by those who must not get in.

The routes are enumerated from a real running server, so that one that is added later is tried as well.
"""

from __future__ import annotations

import http.cookiejar
import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from genops_lab.rooms import OPERATIONS
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab

EXAMPLES = {
    "run_id": "abc", "name": "x", "alias": "a", "task_id": "t", "profile_id": "p", "kernel_id": "k",
    "question_id": "q", "msg_id": "m", "job_id": "j", "sweep_id": "w", "slice_number": "1",
    "device": "0", "number": "0",
}  # fmt: skip
CASES = [
    (operation.method, operation.path.format(**{name: EXAMPLES[name] for name in operation.path_parameters}))
    for operation in OPERATIONS
]


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    # `True` is Jupyter's default and hides nothing: an undecorated GET would answer 200 to anyone.
    with running_lab(module_home, arguments=["--ServerApp.allow_unauthenticated_access=True"]) as found:
        yield found


@pytest.fixture(scope="module")
def strict_server(module_home: Home) -> Iterator[LabServer]:
    arguments = ["--ServerApp.allow_unauthenticated_access=False"]
    with running_lab(module_home, base_url="/team/ada/", arguments=arguments) as found:
        yield found


class _KeepRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


def _status(server: LabServer, method: str, path: str, headers: dict[str, str]) -> int:
    """The status of a call; one that reached our own code counts as 200, whatever it answered."""
    data = None if method in ("GET", "DELETE") else b"{}"
    request = urllib.request.Request(f"{server.url}genops{path}", data=data, method=method, headers=headers)
    opener = urllib.request.build_opener(_KeepRedirects)
    try:
        with opener.open(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return 200 if b'"error":' in error.read() else int(error.code)


def _login_cookies(server: LabServer) -> str:
    """The cookies of a browser that logged in with the token."""
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    with opener.open(f"{server.url}lab?token={server.token}", timeout=60) as answer:
        answer.read()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


def test_the_table_of_operations_is_what_the_server_serves(server: LabServer) -> None:
    for method, path in CASES:
        status, _body = server.request(method, f"genops{path}", None if method in ("GET", "DELETE") else {})
        assert status != 405, (method, path)
        assert status != 403, (method, path)


@pytest.mark.parametrize("which", ["server", "strict_server"])
@pytest.mark.parametrize(("method", "path"), CASES)
def test_strangers_are_refused(method: str, path: str, which: str, request: pytest.FixtureRequest) -> None:
    found: LabServer = request.getfixturevalue(which)
    anonymous_past_xsrf = {"Cookie": "_xsrf=X", "X-XSRFToken": "X"}
    assert _status(found, method, path, anonymous_past_xsrf) == 403
    assert _status(found, method, path, {**anonymous_past_xsrf, "Authorization": "token wrong"}) == 403
    assert _status(found, method, path, {}) == 403


@pytest.mark.parametrize(("method", "path"), [case for case in CASES if case[0] != "GET"])
def test_a_cookie_without_xsrf_or_from_a_foreign_origin_changes_nothing(
    server: LabServer, method: str, path: str
) -> None:
    cookies = _login_cookies(server)
    assert _status(server, method, path, {"Cookie": cookies}) == 403
    foreign = {"Cookie": cookies, "Origin": "https://evil.example", "Host": f"127.0.0.1:{server.port}"}
    # Jupyter answers a foreign origin with its own 404, before the operation is reached.
    assert _status(server, method, path, foreign) in (403, 404)


@pytest.mark.parametrize(("method", "path"), [case for case in CASES if case[0] == "GET"])
def test_a_foreign_origin_reads_nothing(server: LabServer, method: str, path: str) -> None:
    cookies = _login_cookies(server)
    foreign = {"Cookie": cookies, "Origin": "https://evil.example"}
    request = urllib.request.Request(f"{server.url}genops{path}", headers=foreign)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            allowed = answer.headers.get("Access-Control-Allow-Origin")
    except urllib.error.HTTPError as error:
        allowed = error.headers.get("Access-Control-Allow-Origin")
    assert allowed is None  # the browser keeps the answer from the foreign page


async def _open_socket(server: LabServer, headers: dict[str, str]) -> int:
    url = server.url.replace("http://", "ws://") + "genops/live"
    try:
        connection = await websocket_connect(HTTPRequest(url, headers=headers, connect_timeout=20))
    except HTTPClientError as error:
        return int(error.code)
    connection.close()
    return 101


@pytest.mark.parametrize("which", ["server", "strict_server"])
async def test_the_socket_opens_for_its_user_alone(which: str, request: pytest.FixtureRequest) -> None:
    found: LabServer = request.getfixturevalue(which)
    cookies = _login_cookies(found)
    own_origin = f"http://127.0.0.1:{found.port}"
    assert await _open_socket(found, {}) == 403
    assert await _open_socket(found, {"Authorization": "token wrong"}) == 403
    assert await _open_socket(found, {"Cookie": "_xsrf=X", "X-XSRFToken": "X"}) == 403
    assert await _open_socket(found, {"Cookie": cookies, "Origin": "https://evil.example"}) == 403
    assert await _open_socket(found, {"Cookie": cookies, "Origin": own_origin}) == 101
    assert await _open_socket(found, {"Authorization": f"token {found.token}"}) == 101


async def test_a_live_reading_reaches_who_asks_for_it(server: LabServer) -> None:
    url = server.url.replace("http://", "ws://") + "genops/live"
    headers = {"Authorization": f"token {server.token}"}
    connection = await websocket_connect(HTTPRequest(url, headers=headers))
    await connection.write_message(json.dumps({"subscribe": ["machine"]}))
    message = await connection.read_message()
    assert message is not None
    reading = json.loads(message)
    assert reading["topic"] == "machine"
    assert reading["data"]["machine"]["memory_total_bytes"] > 0
    await connection.write_message("{not json")
    assert await connection.read_message() is None
    assert connection.close_code == 1003


def test_ids_that_climb_are_refused(server: LabServer) -> None:
    for path in ("genops/runs/..%2F..%2Fetc", "genops/deployments/..%2F..%2Fx/log", "genops/profiles/..%2Fx"):
        status, body = server.request("GET", path)
        assert status in (400, 404), (path, status, body)
        assert body["error"]["message"]


def test_nothing_of_ours_counts_as_activity(server: LabServer) -> None:
    before = server.get("api/status?no_track_activity=1")["last_activity"]
    for path in ("genops/status", "genops/compute/machine", "genops/tasks"):
        server.get(path)
    after = server.get("api/status?no_track_activity=1")["last_activity"]
    assert after == before


def test_unforeseen_bodies_are_told_the_field(server: LabServer) -> None:
    status, body = server.request("POST", "genops/models", {"name": 3})
    assert status == 400
    assert "name" in body["error"]["message"]
    status, body = server.request("GET", "genops/runs?limit=many")
    assert status == 400
    assert "limit" in body["error"]["message"]
