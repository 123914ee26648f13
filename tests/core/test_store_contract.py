"""What both stores keep, on SQLite and on a real PostgreSQL: several writers, killed ones, a server that is away."""

from __future__ import annotations

import functools
import multiprocessing
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, func, inspect, select, text
from sqlalchemy.engine import make_url

from genops_lab.core.errors import Failed, InvalidRequest, Unavailable
from genops_lab.core.store import LocalStore, SharedStore, Store, post, upsert
from genops_lab.core.store.outbox import Outbox
from genops_lab.core.store.shared_tables import deployment_specs
from tests.support.postgres import Postgres, missing, postgres
from tests.support.processes import kill, killed_in
from tests.support.stores import audited, post_entries

FORKED = multiprocessing.get_context("fork")
KINDS = ("local", "shared", "postgresql")
WRITERS = 3


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    if missing():
        pytest.skip(missing())
    with postgres() as found:
        yield found


def opening(kind: str, folder: Path, url: str = "") -> Callable[[], Store]:
    if kind == "local":
        return functools.partial(LocalStore, folder / "store.db")
    if kind == "shared":
        return functools.partial(SharedStore.at, "", folder)
    return functools.partial(SharedStore, url, owner="ada")


@pytest.fixture(params=KINDS)
def opens_empty(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """An opening of a store that has no tables yet, as one process makes it."""
    is_file = request.param != "postgresql"
    url = "" if is_file else request.getfixturevalue("server").database()
    return opening(request.param, tmp_path, url)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both stores as files that have their tables: migrations cost each test most."""
    folder = tmp_path_factory.mktemp("files")
    for kind in ("local", "shared"):
        with_tables(opening(kind, folder))
    return folder


@pytest.fixture(scope="module")
def template(server: Postgres) -> str:
    """The address of a database that has its tables."""
    url = server.database()
    with_tables(opening("postgresql", Path(), url))
    return url


def with_tables(opens: Callable[[], Store]) -> None:
    store = opens()
    store.open()
    store.close()


@pytest.fixture(params=KINDS)
def opens(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Another opening of the same store, as another process makes it."""
    if request.param != "postgresql":
        shutil.copytree(request.getfixturevalue("files"), tmp_path, dirs_exist_ok=True)
        return opening(request.param, tmp_path)
    template = request.getfixturevalue("template")
    return opening(request.param, tmp_path, request.getfixturevalue("server").database(template))


@pytest.fixture
def store(opens: Callable[[], Store]) -> Iterator[Store]:
    found = opens()
    yield found
    found.close()


@pytest.fixture
def database(server: Postgres) -> str:
    return server.database()


def in_processes(work: Callable[[int], Any], count: int = WRITERS) -> list[Any]:
    """What ``work`` returned in each of so many processes that began together."""
    begin, results = FORKED.Barrier(count), FORKED.SimpleQueue()

    def one(number: int) -> None:
        begin.wait(60)
        results.put(work(number))

    processes = [FORKED.Process(target=one, args=(number,)) for number in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * count
    return [results.get() for _ in processes]


def keys_in(store: Store) -> int:
    table = store.schema.table("idempotency")
    with store.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_migrations_make_the_tables_that_the_code_declares(opens_empty: Callable[[], Store]) -> None:
    store = opens_empty()
    store.open()
    engine = create_engine(store.url)
    declared = create_engine(server_of(store.url, "declared"))
    store.schema.tables.create_all(declared)

    def columns(of: Any) -> dict[str, dict[str, tuple[str, bool]]]:
        found = inspect(of)
        return {
            table: {each["name"]: (str(each["type"]), each["nullable"]) for each in found.get_columns(table)}
            for table in found.get_table_names()
            if not table.endswith("alembic_version")
        }

    assert columns(engine) == columns(declared)
    engine.dispose()
    declared.dispose()
    store.close()


def server_of(url: Any, name: str) -> Any:
    """The address of another, empty database beside this one."""
    if url.get_backend_name() == "sqlite":
        return "sqlite://"
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {url.database}_{name}"))
    engine.dispose()
    return url.set(database=f"{url.database}_{name}")


def test_a_key_is_claimed_by_one_of_many(opens: Callable[[], Store]) -> None:
    def claim(number: int) -> list[str | None]:
        store = opens()
        return [store.claim(f"key{each}", "deploy", str(number)) for each in range(20)]

    found = in_processes(claim)
    for answers in zip(*found, strict=True):
        (winner,) = {each for each in answers if each is not None}
        assert sorted(str(each) for each in answers) == sorted(["None", *[winner] * (WRITERS - 1)])


def test_a_key_whose_work_failed_can_be_claimed_again(store: Store) -> None:
    assert store.claim("key", "deploy", "digits") is None
    assert store.claim("key", "deploy", "other") == "digits"
    store.unclaim("key")
    assert store.claim("key", "deploy", "other") is None


def test_each_user_of_a_shared_store_has_keys_of_their_own(database: str) -> None:
    ada, ben = SharedStore(database, owner="ada", team="vision"), SharedStore(database, owner="ben")
    assert ada.claim("key", "deploy", "digits") is None and ben.claim("key", "deploy", "cats") is None
    assert (ada.claim("key", "deploy", "x"), ben.claim("key", "deploy", "x")) == ("digits", "cats")
    ben.unclaim("key")
    table = ada.schema.table("idempotency")
    with ada.reading() as connection:
        assert connection.execute(select(table.c.owner, table.c.team)).all() == [("ada", "vision")]
    ada.close()
    ben.close()


def test_counts_rise_with_each_change_of_each_writer(opens: Callable[[], Store], store: Store) -> None:
    def count(_number: int) -> list[int]:
        mine = opens()
        return [mine.touch("run") for _ in range(20)]

    found = in_processes(count)
    assert all(each == sorted(each) for each in found)
    assert sorted(number for each in found for number in each) == list(range(1, 20 * WRITERS + 1))
    assert store.revisions() == {"run": 20 * WRITERS}


def test_a_row_is_put_once_and_then_changed_or_left(store: Store) -> None:
    table = store.schema.table("revisions")
    row = {"kind": "run", "revision": 7}
    with store.transaction() as connection:
        assert upsert(connection, table, row)
        assert not upsert(connection, table, {**row, "revision": 8})
        assert connection.execute(select(table.c.revision)).scalar_one() == 7
        assert upsert(connection, table, row, change={"revision": table.c.revision + 2})
        assert connection.execute(select(table.c.revision)).scalar_one() == 9


def test_a_unit_of_work_is_whole_or_not_at_all(opens: Callable[[], Store], store: Store) -> None:
    store.touch("run")

    def ends_within() -> None:
        mine = opens()
        with mine.transaction() as connection:
            mine.bump(connection, "run")
            mine.claim_in(connection, "key", "deploy", "digits")
            kill()

    killed_in(ends_within)
    assert store.revisions() == {"run": 1} and keys_in(store) == 0
    assert store.touch("run") == 2, "its lock is gone with it"
    with pytest.raises(ZeroDivisionError), store.transaction() as connection:
        store.bump(connection, "run")
        _ = 1 // 0
    assert store.revisions() == {"run": 2}


def test_what_was_read_still_holds_when_it_is_written(opens: Callable[[], Store], store: Store) -> None:
    """A budget of 10, taken by writers that read the sum and then add to it."""
    table = store.schema.table("idempotency")

    def take(mine: Store, key: str, connection: Connection) -> bool:
        taken = connection.execute(select(func.count()).select_from(table)).scalar_one()
        return taken < 10 and mine.claim_in(connection, key, "take", "x") is None

    def spend(number: int) -> int:
        mine = opens()
        return sum(mine.run(functools.partial(take, mine, f"{number}-{each}")) for each in range(8))

    assert sum(in_processes(spend)) == 10
    assert keys_in(store) == 10


def test_a_reader_waits_for_no_writer_and_sees_one_moment(opens: Callable[[], Store], store: Store) -> None:
    store.touch("run")
    other = opens()
    with store.transaction() as connection:
        store.bump(connection, "run")
        assert other.revisions() == {"run": 1}
    table = store.schema.table("revisions")
    with other.reading() as connection:
        before = connection.execute(select(table.c.revision)).scalar_one()
        store.touch("run")
        assert connection.execute(select(table.c.revision)).scalar_one() == before == 2
    other.close()


def test_a_reader_cannot_write(store: Store) -> None:
    with pytest.raises(Exception, match=r"readonly|read-only"), store.reading() as connection:
        store.bump(connection, "run")
    assert store.touch("run") == 1


def test_servers_that_start_at_once_make_the_tables_once(opens_empty: Callable[[], Store]) -> None:
    assert sorted(in_processes(lambda _number: opens_empty().touch("run"))) == [1, 2, 3]


def test_a_store_of_a_newer_version_is_refused(opens: Callable[[], Store], store: Store) -> None:
    with store.transaction() as connection:
        connection.execute(text(f"UPDATE {store.schema.prefix}alembic_version SET version_num = '9999'"))
    store.close()
    with pytest.raises(Failed, match="newer GenOps Lab"):
        opens().open()


def test_a_unit_that_another_contradicts_runs_again(database: str) -> None:
    """Both read before either writes, which SQLite's one writer rules out."""
    store, both = SharedStore(database), threading.Barrier(2)
    store.open()
    table, calls = store.schema.table("idempotency"), list[str]()

    def work(key: str, connection: Connection) -> int:
        seen = int(connection.execute(select(func.count()).select_from(table)).scalar_one())
        calls.append(key)
        if calls.count(key) == 1:
            both.wait(30)
        store.claim_in(connection, key, "take", str(seen))
        return seen

    seen = in_threads(lambda key: store.run(functools.partial(work, key)), "a", "b")
    assert sorted(seen) == [0, 1] and len(calls) == 3
    store.close()


def test_a_unit_that_ends_a_deadlock_runs_again(database: str) -> None:
    store, both = SharedStore(database), threading.Barrier(2)
    store.open()
    calls = list[str]()

    def work(keys: str, connection: Connection) -> None:
        connection.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
        for key in keys:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ord(key)})
            if keys not in calls:
                calls.append(keys)
                both.wait(30)
        store.bump(connection, keys)

    in_threads(lambda keys: store.run(functools.partial(work, keys)), "ab", "ba")
    assert store.revisions() == {"ab": 1, "ba": 1}
    store.close()


