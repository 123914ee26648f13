"""The schemas that are read directly, against MLflow's own migrations."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

from genops_lab.experiments.columns.source import KNOWN_REVISIONS
from genops_lab.experiments.columns.sqlite_source import SqliteSource

_READ = {
    "runs": {"run_uuid", "name", "status", "start_time", "end_time", "lifecycle_stage", "experiment_id", "user_id",
             "artifact_uri"},
    "params": {"run_uuid", "key", "value"},
    "tags": {"run_uuid", "key", "value"},
    "latest_metrics": {"run_uuid", "key", "value", "is_nan"},
    "metrics": {"run_uuid"},
    "experiments": {"experiment_id", "name", "lifecycle_stage", "creation_time", "artifact_location"},
}  # fmt: skip
_INDEXES = {"index_params_run_uuid", "index_tags_run_uuid", "index_latest_metrics_run_uuid"}


@pytest.mark.exhaustive  # that the newest one is read is told by test_run_table.py
def test_each_known_revision_has_what_is_read(tmp_path: Path) -> None:
    from alembic import command
    from alembic.script import ScriptDirectory
    from mlflow.store.db import utils
    from mlflow.store.tracking.dbmodels.initial_models import Base

    mlflow: Any = utils
    file = tmp_path / "store.db"
    engine = create_engine(f"sqlite:///{file}")
    Base.metadata.create_all(engine)
    engine.dispose()
    configuration = mlflow._get_alembic_config(f"sqlite:///{file}")
    revisions = [each.revision for each in ScriptDirectory.from_config(configuration).walk_revisions()][::-1]
    logging.getLogger("alembic").setLevel(logging.WARNING)
    for revision in revisions:
        command.upgrade(configuration, revision)
        if revision not in KNOWN_REVISIONS:
            continue
        with contextlib.closing(sqlite3.connect(file)) as connection:
            for table, columns in _READ.items():
                there = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
                assert columns <= there, f"{revision}: {table}"
            indexes = {
                row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")
            }
            assert indexes >= _INDEXES, revision
        source = SqliteSource(file)
        assert list(source.blocks())
        source.close()
    assert set(revisions) >= KNOWN_REVISIONS, "a revision that MLflow does not have"
