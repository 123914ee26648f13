"""Lineage of a data set of many runs, beside MLflow's client that reads all of these runs."""

from __future__ import annotations

import json
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from . import run_store, version_store
from .figure import Figure

RUNS, MODELS, VERSIONS, PRODUCED = 5_000, 10, 100, 50
DATA, DIGEST = "all", "3fa4b2c1"
_WHERE = f"dataset.name = '{DATA}' AND dataset.digest = '{DIGEST}'"


def figures() -> Iterator[Figure]:
    """All of them."""
    return measured(RUNS, times=5)


def measured(runs: int, *, times: int) -> Iterator[Figure]:
    """With a store of ``runs`` runs of one data set, ``PRODUCED`` of which logged versions."""
    with tempfile.TemporaryDirectory(prefix="gol-bench-") as name:
        folder = Path(name)
        uri = f"sqlite:///{folder / 'lineage.db'}"
        made(uri, runs, folder)
        yield Figure(
            name=f"first picture of a data set of {runs:,} runs and {VERSIONS} versions",
            unit="CPU ms",
            values=_spent(_picture(uri), times),
            target=300,
            baseline="MlflowClient.search_runs and search_model_versions over all of them",
            baseline_values=_spent(_naive(uri), min(times, 2)),
        )


def made(uri: str, runs: int, folder: Path) -> None:
    """Fill a store: all runs read one data set, and a few of them logged the versions of some models."""
    from sqlalchemy import create_engine, text

    number = run_store.make(uri, runs, str(folder / "artifacts"))
    version_store.fill(uri, MODELS, VERSIONS)
    engine = create_engine(uri)
    data = uuid.uuid4().hex
    with engine.begin() as connection:
        ids = [row[0] for row in connection.execute(text("SELECT run_uuid FROM runs ORDER BY start_time"))]
        connection.execute(
            text(
                "INSERT INTO datasets (dataset_uuid, experiment_id, name, digest, dataset_source_type, dataset_source) "
                "VALUES (:id, :experiment, :name, :digest, 'local', :source)"
            ),
            {"id": data, "experiment": number, "name": DATA, "digest": DIGEST, "source": json.dumps({"uri": "/d"})},
        )  # fmt: skip
        inputs = [{"id": uuid.uuid4().hex, "data": data, "run": run} for run in ids]
        connection.execute(
            text(
                "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, destination_id, step) "
                "VALUES (:id, 'DATASET', :data, 'RUN', :run, 0)"
            ),
            inputs,
        )
        connection.execute(
            text(
                "INSERT INTO input_tags (input_uuid, name, value) VALUES (:id, 'mlflow.data.context', 'training')"
            ),
            inputs,
        )
        spread = ids[:: max(1, len(ids) // PRODUCED)]
        for at, (model, version) in enumerate(
            connection.execute(text("SELECT name, version FROM model_versions")).all()
        ):
            connection.execute(
                text("UPDATE model_versions SET run_id = :run WHERE name = :name AND version = :version"),
                {"run": spread[at % len(spread)], "name": model, "version": version},
            )
    engine.dispose()


def _picture(uri: str) -> Callable[[], None]:
    from genops_lab.lineage.backends.walking import MlflowLineage
    from genops_lab.lineage.names import parse

    backend, start = MlflowLineage(uri), parse(f"data:{DATA}@{DIGEST}")
    return lambda: _checked(len(backend.lineage(start, "both", 200, []).nodes))


def _naive(uri: str) -> Callable[[], None]:
    from mlflow import MlflowClient

    client = MlflowClient(uri)

    def read() -> None:
        token, ids = None, list[str]()
        while token or not ids:
            page = client.search_runs(["0", "1"], _WHERE, page_token=token)
            ids += [run.info.run_id for run in page]
            token = page.token
        versions = client.search_model_versions(max_results=10_000)
        _checked(len([each for each in versions if each.run_id in set(ids)]))

    return read


def _checked(found: int) -> None:
    assert found > 1, found


def _spent(ask: Callable[[], None], times: int) -> list[float]:
    """Return the CPU of this process for each question but the first, which loads what it needs."""
    took = []
    for at in range(times + 1):
        begun = time.process_time()
        ask()
        if at:
            took.append((time.process_time() - begun) * 1000)
    return took