def in_threads(work: Callable[[str], Any], *given: str) -> list[Any]:
    found: list[Any] = []
    threads = [threading.Thread(target=lambda each=each: found.append(work(each))) for each in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(found) == len(given)
    return found


def test_a_server_that_is_away_is_named_without_its_password_and_comes_back(server: Postgres) -> None:
    url = make_url(server.database()).set(password="planted-secret")
    store = SharedStore(url)
    assert store.touch("run") == 1
    later = SharedStore(url)
    server.stop()
    try:
        for each in (store, later):
            with pytest.raises(Unavailable) as caught:
                each.touch("run")
            assert "The shared GenOps store (PostgreSQL " in caught.value.message and caught.value.hint
            assert "planted-secret" not in caught.value.message + repr(caught.value.__cause__)
    finally:
        server.start()
    assert (store.touch("run"), later.touch("run")) == (2, 3)
    server.stop()
    server.start()
    assert store.touch("run") == 4, "a connection of before is not used"
    store.close()
    later.close()


def test_a_user_of_the_server_needs_no_right_to_make_tables_later(database: str) -> None:
    owner, limited = SharedStore(database), SharedStore(make_url(database).set(username="limited"))
    engine = create_engine(database)
    with engine.begin() as connection:
        connection.execute(text("CREATE ROLE limited LOGIN"))
    with pytest.raises(Unavailable, match="permission denied"):
        limited.touch("run")
    assert owner.touch("run") == 1
    with engine.begin() as connection:
        connection.execute(
            text("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited")
        )
    assert limited.touch("run") == 2 and limited.revisions() == {"run": 2}
    with engine.connect() as connection:
        idle = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'limited'"
        )
        assert connection.execute(idle).scalar_one() == 1
    owner.close()
    limited.close()
    engine.dispose()


