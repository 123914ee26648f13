"""MLflow databases that another MLflow made are never migrated; the Lab's own is, and a cut loses nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from genops_lab.core.errors import Unavailable
from genops_lab.core.paging import FIRST
from genops_lab.experiments.backends.client import refuse_other_schema
from genops_lab.experiments.backends.embedded import EmbeddedStore, lock_of, marker_of
from tests.support.mlflow_schemas import OF_MLFLOW_2_20, make_database, revision_of


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the schema of MLflow 2.20."""
    file = tmp_path_factory.mktemp("older") / "mlflow.db"
    make_database(file)
    return file


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_an_older_database_is_refused_and_stays_as_it_is(older: Path) -> None:
    from genops_lab.experiments.backends.runs import MlflowRuns

    before = digest(older)
    with pytest.raises(Unavailable, match="made by an older MLflow") as refused:
        MlflowRuns(tracking_uri=f"sqlite:///{older}", scratch="").list_experiments(FIRST)
    assert "mlflow db upgrade" in refused.value.hint
    assert digest(older) == before


def test_a_newer_database_is_refused(older: Path, tmp_path: Path) -> None:
    newer = tmp_path / "mlflow.db"
    newer.write_bytes(older.read_bytes())
    with contextlib.closing(sqlite3.connect(newer)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    with pytest.raises(Unavailable, match="made by a newer MLflow"):
        refuse_other_schema(f"sqlite:///{newer}")


def test_what_needs_no_migration_passes(tmp_path: Path) -> None:
    refuse_other_schema("http://127.0.0.1:1")
    refuse_other_schema(f"sqlite:///{tmp_path / 'absent.db'}")
    assert not (tmp_path / "absent.db").exists()
    (tmp_path / "empty.db").touch()
    refuse_other_schema(f"sqlite:///{tmp_path / 'empty.db'}")


def embedded_of_an_older_mlflow(older: Path, folder: Path) -> tuple[EmbeddedStore, Path]:
    file = folder / "mlflow.db"
    file.write_bytes(older.read_bytes())
    marker_of(file).write_text("2.20.0")
    return EmbeddedStore(str(file), str(folder / "artifacts")), file


def test_the_embedded_file_is_brought_to_this_schema_with_a_copy(older: Path, tmp_path: Path) -> None:
    store, file = embedded_of_an_older_mlflow(older, tmp_path)
    store.prepare()
    refuse_other_schema(f"sqlite:///{file}")
    [copy] = tmp_path.glob("mlflow.db.before-*")
    assert revision_of(copy) == OF_MLFLOW_2_20


def test_an_upgrade_that_was_killed_begins_again_from_the_copy(older: Path, tmp_path: Path) -> None:
    """The process ends in the middle of MLflow's migrations, as by SIGKILL or a power cut."""
    store, file = embedded_of_an_older_mlflow(older, tmp_path)
    pid = os.fork()
    if pid == 0:
        import alembic.command
        from mlflow.store.db import utils

        def half(engine: object) -> None:
            revisions = utils._get_alembic_config(f"sqlite:///{file}")
            alembic.command.upgrade(revisions, "+3")
            os._exit(9)

        utils._upgrade_db = half
        store.prepare()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert revision_of(file) != OF_MLFLOW_2_20
    lock_of(file).touch()

    store.prepare()
    refuse_other_schema(f"sqlite:///{file}")
    with contextlib.closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM experiments").fetchall() == [("Default",)]
