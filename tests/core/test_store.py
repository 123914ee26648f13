"""The store: migrations, write transactions, corrupt files, several processes."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from genops_lab.core.errors import Failed, Unavailable
from genops_lab.core.store import LocalStore
from tests.support.exhaustive import times
from tests.support.stores import store_of_before


def test_migrations_make_the_tables_that_the_code_declares(tmp_path: Path) -> None:
    LocalStore(tmp_path / "store.db").close()
    declared = create_engine("sqlite://")
    LocalStore.schema.tables.create_all(declared)
    migrated = create_engine(f"sqlite:///{tmp_path / 'store.db'}")

    def columns(engine: object) -> dict[str, dict[str, tuple[str, bool]]]:
        found = inspect(engine)
        return {
            table: {
                column["name"]: (str(column["type"]), bool(column["nullable"]))
                for column in found.get_columns(table)
            }
            for table in found.get_table_names()
            if table != "alembic_version"
        }

    assert columns(migrated) == columns(declared)
    version = (
        sqlite3.connect(tmp_path / "store.db").execute("SELECT version_num FROM alembic_version").fetchone()
    )
    assert version == (LocalStore.schema.head,)


def test_store_is_private_and_in_wal_mode_on_a_local_disk(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store.db")
    store.touch("run")
    assert (tmp_path / "store.db").stat().st_mode & 0o077 == 0
    mode = sqlite3.connect(tmp_path / "store.db").execute("PRAGMA journal_mode").fetchone()
    assert mode == ("wal",)
    store.close()


def test_network_home_gets_a_rollback_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A network file system cannot be had here: what the mount table says is replaced.
    monkeypatch.setattr("genops_lab.core.store.store.on_network", lambda _path: True)
    store = LocalStore(tmp_path / "store.db")
    store.touch("run")
    mode = sqlite3.connect(tmp_path / "store.db").execute("PRAGMA journal_mode").fetchone()
    assert mode == ("delete",)
    store.close()


def test_a_corrupt_file_is_set_aside_and_named(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"this is not a database" * 500)
    store = LocalStore(path)
    assert store.set_aside is not None and store.set_aside.read_bytes().startswith(b"this is not")
    assert store.touch("run") == 1
    store.close()


def test_a_store_of_a_newer_version_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    LocalStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(Failed, match="newer GenOps Lab"):
        LocalStore(path)
    assert path.read_bytes() == before


def test_digests_of_models_that_older_versions_took_are_forgotten(tmp_path: Path) -> None:
    """What MLflow held at a run's end may have been another's model."""
    path = tmp_path / "store.db"
    store_of_before(f"sqlite:///{path}", "0005").close()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO model_hashes VALUES ('d', 'r', 'm', 1.0)")
    LocalStore(path).close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT * FROM model_hashes").fetchall() == []


def test_a_write_transaction_that_has_only_read_holds_others_off(tmp_path: Path) -> None:
    """Else what it read may not hold when it writes."""
    store = LocalStore(tmp_path / "store.db")
    with store.transaction(), pytest.raises(sqlite3.OperationalError, match="locked"):
        sqlite3.connect(tmp_path / "store.db", timeout=0).execute("BEGIN IMMEDIATE")
    store.close()


def _bump_many(path: Path) -> None:
    store = LocalStore(path)
    for _ in range(50):
        store.touch("run")
    store.close()


def test_processes_that_open_a_new_store_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    count = times(8, 3)
    processes = [context.Process(target=_bump_many, args=(tmp_path / "store.db",)) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * count
    store = LocalStore(tmp_path / "store.db")
    assert store.revisions() == {"run": 50 * count}
    store.close()


def test_an_idempotency_key_is_claimed_once(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store.db")
    assert store.claim("key", "deploy", "digits") is None
    assert store.claim("key", "deploy", "other") == "digits"
    store.close()


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store.db")
    with store.transaction() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(
            f"PRAGMA max_page_count = {pages}"
        )  # what a full disk answers: SQLITE_FULL
    with pytest.raises(Unavailable, match=r"full"), store.transaction() as connection:
        connection.exec_driver_sql("CREATE TABLE big (x TEXT)")
        for _ in range(200):
            connection.exec_driver_sql("INSERT INTO big VALUES (hex(randomblob(2000)))")
    assert "big" not in inspect(create_engine(f"sqlite:///{tmp_path / 'store.db'}")).get_table_names()
    store.close()
