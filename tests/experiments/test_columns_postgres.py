"""The mirror of a PostgreSQL against MLflow's own answers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import create_engine, text

from genops_lab.experiments.columns.backend import RunMirror
from genops_lab.experiments.columns.models import RunSearch, RunSort
from genops_lab.experiments.columns.postgres_source import PostgresSource
from tests.support.exhaustive import times
from tests.support.postgres import missing, running_postgres
from tests.support.run_changes import as_mirrored, as_mlflow_says

from .columns_stands import Stand, make_changes
from .test_columns_sqlite import SOME_CHANGES

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    with running_postgres() as uri:
        yield uri


def opens(uri: str) -> PostgresSource:
    """A source that need not wait."""
    return PostgresSource(uri, every_s=0.02)


@settings(
    max_examples=times(6, 2),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(changes=SOME_CHANGES)
def test_it_says_what_mlflow_says(database: str, tmp_path: Path, changes: list[Any]) -> None:
    stand = Stand(database, tmp_path / "kept", lambda: opens(database))
    try:
        make_changes(stand, changes)
    finally:
        stand.close()


def test_it_goes_on_from_what_was_kept(database: str, tmp_path: Path) -> None:
    stand = Stand(database, tmp_path / "kept")
    stand.changer.change("create", 0, "before")
    stand.changer.change("tag", 0, ("a", "1"))
    stand.changer.change("tag", 0, ("b c", "1"))
    stand.same()
    stand.mirror.close()
    stand.changer.change("untag", 0, "a")
    stand.changer.change("create", 0, "after")
    again = stand.another()
    again.now(60)
    shown = again.now(60)
    assert shown.source == "postgresql"
    assert as_mirrored(shown) == as_mlflow_says(stand.client)
    again.close()
    stand.close()


def test_what_another_transaction_has_not_committed_yet_is_seen_later(database: str, tmp_path: Path) -> None:
    stand = Stand(database, tmp_path / "kept", lambda: opens(database))
    stand.changer.change("create", 0, "open")
    run = stand.changer.runs[0]
    stand.same()
    engine = create_engine(database)
    with engine.connect() as slow:
        slow.execute(text("INSERT INTO tags (run_uuid, key, value) VALUES (:run, 'slow', '1')"), {"run": run})
        # Later transactions come and go meanwhile.
        stand.changer.change("tag", 0, ("a", "1"))
        stand.changer.change("create", 0, "quick")
        stand.same()
        slow.commit()
    stand.same()
    assert "slow" in as_mirrored(stand.seen())[run]["tags"]
    engine.dispose()
    stand.close()


def test_a_question_reads_what_it_needs(database: str, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(database)
    experiment = client.create_experiment("narrow", artifact_location=str(tmp_path))
    for number in range(4):
        run = client.create_run(experiment, start_time=number + 1).info.run_id
        client.log_metric(run, "odd one", (3.0, math.nan, math.inf, 3.0)[number])
        client.log_param(run, "net", f"n{number % 2}")
    reads_few, reads_all = (RunMirror(database, str(tmp_path / name)) for name in ("few", "all"))
    reads_all._mirror.now(60)
    by = [RunSort(column="metrics.odd one", descending=True)]
    questions: tuple[dict[str, Any], ...] = (
        {"sort": by},
        {"experiments": ["narrow"]},
        {"query": 'metrics."odd one" >= 3 AND params.net = n1', "lifecycle": "all", "sort": by},
    )
    for more in questions:
        asked = RunSearch(limit=3, wait_s=60, **more)
        found, right = reads_few.search(asked), reads_all.search(asked)
        assert len(right.runs) > 0 and (found.runs, found.matched) == (right.runs, right.matched), more
    assert not reads_few._mirror.is_started
    reads_all._mirror.close()
