"""Every route and socket of the extension, tried by those who must not get in.

The routes are those of a real running server's tornado application: operations, raw handlers and websockets. One that
is added later is tried as well.
"""

from __future__ import annotations

import asyncio
import http.cookiejar
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from genops_lab.app.features import OPERATIONS
from genops_lab.core.api import PREFIXES
from tests.support import route_listing
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab

#: What strangers may ask for: the Perfetto UI's own files, behind a key in the address. Without it there is nothing.
PUBLIC = {r"/genops/perfetto/([^/]+)/(.*)": 404}
_LISTING = ["--ServerApp.jpserver_extensions={'tests.support.route_listing': True}"]


@pytest.fixture(scope="module")
def server(module_home: Home) -> Iterator[LabServer]:
    # `True` is Jupyter's default and hides nothing: an undecorated GET would answer 200 to anyone.
    arguments = ["--ServerApp.allow_unauthenticated_access=True", *_LISTING]
    with running_lab(module_home, arguments=arguments) as found:
        yield found


@pytest.fixture(scope="module")
def strict_server(module_home: Home) -> Iterator[LabServer]:
    arguments = ["--ServerApp.allow_unauthenticated_access=False", *_LISTING]
    with running_lab(module_home, base_url="/team/ada/", arguments=arguments) as found:
        yield found


#: Jupyter refuses strangers by itself there; that the one public page opens, tests/profiling/test_perfetto.py says.
STRICT = pytest.param("strict_server", marks=pytest.mark.exhaustive)


class Route:
    """A path of the server, with something in the place of its variables."""

    def __init__(self, server: LabServer, listed: dict[str, object]) -> None:
        pattern = str(listed["pattern"])
        self.pattern = pattern.removeprefix(server.base_url.rstrip("/")).removesuffix("$")
        self.path = re.sub(r"\([^()]*\)", "1", self.pattern).replace("\\", "")
        self.methods = [str(verb) for verb in listed["methods"]]  # type: ignore[attr-defined]
        self.websocket = bool(listed["websocket"])
        assert re.fullmatch(self.pattern, self.path), f"{self.pattern} has a form that this test cannot fill"
        self.refusal = PUBLIC.get(self.pattern, 403)


def routes(server: LabServer, *, websocket: bool = False) -> list[Route]:
    """Those of GenOps in the running server."""
    found = [Route(server, listed) for listed in server.get(route_listing.PATH)]
    return [route for route in found if route.websocket is websocket]


def cases(server: LabServer, *, reading: bool | None = None) -> list[tuple[str, Route]]:
    """Each verb of each route; ``reading``: GET and HEAD alone, or all others."""
    return [
        (verb, route)
        for route in routes(server)
        for verb in route.methods
        if reading is None or (verb in ("GET", "HEAD")) is reading
    ]


class _KeepRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


def _status(server: LabServer, method: str, path: str, headers: dict[str, str]) -> int:
    """The status of a call; one that reached our own code counts as 200, whatever it answered."""
    data = None if method in ("GET", "DELETE") else b"{}"
    request = urllib.request.Request(server.url + path[1:], data=data, method=method, headers=headers)
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


def test_the_routes_are_all_that_the_server_serves(server: LabServer) -> None:
    found = {(verb, route.pattern) for verb, route in cases(server)}
    offered = {
        (operation.method, f"{prefix}{operation.pattern}") for operation in OPERATIONS for prefix in PREFIXES
    }
    assert offered <= found
    raw = {pattern for _, pattern in found} - {pattern for _, pattern in offered}
    assert {"/genops/runs/([^/]+)/artifact", *PUBLIC} <= raw
    assert [route.pattern for route in routes(server, websocket=True)] == ["/genops/live"]
    before = activity(server)
    wrong = [
        (verb, route.pattern, status)
        for verb, route in cases(server)
        if (status := server.request(verb, route.path, None if verb in ("GET", "DELETE") else {})[0])
        in (403, 405)
    ]
    assert wrong == []
    assert activity(server) == before, "a request of GenOps keeps an idle server alive"


def activity(server: LabServer) -> str:
    """When the server was last active, for those who end idle ones."""
    return str(server.get("api/status?no_track_activity=1")["last_activity"])


@pytest.mark.parametrize("which", ["server", STRICT])
def test_strangers_are_refused(which: str, request: pytest.FixtureRequest) -> None:
    found: LabServer = request.getfixturevalue(which)
    past_xsrf = {"Cookie": "_xsrf=X", "X-XSRFToken": "X"}
    wrong = [
        (verb, route.pattern, strange, status)
        for verb, route in cases(found)
        for strange in (past_xsrf, {**past_xsrf, "Authorization": "token wrong"}, {})
        if (status := _status(found, verb, route.path, strange)) != route.refusal
    ]
    assert wrong == []


def test_a_cookie_without_xsrf_or_from_a_foreign_origin_changes_nothing(server: LabServer) -> None:
    cookies = {"Cookie": _login_cookies(server)}
    foreign = {**cookies, "Origin": "https://evil.example", "Host": f"127.0.0.1:{server.port}"}
    changing = cases(server, reading=False)
    assert len(changing) > 40
    wrong = [
        (verb, route.pattern)
        for verb, route in changing
        # Jupyter answers a foreign origin with its own 404, before the operation is reached.
        if _status(server, verb, route.path, cookies) != 403
        or _status(server, verb, route.path, foreign) not in (403, 404)
    ]
    assert wrong == []