def test_what_store_url_cannot_name_is_refused_with_words() -> None:
    for url in ("mysql://ada:planted-secret@db/x", "sqlite://", "no url at all"):
        with pytest.raises(InvalidRequest) as caught:
            SharedStore(url)
        assert "store_url" in caught.value.message and "planted-secret" not in caught.value.message


# What waits for the shared store ------------------------------------------------------------------------------------


def test_what_is_shared_waits_while_the_server_is_away(tmp_path: Path, server: Postgres) -> None:
    local, shared = (
        LocalStore(tmp_path / "store.db"),
        SharedStore(server.database(), owner="ada", team="vision"),
    )
    waiting = Outbox(local, shared)
    server.stop()
    try:
        post_entries(local, "a", "b")
        with pytest.raises(Unavailable):
            waiting.deliver()
        assert waiting.waiting() == 2
    finally:
        server.start()
    with local.transaction() as connection:
        spec = {"name": "digits", "model": "m\0m", "version": "1", "created_at": 1.0, "spec": "{}"}
        post(connection, deployment_specs, spec)
        post(connection, deployment_specs, {**spec, "name": "other"})
        post(connection, deployment_specs, {"name": "other"}, remove=True)
    waiting.deliver()
    assert waiting.waiting() == 0 and audited(shared) == ["a", "b"]
    with shared.reading() as connection:
        (row,) = connection.execute(select(deployment_specs))
    assert (row.owner, row.team, row.name, row.model) == ("ada", "vision", "digits", "mm")
    local.close()
    shared.close()


def test_a_delivery_that_was_killed_is_made_once(tmp_path: Path, database: str) -> None:
    """Killed when the shared store has the rows, and this one has not noted it."""
    local = LocalStore(tmp_path / "store.db")
    post_entries(local, "a", "b")
    local.close()

    def ends_within() -> None:
        store = LocalStore(tmp_path / "store.db")
        store.transaction = kill  # type: ignore[method-assign,assignment]
        Outbox(store, SharedStore(database)).deliver()

    killed_in(ends_within)
    local, shared = LocalStore(tmp_path / "store.db"), SharedStore(database)
    assert audited(shared) == ["a", "b"] and Outbox(local, shared).waiting() == 2
    Outbox(local, shared).deliver()
    assert audited(shared) == ["a", "b"] and Outbox(local, shared).waiting() == 0
    local.close()
    shared.close()
