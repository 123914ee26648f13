"""MLflow databases as older versions of MLflow made them, by MLflow's own migrations."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from pathlib import Path

#: The schema of MLflow 2.20.
OF_MLFLOW_2_20 = "0584bdc529eb"


def make_database(file: Path, revision: str = OF_MLFLOW_2_20) -> None:
    """Make ``file`` with the schema ``revision`` and one experiment."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config
    from mlflow.store.tracking.dbmodels.initial_models import Base
    from sqlalchemy import create_engine

    engine = create_engine(f"sqlite:///{file}")
    Base.metadata.create_all(engine)
    engine.dispose()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    command.upgrade(_get_alembic_config(f"sqlite:///{file}"), revision)
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) "
            "VALUES (0, 'Default', ?, 'active')",
            (str(file.parent / "artifacts"),),
        )


def revision_of(file: Path) -> str:
    """The schema's revision, read without MLflow."""
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        [(revision,)] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(revision)
