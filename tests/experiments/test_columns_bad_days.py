"""Stores that are down, slow, replaced, damaged or wide."""

from __future__ import annotations

import contextlib
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from genops_lab.core.errors import Unavailable
from genops_lab.experiments.columns import disk, mirror, sqlite_source
from genops_lab.experiments.columns.api import ApiSource, HttpApi
from genops_lab.experiments.columns.backend import state_of, ways_to
from genops_lab.experiments.columns.changes import Changes
from genops_lab.experiments.columns.mirror import Mirror
from genops_lab.experiments.columns.snapshot import Snapshot
from genops_lab.experiments.columns.source import UnknownSchema
from genops_lab.experiments.columns.sqlite_source import SqliteSource
from tests.support import many_runs
from tests.support.exhaustive import times
from tests.support.homes import Home
from tests.support.lab_server import free_port
from tests.support.mlflow_server import running_mlflow
from tests.support.run_changes import as_mirrored, as_mlflow_says

from .columns_stands import LONG_S, sqlite_stand


@pytest.fixture(autouse=True)
def quiet(clean_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is away is noticed at once, as in the Lab."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


def _rows_of(mirror: Mirror) -> int:
    return mirror.state().asked.snapshot.rows


def _names(mirror: Mirror) -> set[str]:
    return {each["run_name"] for each in as_mirrored(mirror.state()).values()}


def _until(mirror: Mirror, condition: Callable[[], bool]) -> None:
    """Wait for a state of the mirror."""
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        mirror.wait(mirror.state().version, 0.05)


def test_a_server_that_is_down_slow_and_another_one(home: Home, empty_store: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    mirror = Mirror([lambda: ApiSource(HttpApi(url), every_s=0.05)], tmp_path / "kept")
    with pytest.raises(Unavailable) as down:
        mirror.now(0)
    assert str(port) in down.value.message and down.value.hint
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        shutil.copy(empty_store, tmp_path / name / "far.db")
    with sqlite3.connect(tmp_path / "second" / "far.db") as connection:
        # Made at another time, as another MLflow would be.
        connection.execute("UPDATE experiments SET creation_time = creation_time + 1")
    connection.close()
    for name in ("first", "second"):
        store = f"sqlite:///{tmp_path / name}/far.db"
        with running_mlflow(home, store, tmp_path / name / "artifacts", port):
            client = MlflowClient(url)
            client.create_run("0", run_name=name)
            _until(mirror, lambda name=name: _names(mirror) == {name} and not mirror.state().problem)
        _until(mirror, lambda: mirror.state().problem is not None)
        assert _rows_of(mirror) == 1, "what was read stays"
        assert mirror.now(0).problem is not None
    with socket.socket() as silent:  # takes connections and says nothing
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind(("127.0.0.1", port))
        silent.listen()
        _until(mirror, lambda: "slowly" in str(mirror.state().problem))
    mirror.close()


def test_a_file_that_is_replaced_or_gone(tmp_path: Path, empty_store: Path) -> None:
    stand = sqlite_stand(tmp_path, empty_store)
    stand.changer.change("create", 0, "old")
    stand.same()
    file = Path(stand.uri.removeprefix("sqlite:///"))
    other = tmp_path / "other.db"
    shutil.copy(empty_store, other)
    with sqlite3.connect(other) as connection:
        connection.execute("UPDATE experiments SET creation_time = 1")
    connection.close()
    file.rename(tmp_path / "moved.db")
    _until(stand.mirror, lambda: stand.mirror.state().problem is not None)
    assert _rows_of(stand.mirror) == 1, "what was read stays"
    other.rename(file)
    _until(stand.mirror, lambda: _rows_of(stand.mirror) == 0 and stand.mirror.state().problem is None)
    stand.close()


def test_a_schema_that_is_not_known_is_not_read(tmp_path: Path, empty_store: Path) -> None:
    file = tmp_path / "newer.db"
    shutil.copy(empty_store, file)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'fffffffffff0'")
    connection.close()
    with pytest.raises(UnknownSchema):
        SqliteSource(file)
    # MLflow itself opens no such file either, and says why.
    mirror = Mirror(ways_to(f"sqlite:///{file}"), tmp_path / "kept")
    with pytest.raises(Unavailable, match="schema"):
        mirror.now(0)
    mirror.close()


def test_a_schema_that_changes_under_it(tmp_path: Path, empty_store: Path) -> None:
    stand = sqlite_stand(tmp_path, empty_store)
    stand.changer.change("create", 0, "a")
    stand.same()
    file = stand.uri.removeprefix("sqlite:///")
    source = SqliteSource(Path(file))
    known = Snapshot()
    for block in source.blocks():
        known = known.apply(block)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'fffffffffff0'")
    connection.close()
    with pytest.raises(UnknownSchema):
        source.poll(known, frozenset())
    source.close()
    stand.close()


def test_what_is_kept_is_shown_at_once_and_damaged_files_are_thrown_away(
    tmp_path: Path, empty_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stand = sqlite_stand(tmp_path, empty_store)
    for change in (("create", 0, "é"), ("metric", 0, ("loss", float("nan"), 1, 1)), ("param", 0, ("a", "é" * 3000)),
                   ("create", 0, None), ("tag", 1, ("é", "1")), ("delete", 1, None)):  # fmt: skip
        stand.changer.change(*change)
    stand.same()
    stand.mirror.close()
    (kept,) = stand.kept.glob("*.arrow")
    assert kept.stat().st_mode & 0o777 == 0o600 and stand.kept.stat().st_mode & 0o777 == 0o700
    source = SqliteSource(Path(stand.uri.removeprefix("sqlite:///")))
    identity = source.identity()
    source.close()
    found = disk.load(stand.kept, identity)
    assert found is not None
    assert disk.load(stand.kept, "another store") is None
    whole = kept.read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"", b"x" + whole[1:], whole[:-9] + b"123456789"):
        kept.write_bytes(damaged)
        caplog.clear()
        assert disk.load(stand.kept, identity) is None
        assert "are deleted" in caplog.text and not kept.exists()
    kept.write_bytes(whole)
    stand.mirror = stand.another()
    stand.same()
    expected = as_mlflow_says(stand.client)
    stand.mirror.close()
    again = disk.load(stand.kept, identity)
    assert again is not None
    from genops_lab.experiments.columns.mirror import Shown
    from genops_lab.experiments.columns.selection import Asked

    assert as_mirrored(Shown(Asked(again.snapshot))) == expected
    stand.close()


def test_what_an_earlier_process_kept_is_refreshed_before_it_is_shown(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = sqlite_stand(tmp_path, empty_store)
    stand.changer.change("create", 0, "before")
    stand.same()
    stand.mirror.close()
    stand.changer.change("create", 0, "while it was away")
    again = stand.mirror = stand.another()
    shown = again.now(0)
    assert (shown.complete, shown.asked.snapshot.rows) == (True, 2), "the run that came meanwhile is missing"
    assert not state_of(shown).refreshing
    again.close()
    # A store that takes longer: what is known is shown, and said to be of before.
    stand.changer.change("create", 0, "later")
    go = threading.Event()
    read = Mirror._read
    monkeypatch.setattr(Mirror, "_read", lambda mirror, source: go.wait(LONG_S) and read(mirror, source))
    slow = stand.mirror = stand.another()
    shown = slow.now(0)
    assert shown.asked.snapshot.rows == 2 and state_of(shown).refreshing
    go.set()
    shown = slow.wait(shown.version, 10.0)
    assert shown.asked.snapshot.rows == 3 and not state_of(shown).refreshing
    stand.close()


def test_a_large_store_shows_its_newest_runs_before_the_kept_ones_and_these_before_it_is_read(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = sqlite_stand(tmp_path, empty_store)
    for name in ("first", "second"):
        stand.changer.change("create", 0, name)
    stand.same()
    stand.mirror.close()
    stand.changer.change("create", 0, "while it was away")
    go = {"load": threading.Event(), "_read": threading.Event()}
    read, load = Mirror._read, mirror.load
    monkeypatch.setattr(mirror, "_READ_AT_ONCE", 1)
    monkeypatch.setattr(mirror, "FIRST_ROWS", 1)
    monkeypatch.setattr(mirror, "load", lambda *of: load(*of) if go["load"].wait(LONG_S) else None)
    monkeypatch.setattr(Mirror, "_read", lambda own, source: go["_read"].wait(LONG_S) and read(own, source))
    again = stand.mirror = stand.another()
    seen = []
    shown = again.now(0)
    for event in go.values():
        seen.append((shown.asked.snapshot.rows, shown.total, shown.complete, state_of(shown).refreshing))
        event.set()
        shown = again.wait(shown.version, LONG_S)
    assert seen == [(1, 3, False, False), (3, 3, True, True)]
    assert shown.asked.snapshot.rows == 3 and not state_of(shown).refreshing
    stand.close()


def test_a_disk_that_cannot_be_written(
    tmp_path: Path, empty_store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stand = sqlite_stand(tmp_path, empty_store)
    stand.kept.write_text("a file where the folder would be")
    stand.changer.change("create", 0, "a")
    stand.same()
    stand.mirror.close()
    assert "could not be saved" in caplog.text
    stand.close()


def test_twelve_thousand_columns(tmp_path: Path, empty_store: Path) -> None:
    """12,000 sparse columns over 10,000 runs: what the arrays take is bounded by what is there."""
    file = tmp_path / "wide.db"
    shutil.copy(empty_store, file)
    runs, columns, each = times(10_000, 2_000), times(12_000, 2_400), 20
    with sqlite3.connect(file) as connection:
        connection.executemany(
            "INSERT INTO runs (run_uuid, status, start_time, lifecycle_stage, experiment_id, source_type) "
            "VALUES (?, 'FINISHED', ?, 'active', 0, 'UNKNOWN')",
            [(f"{number:032x}", number) for number in range(runs)],
        )
        connection.executemany(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, 1, 0, 0, ?)",
            [
                (f"m{(run * each + at) % (columns // 2)}", float(run), f"{run:032x}")
                for run in range(runs)
                for at in range(each // 2)
            ],
        )
        connection.executemany(
            "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
            [
                (f"p{(run * each + at) % (columns // 2)}", str(run % 7), f"{run:032x}")
                for run in range(runs)
                for at in range(each // 2)
            ],
        )
    connection.close()
    mirror = Mirror(ways_to(f"sqlite:///{file}"), tmp_path / "kept")
    shown = mirror.now(4 * LONG_S)
    snapshot = shown.asked.snapshot
    made = len(snapshot.columns["metric"]) + len(snapshot.columns["param"])
    assert (shown.complete, snapshot.rows) == (True, runs)
    assert made >= columns // 2
    assert snapshot.nbytes / snapshot.values < 20
    row = snapshot.places[f"{17:032x}"]
    (run,) = shown.asked.runs(np.array([row]), ())
    assert len(run.metrics) == len(run.params) == each // 2
    mirror.close()


def test_a_writer_that_holds_the_file(tmp_path: Path, empty_store: Path) -> None:
    stand = sqlite_stand(tmp_path, empty_store)
    stand.changer.change("create", 0, "a")
    stand.same()
    holder = sqlite3.connect(stand.uri.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    _until(stand.mirror, lambda: "locked" in str(stand.mirror.state().problem))
    assert _rows_of(stand.mirror) == 1
    holder.execute("ROLLBACK")
    holder.close()
    _until(stand.mirror, lambda: stand.mirror.state().problem is None)
    stand.same()
    stand.close()


def test_who_waits_for_changes_does_not_make_the_store_polled_all_the_time(
    tmp_path: Path, empty_store: Path
) -> None:
    polls: list[int] = []

    class Counting(SqliteSource):
        def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
            polls.append(1)
            return super().poll(known, touched)

    stand = sqlite_stand(
        tmp_path, empty_store, opens=lambda: Counting(Path(stand.uri.removeprefix("sqlite:///")))
    )
    version = stand.mirror.now(LONG_S).version
    polls.clear()
    stand.mirror.wait(version, 4 * SqliteSource.every_s)
    assert 1 <= len(polls) <= 8
    stand.close()


def test_a_run_that_is_touched_and_gone_costs_one_more_reading(tmp_path: Path, empty_store: Path) -> None:
    stand = sqlite_stand(tmp_path, empty_store)
    stand.changer.change("create", 0, "a")
    run = stand.changer.runs[0]
    stand.same()
    stand.changer.change("delete", 0, None)
    stand.changer.change("delete for good", 0, None)
    stand.mirror.touch([run, "f" * 32])
    stand.same()
    stand.same()
    stand.close()


def test_a_program_that_writes_all_the_time_hides_no_change_of_an_old_run(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit before each poll, and one slice a poll. A question ended only when nobody wrote any more."""
    monkeypatch.setattr(sqlite_source, "_BUDGET_S", -1.0)
    database = tmp_path / "always-written.db"
    shutil.copyfile(empty_store, database)
    oldest = many_runs.fill(database, 600)[-1]

    class Written(SqliteSource):
        def poll(self, known: Snapshot, touched: frozenset[str]) -> Changes:
            with contextlib.closing(sqlite3.connect(database)) as writer, writer:
                writer.execute("PRAGMA synchronous = OFF")
                writer.execute("UPDATE experiments SET last_update_time = last_update_time + 1")
            return super().poll(known, touched)

    mirror = Mirror([lambda: Written(database)], tmp_path / "kept")
    mirror.now(LONG_S)
    with contextlib.closing(sqlite3.connect(database)) as writer, writer:
        writer.execute("UPDATE runs SET name = 'renamed' WHERE run_uuid = ?", (oldest,))
    begun = time.time()
    shown = mirror.now(LONG_S)
    assert (shown.as_of or 0) > begun
    assert as_mirrored(shown)[oldest]["run_name"] == "renamed"
    mirror.close()
