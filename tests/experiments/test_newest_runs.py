"""A command without a Lab reads the newest runs alone, where it shows no others."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest

from genops_lab.experiments.columns.backend import RunMirror
from genops_lab.experiments.columns.models import RunSearch
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


@pytest.mark.parametrize(
    "more", [{"query": "params.lr > 0"}, {"experiments": ["digits"]}, {"lifecycle": "deleted"}]
)
def test_any_other_question_asks_all_runs(
    many: tuple[Path, list[str]], tmp_path: Path, more: dict[str, object]
) -> None:
    mirror = mirror_of(many[0], tmp_path)
    assert mirror.search(RunSearch(limit=5, wait_s=60, **more)).state.complete  # type: ignore[arg-type]
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
