"""What MLflow does anew for each of its databases, done once in the warm process: 0.6 CPU seconds a new SQLite file.

MLflow makes a new file by its 68 migrations, in the order of its years, and looks through them all for the newest
when it opens any. Here its own code makes one such file, without rows of a store, whose content forks put into the
new ones. Files are made by the migrations where processes start cold: in the installed Labs of ``tests/packaging``, and
in kernels with a file of their own (``tests/runtime``).
"""

from __future__ import annotations

import contextlib
import functools
import sqlite3
from pathlib import Path
from typing import Any


def make_once(made: Path) -> None:
    """Make the file ``made``, and have this process and its forks fill new SQLite files from it."""
    from mlflow.store.db import utils
    from mlflow.store.model_registry import sqlalchemy_store as registry

    initialize: Any = utils._initialize_tables
    engine = utils.create_sqlalchemy_engine(f"sqlite:///{made}")
    initialize(engine)
    engine.dispose()

    def fill(engine: Any) -> None:
        if engine.dialect.name != "sqlite" or not utils._is_empty_database(engine):
            return initialize(engine)
        with contextlib.closing(sqlite3.connect(made)) as source, engine.connect() as connection:
            source.backup(connection.connection.driver_connection)

    utils._initialize_tables = registry._initialize_tables = fill
    utils._get_latest_schema_revision = functools.cache(utils._get_latest_schema_revision)
    utils._get_latest_schema_revision()
