"""A store of many runs that MLflow reads: its own schema, made by mlflow, filled in bulk."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Engine, create_engine, text

_STARTED_MS = 1_700_000_000_000
_APART_MS = 60_000


def make(uri: str, runs: int, artifacts: str, *, experiment: str = "many", each: int = 20) -> str:
    """Add ``runs`` runs, one in 100 of which goes on, with ``each`` parameters and as many metrics to a new experiment
    of the store at the database ``uri``. Returns the experiment's id."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store: Any = SqlAlchemyStore(uri, artifacts)  # type: ignore[no-untyped-call]
    number = int(store.create_experiment(experiment, f"{artifacts}/{experiment}"))
    store.engine.dispose()
    engine = create_engine(uri)
    noise = random.Random(49)
    for begin in range(0, runs, 1000):
        ids = [uuid.UUID(int=noise.getrandbits(128)).hex for _ in range(min(1000, runs - begin))]
        with engine.begin() as connection:
            for statement, rows in _rows(ids, begin, number, f"{artifacts}/{experiment}", noise, each):
                connection.execute(text(statement), rows)
    engine.dispose()
    return str(number)


def analyze(uri: str) -> None:
    """Run ANALYZE in the database at ``uri``."""
    engine: Engine = create_engine(uri, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("ANALYZE"))
    engine.dispose()


def _rows(
    ids: list[str], begin: int, experiment: int, artifacts: str, noise: random.Random, each: int
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    runs, params, metrics, tags = [], [], [], []
    for offset, run in enumerate(ids):
        number = begin + offset
        started, goes_on = _STARTED_MS + number * _APART_MS, number % 100 == 7
        runs.append(
            {
                "id": run,
                "name": f"run-{number:05d}",
                "status": "RUNNING" if goes_on else noise.choice(("FINISHED", "FINISHED", "FAILED")),
                "started": started,
                "ended": None if goes_on else started + noise.randrange(1000, 3_600_000),
                "uri": f"{artifacts}/{run}/artifacts",
                "experiment": experiment,
            }
        )
        params += [
            {"id": run, "key": f"param_{column:02d}", "value": _param(column, noise)}
            for column in range(each)
        ]
        metrics += [
            {"id": run, "key": f"metric_{column:02d}", "value": noise.random(), "at": started + 1000}
            for column in range(each)
        ]
        values = {
            "mlflow.user": f"user{number % 7}",
            "mlflow.source.name": "train.py",
            "mlflow.source.type": "LOCAL",
            "mlflow.runName": f"run-{number:05d}",
            "team": f"team {number % 5}",
        }
        tags += [{"id": run, "key": key, "value": value} for key, value in values.items()]
    yield (
        "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time, end_time, lifecycle_stage, "
        "artifact_uri, experiment_id) "
        "VALUES (:id, :name, 'UNKNOWN', 'ada', :status, :started, :ended, 'active', :uri, :experiment)",
        runs,
    )
    yield "INSERT INTO params (run_uuid, key, value) VALUES (:id, :key, :value)", params
    yield "INSERT INTO tags (run_uuid, key, value) VALUES (:id, :key, :value)", tags
    for table in ("metrics", "latest_metrics"):
        yield (
            f"INSERT INTO {table} (run_uuid, key, value, timestamp, step, is_nan) "
            "VALUES (:id, :key, :value, :at, 0, :nan)",
            [{**metric, "nan": False} for metric in metrics],
        )


def _param(column: int, noise: random.Random) -> str:
    if column % 4 == 0:
        return f"{10 ** -noise.uniform(1, 5):.2e}"
    return str(noise.choice((16, 32, 64, 128))) if column % 4 == 1 else noise.choice(("adam", "sgd", "lion"))


def make_wide(uri: str, runs: int, columns: int, artifacts: str, *, each: int = 40) -> None:
    """``runs`` runs that have ``each`` values among ``columns`` metrics and parameters, half of either."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store: Any = SqlAlchemyStore(uri, artifacts)  # type: ignore[no-untyped-call]
    number = int(store.create_experiment("wide", f"{artifacts}/wide"))
    store.engine.dispose()
    engine = create_engine(uri)
    for begin in range(0, runs, 1000):
        ids = [f"{run:032x}" for run in range(begin, min(runs, begin + 1000))]
        values: list[dict[str, Any]] = [
            {"id": run, "key": f"column_{(int(run, 16) * each + at) % columns:05d}", "at": at}
            for run in ids
            for at in range(each)
        ]
        with engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO runs (run_uuid, name, source_type, status, start_time, lifecycle_stage, "
                    "experiment_id) VALUES (:id, :id, 'UNKNOWN', 'FINISHED', :at, 'active', :experiment)"
                ),
                [{"id": run, "at": int(run, 16), "experiment": number} for run in ids],
            )
            connection.execute(
                text(
                    "INSERT INTO latest_metrics (run_uuid, key, value, timestamp, step, is_nan) "
                    "VALUES (:id, :key, :at, 1, 0, :nan)"
                ),
                [{**value, "nan": False} for value in values if value["at"] % 2],
            )
            connection.execute(
                text("INSERT INTO params (run_uuid, key, value) VALUES (:id, :key, :value)"),
                [{**value, "value": str(value["at"])} for value in values if not value["at"] % 2],
            )
    engine.dispose()
