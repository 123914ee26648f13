"""Who may ask for an operation, how an answer comes item by item, and what is noted of who asked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from genops_lab.core import api
from genops_lab.core.api import ServiceGate
from genops_lab.core.audit import AuditLog
from genops_lab.core.client import SocketCaller
from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.models import AuditQuery
from genops_lab.core.operations import Operation
from genops_lab.core.principals import PRINCIPAL, Principal, this_user
from genops_lab.core.services import Services
from genops_lab.core.store import LocalStore, SharedStore
from genops_lab.core.store.audit import AuditService
from genops_lab.core.store.outbox import Outbox
from tests.support import authorizer
from tests.support.homes import Home
from tests.support.lab_server import LabServer, running_lab


@pytest.fixture(scope="module")
def grants(module_home: Home) -> Path:
    return module_home.path / "grants.json"


@pytest.fixture(scope="module")
def server(module_home: Home, grants: Path) -> Iterator[LabServer]:
    grants.write_text("[]")
    name = f"{authorizer.__name__}.{authorizer.Grants.__name__}"
    arguments = [f"--ServerApp.authorizer_class={name}"]
    with running_lab(module_home, arguments=arguments, env={authorizer.VARIABLE: str(grants)}) as found:
        yield found


#: What is granted, and the statuses of: a list, a POST that only asks, a change, a start.
GRANTED = [
    ([], (403, 403, 403, 403)),
    ([("read", "genops")], (200, 403, 403, 403)),
    ([("read", "genops"), ("write", "genops")], (200, 200, 200, 404)),
    ([("read", "genops:targets")], (200, 200, 403, 403)),
    ([("write", "genops:targets")], (403, 403, 200, 403)),
    ([("execute", "genops:targets")], (403, 403, 403, 404)),
    ([("read", "genops:runs"), ("execute", "genops")], (403, 403, 403, 403)),
]


@pytest.mark.parametrize(("granted", "expected"), GRANTED, ids=lambda value: str(value))
def test_a_grant_is_of_an_action_on_a_resource_or_of_a_method_on_genops(
    server: LabServer, grants: Path, granted: list[tuple[str, str]], expected: tuple[int, ...]
) -> None:
    grants.write_text(json.dumps(granted))
    asked = [
        ("GET", "genops/v1/targets", None),
        ("POST", "genops/targets/best-fit", {"memory_bytes": 1}),
        ("POST", "genops/v1/targets", {"name": "here", "kind": "local"}),
        ("POST", "genops/targets/nowhere/test", {}),
    ]
    assert tuple(server.request(*each)[0] for each in asked) == expected


class Item(msgspec.Struct):
    """One number."""

    number: int


class Counting:
    """Counts; ``asked_by`` and ``ended`` say what happened."""

    def __init__(self) -> None:
        self.asked_by: list[Principal | None] = []
        self.ended = threading.Event()
        self.go_on = threading.Event()

    async def count(self, upto: str) -> AsyncIterator[Item]:
        """Numbers, one after the other."""
        self.asked_by.append(PRINCIPAL.get())
        if upto == "none":
            raise NotFound("There are no numbers.", hint="Ask for some.")
        try:
            for number in range(int(upto)):
                yield Item(number)
                if number == 1:
                    await asyncio.to_thread(self.go_on.wait, 30)
            if upto == "3":
                raise Conflict("3 is too many.", hint="Ask for 2.", code="too_many")
        finally:
            self.ended.set()

    async def add(self, upto: str) -> None:
        """Change something."""
        if upto == "none":
            raise NotFound("There is nothing to change.", hint="Add it.")

    async def make(self, body: Item) -> Item:
        """Make something new."""
        return Item(body.number + 1)


COUNT = Operation("GET", "/count/{upto}", Counting.count).of("counting", "numbers")
ADD = Operation("POST", "/count/{upto}", Counting.add).of("counting", "numbers")
MAKE = Operation("POST", "/count", Counting.make, named=("number",)).of("counting", "numbers")


@contextmanager
def served(
    home: Home, monkeypatch: pytest.MonkeyPatch, *more: Any
) -> Iterator[tuple[SocketCaller, Counting]]:
    """A service on a private socket, and a client of it."""
    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_unix_socket
    from tornado.web import Application

    counting, services, gate = Counting(), Services(), ServiceGate()
    services.provide(Counting, lambda _get: counting)
    for kind, service in more:
        services.provide(kind, lambda _get, service=service: service)
    path = str(home.path / "s.sock")
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve() -> HTTPServer:
        gate.open(services)
        http = HTTPServer(Application(api.socket_handlers([COUNT, ADD, MAKE], gate)))
        http.add_sockets([bind_unix_socket(path, mode=0o600)])
        return http

    http = asyncio.run_coroutine_threadsafe(serve(), loop).result(20)
    try:
        yield SocketCaller(path, [COUNT, ADD, MAKE], timeout_s=20), counting
    finally:
        counting.go_on.set()
        loop.call_soon_threadsafe(http.stop)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def test_items_come_one_by_one_and_an_error_ends_them(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (COUNT.id, COUNT.action, COUNT.resource, COUNT.answer) == (
        "counting.count",
        "read",
        "numbers",
        Item,
    )
    with served(home, monkeypatch) as (caller, counting):
        items = caller.stream(Counting.count, "3")
        assert [next(items).number, next(items).number] == [0, 1], "before there is a third"
        assert not counting.ended.is_set()
        counting.go_on.set()
        assert next(items).number == 2
        with pytest.raises(GenOpsError, match="3 is too many") as caught:
            next(items)
        assert caught.value.code == "too_many" and counting.ended.wait(20)
        with pytest.raises(NotFound, match="no numbers"):
            next(caller.stream(Counting.count, "none"))
        assert counting.asked_by == [this_user(), this_user()]


def test_a_client_that_goes_ends_what_makes_the_items(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "STREAM_KEEPALIVE_S", 0.05)
    with served(home, monkeypatch) as (caller, counting):
        items = caller.stream(Counting.count, "9")
        assert [next(items).number, next(items).number] == [0, 1]
        items.close()  # type: ignore[attr-defined]
        counting.go_on.set()
        assert counting.ended.wait(20)


def test_what_writes_is_noted_with_who_asked_and_listed_in_pages(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.data.mkdir(parents=True)
    store, shared = LocalStore(home.data / "store.db"), SharedStore.at("", home.data)
    outbox = Outbox(store, shared)
    log, audit = AuditLog(store), AuditService(outbox)
    with served(home, monkeypatch, (AuditLog, log)) as (caller, _counting):
        caller.call(Counting.add, "1")
        with pytest.raises(NotFound):
            caller.call(Counting.add, "none")
        caller.call(Counting.make, body=Item(7))
        next(caller.stream(Counting.count, "1"))
    waiting = asyncio.run(audit.list_audit(AuditQuery()))
    assert waiting.waiting == 3, "nobody has delivered them"
    outbox.deliver()
    delivered = asyncio.run(audit.list_audit(AuditQuery()))
    assert len(delivered.entries) == 3 and delivered.entries == waiting.entries, (
        "they are seen before that too"
    )
    first = asyncio.run(audit.list_audit(AuditQuery(limit=1)))
    second = asyncio.run(audit.list_audit(AuditQuery(limit=2, after=first.next)))
    (made,), (newer, older) = first.entries, second.entries
    assert made.detail == {"number": "8"}, "the answer names what the path cannot"
    assert (newer.outcome, newer.detail) == ("not_found", {"upto": "none"})
    assert (older.principal, older.action, older.resource) == (str(this_user()), "write", "numbers")
    assert (older.operation, older.outcome, older.detail) == ("counting.add", "ok", {"upto": "1"})
    assert second.next == "" and second.waiting == 0
    for query in (AuditQuery(limit=0), AuditQuery(after="x y")):
        with pytest.raises(InvalidRequest):
            asyncio.run(audit.list_audit(query))
    store.close()
    shared.close()
