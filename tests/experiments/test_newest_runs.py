"""A command without a Lab reads the newest runs alone, where it shows no others."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from genops_lab.experiments.columns.api import ApiSource, ClientApi
from genops_lab.experiments.columns.backend import RunMirror
from genops_lab.experiments.columns.models import RunSearch, RunSort
from tests.support.many_runs import fill

RUNS = 400


@pytest.fixture
def many(empty_store: Path, tmp_path: Path) -> tuple[Path, list[str]]:
    """A store, and its runs' ids, newest first."""
    file = tmp_path / "mlflow.db"
    shutil.copy(empty_store, file)
    return file, fill(file, RUNS)


def mirror_of(file: Path, folder: Path) -> RunMirror:
    return RunMirror(f"sqlite:///{file}", str(folder / "runs"))


def test_the_newest_are_read_alone(many: tuple[Path, list[str]], tmp_path: Path) -> None:
    file, ids = many
    mirror = mirror_of(file, tmp_path)
    found = mirror.search(RunSearch(limit=5, offset=2, wait_s=60))
    assert [run.run_id for run in found.runs] == ids[2:7]
    assert found.matched == found.state.total == RUNS
    assert found.state.read < RUNS and not found.state.complete
    assert not mirror._mirror.is_started
    whole = mirror_of(file, tmp_path).search(RunSearch(limit=RUNS, wait_s=60))
    assert [run.run_id for run in whole.runs] == ids and whole.state.complete
    assert whole.runs[2:7] == found.runs


QUESTIONS: list[dict[str, Any]] = [
    {"experiments": ["digits"]},
    {"experiments": ["digits", "forecast"], "lifecycle": "all"},
    {"lifecycle": "deleted"},
    {"sort": ["-start_time"]},
    {"sort": ["-metrics.accuracy"]},
    {"sort": ["metrics.accuracy"], "experiments": ["digits"], "lifecycle": "all"},
    {"sort": ["metrics.odd"]},
    {"sort": ["-metrics.odd"]},
    {"query": "metrics.accuracy > 0.9"},
    {"query": "metrics.accuracy <= 0.95 AND params.optimizer = adam AND NOT name LIKE '%fox%'"},
    {"query": "metrics.odd > 3 and metrics.odd < 1e400", "sort": ["-params.lr", "metrics.accuracy"]},
    {"query": "params.optimizer = 'none such'", "lifecycle": "all"},
]
ALL: list[dict[str, Any]] = [
    {"query": "params.lr > 0"},
    {"query": "metrics.accuracy > 0.9 OR params.optimizer = sgd"},
    {"query": "metrics.acuracy > 0.9"},
    {"sort": ["-params.lr"]},
    {"sort": ["-metrics.accuracy", "run_name"]},
]


def question(limit: int, query: str = "", sort: Sequence[str] = (), **more: Any) -> RunSearch:
    by = [RunSort(column=key.lstrip("-"), descending=key.startswith("-")) for key in sort]
    return RunSearch(query=query, sort=by, limit=limit, wait_s=60, **more)


@pytest.fixture
def odd(many: tuple[Path, list[str]]) -> Path:
    """The store with deleted runs, and a metric with ties, NaN and infinities that some runs lack."""
    file, ids = many
    values = [3.0, 3.0, 5.0, None, 1.7976931348623157e308, -2.0]
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        for at, run in enumerate(ids[:120]):
            value = values[at % len(values)]
            row = (run, "odd", 0.0 if value is None else value, value is None)
            connection.execute(
                "INSERT INTO latest_metrics (run_uuid, key, value, is_nan, timestamp, step) VALUES (?, ?, ?, ?, 0, 0)",
                row,
            )
            if at % 7 == 0:
                connection.execute("UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", (run,))
            if at % 5 == 0:
                connection.execute("UPDATE runs SET start_time = 1 WHERE run_uuid = ?", (run,))
    return file


def test_what_is_sorted_and_asked_for_is_found_without_reading_all(odd: Path, tmp_path: Path) -> None:
    reads_all = mirror_of(odd, tmp_path)
    reads_all._mirror.now(60)
    reads_few = mirror_of(odd, tmp_path / "few")
    for more in QUESTIONS:
        for limit in (1, 7, 40):
            asked = question(limit, **more)
            found, right = reads_few.search(asked), reads_all.search(asked)
            assert found.runs == right.runs, more
            assert (found.matched, found.doubts, found.state.version) == (right.matched, right.doubts, 0), (
                more
            )
    assert not reads_few._mirror.is_started
    reads_all._mirror.close()


def test_mlflows_own_search_is_asked_where_its_database_is_not_read(odd: Path, tmp_path: Path) -> None:
    reads_all = mirror_of(odd, tmp_path)
    reads_all._mirror.now(60)
    reads_few = mirror_of(odd, tmp_path / "few")
    reads_few._mirror.opens[:] = [lambda: ApiSource(ClientApi(f"sqlite:///{odd}"))]
    none_matches = {"query": "params.optimizer = 'none such'", "lifecycle": "all"}
    for more in QUESTIONS:
        if more == none_matches:  # whether there is such a parameter is not told
            continue
        found, right = reads_few.search(question(7, **more)), reads_all.search(question(7, **more))
        assert found.runs == right.runs, more
        assert not reads_few._mirror.is_started, more
        assert found.matched == right.matched or not found.state.complete, more
    reads_all._mirror.close()


@pytest.mark.parametrize("more", ALL)
def test_any_other_question_asks_all_runs(many: tuple[Path, list[str]], tmp_path: Path, more: Any) -> None:
    mirror = mirror_of(many[0], tmp_path)
    assert mirror.search(question(5, **more)).state.complete and mirror._mirror.is_started
    mirror._mirror.close()


def test_where_the_newest_are_deleted_the_others_are_read(
    many: tuple[Path, list[str]], tmp_path: Path
) -> None:
    file, ids = many
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(
            "UPDATE runs SET lifecycle_stage = 'deleted' WHERE run_uuid = ?", [(each,) for each in ids[:200]]
        )
    mirror = mirror_of(file, tmp_path)
    found = mirror.search(RunSearch(limit=5, wait_s=60))
    assert [run.run_id for run in found.runs] == ids[200:205]
    mirror._mirror.close()
