"""MLflow's SQLite file: made once and copied, and read with no client and no Lab between the test and the truth."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genops_lab.core.settings import Settings
from genops_lab.experiments.mlflow import MlflowConnection

from .homes import Home
from .warm import warm_workers


@functools.cache
def made_store() -> Path:
    """Make the embedded MLflow's folder as the Lab does, once: that takes longer than most of the tests."""
    data = Path(tempfile.mkdtemp(prefix="gol-store-"))
    atexit.register(shutil.rmtree, data, ignore_errors=True)

    async def make() -> None:
        mlflow = MlflowConnection(Settings(data_dir=data))
        await mlflow.ensure()
        await mlflow.close()

    with warm_workers(), ThreadPoolExecutor(1) as pool:  # this thread may have a loop that runs
        pool.submit(asyncio.run, make()).result()
    return data / "mlflow"


def place_store(data: Path) -> None:
    """Put a copy of the embedded MLflow into a data folder that has none."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = data / "mlflow"
    shutil.copytree(made_store(), folder, ignore=shutil.ignore_patterns("scratch"))
    _keep_artifacts_in(folder / "mlflow.db", str(folder / "artifacts" / "0"))


def place_server_store(file: Path) -> None:
    """Put a copy of it where an MLflow server will find its database."""
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(made_store() / "mlflow.db", file)
    _keep_artifacts_in(file, "mlflow-artifacts:/0")


def _keep_artifacts_in(database: Path, location: str) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE experiments SET artifact_location = ?", (location,))


@dataclass(frozen=True)
class KeptRun:
    """A run with every point that was ever logged, in order of step."""

    run_id: str
    name: str
    status: str
    experiment: str
    artifacts: Path
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    points: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each metric."""
        return {key: points[-1][1] for key, points in self.points.items()}

    def steps(self, key: str) -> list[int]:
        """The steps of a metric, each as often as it was written."""
        return [step for step, _value in self.points.get(key, [])]


@contextlib.contextmanager
def _opened(database: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
        yield connection


def runs_in(database: Path) -> list[KeptRun]:
    """All runs of an MLflow file in the order of their starts; none where it is not made yet."""
    if not database.exists():
        return []
    with _opened(database) as connection:
        rows = connection.execute(
            "SELECT run_uuid, runs.name, status, experiments.name, artifact_uri FROM runs "
            "JOIN experiments ON experiments.experiment_id = runs.experiment_id ORDER BY start_time"
        ).fetchall()
        return [_complete(connection, *row) for row in rows]


def _complete(
    connection: sqlite3.Connection, run_id: str, name: str, status: str, experiment: str, artifacts: str
) -> KeptRun:
    def pairs(table: str) -> dict[str, str]:
        query = f"SELECT key, value FROM {table} WHERE run_uuid = ?"
        return dict(connection.execute(query, (run_id,)).fetchall())

    points: dict[str, list[tuple[int, float]]] = {}
    for key, step, value in connection.execute(
        "SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY step, timestamp", (run_id,)
    ):
        points.setdefault(key, []).append((step, value))
    return KeptRun(
        run_id=run_id,
        name=name,
        status=status,
        experiment=experiment,
        artifacts=Path(artifacts.removeprefix("file://")),
        params=pairs("params"),
        tags=pairs("tags"),
        points=points,
    )


def kept_run(home: Home, name: str) -> KeptRun:
    """The one run of this name in the home's embedded MLflow."""
    runs = runs_in(home.data / "mlflow" / "mlflow.db")
    found = [run for run in runs if run.name == name]
    assert len(found) == 1, f"{len(found)} runs named {name!r} among {[run.name for run in runs]}"
    return found[0]


def copy_row(file: Path, table: str, chosen: str, changes: list[dict[str, Any]]) -> None:
    """Add copies of a row of MLflow's, each with its changes: hundreds within milliseconds."""
    with sqlite3.connect(file) as database:
        names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        values = ", ".join(f":{name}" if name in changes[0] else name for name in names)
        rows = f"SELECT {values} FROM {table} WHERE {chosen}"
        database.executemany(f"INSERT INTO {table} ({', '.join(names)}) {rows}", changes)
    database.close()
