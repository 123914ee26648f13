"""The tables of the one store of older versions become local ones: from SQLite and from a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select, text
from sqlalchemy.engine import make_url

from genops_lab.core.store import LocalStore, SharedStore, Store, upsert
from genops_lab.core.store.outbox import Outbox
from genops_lab.core.store.tables import deployments, model_hashes, profiles, revisions, targets, tracked_runs
from tests.support.postgres import Postgres, missing, postgres
from tests.support.processes import kill, killed_in
from tests.support.stores import audited, post_entries, store_of_before


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    if missing():
        pytest.skip(missing())
    with postgres() as found:
        yield found


TARGET = {"name": "gpu", "kind": "ssh", "host": "gpu1", "options": "{}", "price_per_hour": None, "secrets": "[]",
          "policy": "{}", "locked": 0, "created_at": 1.0, "position": 1}  # fmt: skip


def deployment(name: str, folder: Path, state: str = "running") -> dict[str, Any]:
    """A row as it was when its process stood in it."""
    return {
        "name": name, "model": "m", "version": "1", "state": state, "message": "", "hint": "", "folder": str(folder),
        "port": 5001, "pid": 17, "pid_created": 1.0, "outlives_server": 1, "created_at": 1.0, "lease_until": 2.0,
    }  # fmt: skip


def deploy(connection: Connection, **row: Any) -> None:
    """Insert such a row."""
    names = ", ".join(row)
    connection.execute(text(f"INSERT INTO deployments ({names}) VALUES (:{names.replace(', ', ', :')})"), row)


def fill(url: str, folder: Path, kept: int = 3) -> None:
    """What an older Lab recorded there."""
    store = store_of_before(url)
    with store.transaction() as connection:
        connection.execute(targets.insert().values(**TARGET))
        deploy(connection, **deployment("digits", folder / "deployments" / "digits"))
        deploy(connection, **deployment("another's", Path("/elsewhere/x")))
        digest = {"digest": "d", "run_id": "r", "name": "m", "recorded_at": 1.0}
        connection.execute(model_hashes.insert().values(**digest))
        for number in range(kept):
            connection.execute(
                profiles.insert().values(
                    id=f"p{number}", title="before", created_at=1.0, trace_path="t", size_bytes=1, state="ready",
                    message="", artifact="",
                )
            )  # fmt: skip
    store.close()


@pytest.fixture(params=("sqlite", "postgresql"))
def former(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The ``store_url`` of a Lab of before, with what it recorded."""
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    url = elsewhere if request.param == "sqlite" else request.getfixturevalue("server").database()
    fill(url, tmp_path)
    return url


def names_in(store: Store, column: Any) -> list[str]:
    with store.reading() as connection:
        return list(connection.execute(select(column).order_by(column)).scalars())


def test_the_tables_of_a_store_of_before_become_local_once(former: str, tmp_path: Path) -> None:
    local = LocalStore(tmp_path / "store.db", former=make_url(former))
    # A file is this user's; a server may have been a team's, so what others did there, and whose models load
    # unasked, is not taken from there.
    own = former.startswith("sqlite")
    assert names_in(local, targets.c.name) == ["gpu"]
    assert names_in(local, deployments.c.name) == (["another's", "digits"] if own else ["digits"])
    with local.reading() as connection:
        running = connection.execute(select(deployments).where(deployments.c.name == "digits")).one()
    before = deployment("digits", tmp_path / "deployments" / "digits")
    new = {"target": "", "spec": "{}", "revision": 0, "generation": 0}
    assert running._mapping == {name: before[name] for name in running._mapping if name in before} | new
    assert (running.state, running.lease_until) == ("running", 2.0), "it goes on"
    assert names_in(local, profiles.c.id) == ["p0", "p1", "p2"]
    assert names_in(local, model_hashes.c.digest) == (["d"] if own else [])
    with local.transaction() as connection:
        connection.execute(targets.delete())
    local.close()
    local = LocalStore(tmp_path / "store.db", former=make_url(former))
    assert names_in(local, targets.c.name) == [], "what was removed since stays away"
    local.close()
    shared = SharedStore(former)
    assert shared.touch("audit") == 1, "the shared tables come beside those of before"
    shared.close()
    store_of_before(former).close()  # an older Lab opens it as it was


