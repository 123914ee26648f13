"""Who may ask for an operation, how an answer comes item by item, and what is noted of who asked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from sqlalchemy import Table, delete, insert

from genops_lab.app.features import OPERATIONS
from genops_lab.core import api
from genops_lab.core.api import ServiceGate
from genops_lab.core.audit import AuditLog
from genops_lab.core.client import SocketCaller
from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.operations import UNVERSIONED, Operation
from genops_lab.core.paging import PageQuery, every_page
from genops_lab.core.principals import PRINCIPAL, Principal, this_user
from genops_lab.core.services import Services
from genops_lab.core.store import LocalStore, SharedStore, tables
from genops_lab.core.store.audit import AuditService
from genops_lab.core.store.outbox import Outbox
from genops_lab.deployments.records import Records
from genops_lab.profiling.ledger import KeptProfiles
from genops_lab.profiling.service import ProfilesService
from genops_lab.sweeps.ledger import Plan, SweepLedger
from genops_lab.sweeps.models import TrackedParts
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
def served(home: Home, *more: Any) -> Iterator[tuple[SocketCaller, Counting]]:
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


def test_items_come_one_by_one_and_an_error_ends_them(home: Home) -> None:
    assert (COUNT.id, COUNT.action, COUNT.resource, COUNT.answer) == (
        "counting.count",
        "read",
        "numbers",
        Item,
    )
    with served(home) as (caller, counting):
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
    with served(home) as (caller, counting):
        items = caller.stream(Counting.count, "9")
        assert [next(items).number, next(items).number] == [0, 1]
        items.close()  # type: ignore[attr-defined]
        counting.go_on.set()
        assert counting.ended.wait(20)


def test_what_writes_is_noted_with_who_asked_and_listed_in_pages(home: Home) -> None:
    home.data.mkdir(parents=True)
    store, shared = LocalStore(home.data / "store.db"), SharedStore.at("", home.data)
    outbox = Outbox(store, shared)
    log, audit = AuditLog(store), AuditService(outbox)
    with served(home, (AuditLog, log)) as (caller, _counting):
        caller.call(Counting.add, "1")
        with pytest.raises(NotFound):
            caller.call(Counting.add, "none")
        caller.call(Counting.make, body=Item(7))
        next(caller.stream(Counting.count, "1"))
    waiting = asyncio.run(audit.list_audit(PageQuery()))
    assert waiting.waiting == 3, "nobody has delivered them"
    outbox.deliver()
    delivered = asyncio.run(audit.list_audit(PageQuery()))
    assert len(delivered.items) == 3 and delivered.items == waiting.items, "they are seen before that too"
    first = asyncio.run(audit.list_audit(PageQuery(limit=1)))
    second = asyncio.run(audit.list_audit(PageQuery(limit=2, after=first.next)))
    (made,), (newer, older) = first.items, second.items
    assert made.detail == {"number": "8"}, "the answer names what the path cannot"
    assert (newer.outcome, newer.detail) == ("not_found", {"upto": "none"})
    assert (older.principal, older.action, older.resource) == (str(this_user()), "write", "numbers")
    assert (older.operation, older.outcome, older.detail) == ("counting.add", "ok", {"upto": "1"})
    assert second.next == "" and second.waiting == 0
    with pytest.raises(InvalidRequest):
        asyncio.run(audit.list_audit(PageQuery(after="x y")))
    store.close()
    shared.close()


PROFILE = {"title": "p", "trace_path": "", "size_bytes": 0, "state": "ready", "message": "", "artifact": ""}
SWEEP = {"state": "done", "message": "", "hint": "", "summary": "[]"}
PLAN = Plan(
    name="s", experiment="", method="grid", space=[], metric="", direction="minimize", objective="last", planned=0,
    parallel=1, on=[], slots=[], seed=0, prune="", timeout_s=0, hours=0, notebook="", cwd="", setup=[], tags={},
    params={}, track=TrackedParts(),
)  # fmt: skip
SWEEP["plan"] = msgspec.json.encode(PLAN).decode()
DEPLOYED = {"model": "m", "version": "1", "state": "stopped", "message": "", "hint": "", "lease_until": 0.0}


@pytest.mark.parametrize(
    ("table", "id", "row", "pages"),
    [
        (tables.profiles, "id", PROFILE, lambda store: KeptProfiles(store).page),
        (tables.sweeps, "id", SWEEP, lambda store: SweepLedger(store, Path()).page),
        (tables.deployments, "name", DEPLOYED, lambda store: Records(store).page),
    ],
    ids=["profiles", "sweeps", "deployments"],
)
def test_what_is_added_or_deleted_between_pages_skips_and_doubles_nothing(
    tmp_path: Path, table: Table, id: str, row: dict[str, Any], pages: Any
) -> None:
    store = LocalStore(tmp_path / "store.db")
    page = pages(store)

    def put(*names: str, at: float) -> None:
        with store.transaction() as connection:
            connection.execute(insert(table), [{**row, id: name, "created_at": at} for name in names])

    # Times that floating point does not write exactly, ten rows of each.
    for at in range(25):
        put(*(f"{at:02}-{number}" for number in range(10)), at=1e9 + at / 10)
    first = page(PageQuery())
    assert len(first.items) == 100 and getattr(first.items[0], id) == "24-9"
    put("newer", at=2e9)
    with store.transaction() as connection:
        gone = [getattr(each, id) for each in first.items[-5:]]
        connection.execute(delete(table).where(table.c[id].in_(gone)))
    second = page(PageQuery(after=first.next))
    third = page(PageQuery(after=second.next, limit=1000))
    listed_ids = [getattr(each, id) for each in (*first.items, *second.items, *third.items)]
    assert len(second.items) == 100 and third.next == ""
    assert listed_ids == [f"{at:02}-{number}" for at in range(24, -1, -1) for number in range(9, -1, -1)]
    everything = [getattr(each, id) for each in every_page(page, attrgetter(id))]
    assert everything == ["newer", *(name for name in listed_ids if name not in gone)]
    with pytest.raises(InvalidRequest, match="after='next please' is not a cursor of this list") as bad:
        page(PageQuery(after="next please"))
    assert bad.value.code == "bad_cursor"
    store.close()


def test_a_list_is_paged_on_the_path_with_a_version_and_whole_without(
    server: LabServer, grants: Path, module_home: Home
) -> None:
    grants.write_text(json.dumps([("read", "genops")]))
    store = LocalStore(module_home.data / "store.db")
    rows = [{**PROFILE, "id": f"p{number:04}", "created_at": 1.0 + number} for number in range(1100)]
    with store.transaction() as connection:
        connection.execute(insert(tables.profiles), rows)
    newest_first = [row["id"] for row in reversed(rows)]
    page = server.get("genops/v1/profiles")
    assert [each["id"] for each in page["items"]] == newest_first[:100]
    rest = server.get(f"genops/v1/profiles?limit=1000&after={quote(page['next'])}")
    assert [each["id"] for each in rest["items"]] == newest_first[100:] and rest["next"] == ""
    assert [each["id"] for each in server.get("genops/profiles")] == newest_first, "as older pages ask"
    for asked, says in (
        ("limit=5000", "limit is 5000."),
        ("limit=0", "limit is 0."),
        ("limit=x", "`$.limit`"),
        ("after=x", "after='x'"),
        ("after=nan%20x", "after='nan x'"),
    ):
        status, answer = server.request("GET", f"genops/v1/profiles?{asked}")
        assert status == 400 and says in answer["error"]["message"], answer
    (private,) = (module_home.path / "s").glob("*.sock")
    caller = SocketCaller(str(private), OPERATIONS)
    fetch = partial(caller.call, ProfilesService.list_profiles)
    assert [each.id for each in every_page(fetch, attrgetter("id"))] == newest_first
    caller._prefix = (
        UNVERSIONED  # as to a server of before there were versions, which answers with a plain list
    )
    assert [each.id for each in fetch(PageQuery()).items] == newest_first
    with store.transaction() as connection:
        connection.execute(delete(tables.profiles))
    store.close()