def test_a_foreign_origin_reads_nothing(server: LabServer) -> None:
    foreign = {"Cookie": _login_cookies(server), "Origin": "https://evil.example"}
    readable = []
    for verb, route in cases(server, reading=True):
        request = urllib.request.Request(server.url + route.path[1:], method=verb, headers=foreign)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                headers = answer.headers
        except urllib.error.HTTPError as error:
            headers = error.headers
        if headers.get("Access-Control-Allow-Origin") is not None:
            readable.append(route.pattern)
    assert readable == list(PUBLIC)  # the browser keeps all other answers from the foreign page


async def _open_socket(server: LabServer, route: Route, headers: dict[str, str]) -> int:
    url = server.url.replace("http://", "ws://") + route.path[1:]
    try:
        connection = await websocket_connect(HTTPRequest(url, headers=headers, connect_timeout=20))
    except HTTPClientError as error:
        return int(error.code)
    connection.close()
    return 101


@pytest.mark.parametrize("which", ["server", STRICT])
async def test_sockets_open_for_their_user_alone(which: str, request: pytest.FixtureRequest) -> None:
    found: LabServer = request.getfixturevalue(which)
    cookies = _login_cookies(found)
    for route in routes(found, websocket=True):
        for strange in (
            {},
            {"Authorization": "token wrong"},
            {"Cookie": "_xsrf=X", "X-XSRFToken": "X"},
            {"Cookie": cookies, "Origin": "https://evil.example"},
        ):
            assert await _open_socket(found, route, strange) == 403, (route.pattern, strange)
        own = {"Cookie": cookies, "Origin": f"http://127.0.0.1:{found.port}"}
        assert await _open_socket(found, route, own) == 101
        assert await _open_socket(found, route, {"Authorization": f"token {found.token}"}) == 101


async def test_a_live_reading_reaches_who_asks_for_it(server: LabServer) -> None:
    before = activity(server)
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
    assert activity(server) == before


async def test_what_changed_is_told_on_the_live_socket_too(server: LabServer) -> None:
    """JupyterLab may open its events socket only 30 s after a restart, and the server does not repeat events."""
    url = server.url.replace("http://", "ws://") + "genops/live"
    connection = await websocket_connect(HTTPRequest(url, headers={"Authorization": f"token {server.token}"}))
    await connection.write_message(json.dumps({"subscribe": ["changes", "machine"]}))
    assert await connection.read_message() is not None  # it has subscribed
    added = await asyncio.to_thread(
        server.request, "POST", "genops/targets", {"name": "told", "kind": "local"}
    )
    assert added[0] == 200

    async def target_change() -> dict[str, Any]:
        while message := await connection.read_message():
            news = json.loads(message)
            if news["topic"] == "changes" and news["data"]["kind"] == "target":
                return news["data"]
        raise AssertionError("the socket was closed")

    assert (await asyncio.wait_for(target_change(), 20)).keys() == {"kind", "id", "revision"}
    connection.close()


def test_a_task_says_which_client_asked_for_it(server: LabServer, module_home: Home) -> None:
    assert server.request("POST", "genops/targets", {"name": "itself", "kind": "local"})[0] == 200

    def tested() -> str:
        deadline = time.monotonic() + 60
        while server.get("genops/targets/itself/report")["state"] == "running":
            assert time.monotonic() < deadline
            time.sleep(0.1)
        return str(server.get("genops/tasks")[0]["client"])

    test = "genops/targets/itself/test"
    for headers, client in (({"X-GenOps-Client": "page-1"}, "page-1"), ({}, "")):
        assert server.request("POST", test, headers=headers)[1]["client"] == client
        assert tested() == client
    program = [sys.executable, "-m", "genops_lab.commands", "targets", "test", "itself"]
    # Another test's Lab, in the same home, may be the newer one.
    (socket,) = [
        each["socket"]
        for path in module_home.path.rglob(f"genops-{server.process.pid}.json")
        for each in [json.loads(path.read_text())]
    ]
    env = module_home.environment(GENOPS_SOCKET=socket)
    subprocess.run(program, env=env, check=False, capture_output=True, timeout=120)
    assert tested() == "socket"


def test_ids_that_climb_are_refused(server: LabServer) -> None:
    for path in ("genops/runs/..%2F..%2Fetc", "genops/deployments/..%2F..%2Fx/log", "genops/profiles/..%2Fx"):
        status, body = server.request("GET", path)
        assert status in (400, 404), (path, status, body)
        assert body["error"]["message"]


def test_nothing_of_ours_counts_as_activity(server: LabServer) -> None:
    before = activity(server)
    for path in ("genops/status", "genops/compute/machine", "genops/tasks"):
        server.get(path)
    assert activity(server) == before
    server.get("api/kernels")
    assert activity(server) > before, "what Jupyter itself counts is seen"


def test_unforeseen_bodies_are_told_the_field(server: LabServer) -> None:
    status, body = server.request("POST", "genops/models", {"name": 3})
    assert status == 400
    assert "name" in body["error"]["message"]
    status, body = server.request("GET", "genops/runs?limit=many")
    assert status == 400
    assert "limit" in body["error"]["message"]