def test_an_older_store_has_fewer_tables_and_columns(tmp_path: Path) -> None:
    former = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    before = store_of_before(former, "0001")
    with before.transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO tracked_runs (run_key, name, state, acked_seq, started_at) VALUES ('k', 'n', 'open', 7, 1)"
            )
        )
        connection.execute(text("INSERT INTO model_hashes VALUES ('d', 'r', 'm', 1)"))
    before.close()
    local = LocalStore(tmp_path / "store.db", former=make_url(former))
    with local.reading() as connection:
        (run,) = connection.execute(select(tracked_runs))
    assert (run.run_key, run.acked_seq, run.place) == ("k", 7, None)
    assert names_in(local, model_hashes.c.digest) == [], "as the migration of then forgets them"
    local.close()


def test_copying_that_is_killed_begins_again(tmp_path: Path) -> None:
    former = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    fill(former, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        put, done = upsert, list[str]()

        def until_the_third(connection: Connection, *arguments: Any, **options: Any) -> bool:
            done.append("row")
            if len(done) == 3:
                kill()
            return put(connection, *arguments, **options)

        patch.setattr("genops_lab.core.store.local.upsert", until_the_third)
        killed_in(lambda: LocalStore(tmp_path / "store.db", former=make_url(former)))
    local = LocalStore(tmp_path / "store.db")
    assert names_in(local, deployments.c.name) == [] and names_in(local, targets.c.name) == []
    local.close()
    local = LocalStore(tmp_path / "store.db", former=make_url(former))
    assert names_in(local, targets.c.name) == ["gpu"] and len(names_in(local, profiles.c.id)) == 3
    local.close()


def test_what_the_store_in_use_said_goes_before_an_older_file(tmp_path: Path) -> None:
    """The default file was left when store_url was set; the deployment that runs is the one that store_url knows."""
    before = store_of_before(f"sqlite:///{tmp_path / 'store.db'}")
    with before.transaction() as connection:
        deploy(connection, **deployment("digits", tmp_path, "stopped"))
        connection.execute(revisions.insert().values(kind="run", revision=9))
    before.close()
    former = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    fill(former, tmp_path)
    local = LocalStore(tmp_path / "store.db", former=make_url(former))
    with local.reading() as connection:
        state = connection.execute(select(deployments.c.state).where(deployments.c.name == "digits")).scalar()
    assert state == "running" and local.revisions() == {"run": 9}
    local.close()


def test_a_server_of_before_that_is_away_is_copied_later(tmp_path: Path, server: Postgres) -> None:
    former = server.database()
    fill(former, tmp_path)
    server.stop()
    try:
        local = LocalStore(tmp_path / "store.db", former=make_url(former))
        with local.transaction() as connection:
            connection.execute(targets.insert().values(**{**TARGET, "host": "gpu2"}))
        local.close()
    finally:
        server.start()
    local = LocalStore(tmp_path / "store.db", former=make_url(former))
    assert names_in(local, targets.c.host) == ["gpu2"], "what was said since goes before"
    assert names_in(local, profiles.c.id) == ["p0", "p1", "p2"]
    local.close()


def test_both_stores_may_be_one_file(tmp_path: Path) -> None:
    """``store_url`` may name the very file that is the local store's."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    fill(url, tmp_path)
    local, shared = LocalStore(tmp_path / "store.db", former=make_url(url)), SharedStore(url)
    post_entries(local, "a")
    Outbox(local, shared).deliver()
    assert audited(shared) == ["a"] and names_in(local, targets.c.name) == ["gpu"]
    assert (local.touch("run"), shared.touch("run")) == (1, 1)
    local.close()
    shared.close()
