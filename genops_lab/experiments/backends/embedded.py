"""Make the embedded MLflow's database file, once, in the worker process."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genops_lab.core.errors import Failed
from genops_lab.core.locks import locked

from .client import mlflow_errors
from .empty_database import write_empty


class EmbeddedStore:
    """Creates and migrates the file. A lock prevents that two processes open a new file at once, which would
    ruin it.
    """

    def __init__(self, database: str, artifact_root: str, **_others: Any) -> None:
        self._database = Path(database)
        self._artifacts = artifact_root

    def prepare_at_once(self) -> bool:
        """Make a new file where that needs no MLflow. Return whether the file is ready."""
        with locked(lock_of(self._database)):
            if (
                not is_ready(self._database)
                and not self._is_there
                and not _upgrading(self._database).exists()
            ):
                self._create(without_mlflow=True)
            return is_ready(self._database)

    @property
    def _is_there(self) -> bool:
        return self._database.exists() and self._database.stat().st_size > 0

    def prepare(self) -> None:
        """Make the file, or migrate an older one to this MLflow's schema; does nothing if the file is ready."""
        with locked(lock_of(self._database)):
            if is_ready(self._database):  # before mlflow is imported: usually another process was faster
                return
            with mlflow_errors("The embedded MLflow could not be prepared"):
                self._undo_a_cut_upgrade()
                if self._is_there:
                    self._upgrade()
                    self._mark()
                else:
                    self._create()

    def _mark(self) -> None:
        marker_of(self._database).write_text(version("mlflow"), encoding="utf-8")

    def _create(self, *, without_mlflow: bool = False) -> None:
        new = self._database.with_name(f"{self._database.name}.new")
        for leftover in (new, new.with_name(f"{new.name}-journal")):
            leftover.unlink(missing_ok=True)
        if not without_mlflow:
            self._by_migrations(new)
        elif not write_empty(new, self._artifacts):
            return
        new.chmod(0o600)
        new.rename(self._database)
        self._mark()

    def _by_migrations(self, new: Path) -> None:
        from mlflow.store.tracking import sqlalchemy_store

        uri = f"sqlite:///{new}"
        kind: Any = sqlalchemy_store.SqlAlchemyStore
        kind(uri, self._artifacts).engine.dispose()
        kind._engine_map.pop(uri, None)

    def _upgrade(self) -> None:
        from alembic.util.exc import CommandError
        from mlflow.store.db import utils as database_utils

        utils: Any = database_utils
        engine = utils.create_sqlalchemy_engine_with_retry(f"sqlite:///{self._database}")
        try:
            if utils._get_schema_version(engine) == utils._get_latest_schema_revision():
                return
            copy = self._keep_a_copy()
            # MLflow's migrations are not a single transaction: until they are done, this names the copy.
            _upgrading(self._database).write_text(copy.name, encoding="utf-8")
            utils._upgrade_db(engine)
            _upgrading(self._database).unlink()
        except CommandError as error:
            raise Failed(
                f"The embedded MLflow's file {self._database} has a schema that MLflow {version('mlflow')} "
                f"does not know: {error}.",
                hint="A newer MLflow wrote it: upgrade mlflow in the Lab's environment.",
            ) from error
        finally:
            engine.dispose()

    def _undo_a_cut_upgrade(self) -> None:
        """Restore the copy if a process ended in the middle of MLflow's migrations."""
        note = _upgrading(self._database)
        if not note.exists():
            return
        for journal in ("-journal", "-wal", "-shm"):
            self._database.with_name(f"{self._database.name}{journal}").unlink(missing_ok=True)
        restored = self._database.with_name(f"{self._database.name}.restored")
        shutil.copy2(self._database.with_name(note.read_text(encoding="utf-8")), restored)
        restored.replace(self._database)
        note.unlink()

    def _keep_a_copy(self) -> Path:
        copy = self._database.with_name(f"{self._database.name}.before-{version('mlflow')}")
        with (
            contextlib.closing(sqlite3.connect(self._database)) as source,
            contextlib.closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
        copy.chmod(0o600)
        return copy


def lock_of(database: Path) -> Path:
    """Return the lock under which the file is made."""
    return database.with_suffix(".lock")


def _upgrading(database: Path) -> Path:
    """Return the file that exists while MLflow migrates the database, and names the copy made before."""
    return database.with_suffix(".upgrading")


def marker_of(database: Path) -> Path:
    """Return the file that names the mlflow version of the database's schema."""
    return database.with_suffix(".version")


def is_ready(database: Path) -> bool:
    """Return whether the file exists with this MLflow's schema, without importing mlflow."""
    try:
        made_by = marker_of(database).read_text(encoding="utf-8").strip()
        return database.stat().st_size > 0 and made_by == version("mlflow")
    except OSError:
        return False
