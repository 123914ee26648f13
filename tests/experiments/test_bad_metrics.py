"""Metrics and parameters of bad days: a run's curves, the mirror and the table say what MLflow says."""

from __future__ import annotations

import asyncio
import math

import pytest

from genops_lab.experiments.columns.models import RunSearch, RunTableQuery
from genops_lab.experiments.models import MetricsQuery

from .conftest import Room

LONG = "ü" * 2_990 + "<script>alert(1)</script>"
#: (value, timestamp in ms, step) by metric, as they were logged.
LOGGED: dict[str, list[tuple[float, int, int]]] = {
    "nan_and_infinite": [(1.0, 1000, 0), (math.nan, 2000, 1), (math.inf, 3000, 2), (-math.inf, 4000, 3)],
    "ends_as_nan": [(1.0, 1000, 0), (math.nan, 2000, 1)],
    "duplicate_steps": [(1.0, 1000, 5), (2.0, 2000, 5), (3.0, 3000, 5), (3.0, 3000, 5)],
    "clock_backwards": [(1.0, 9000, 0), (2.0, 5000, 1), (3.0, 1000, 2)],
    "steps_backwards": [(1.0, 1000, 2), (2.0, 2000, 1), (3.0, 3000, 0)],
    "far_steps": [(1.0, 1000, -(2**62)), (2.0, 2000, 2**62)],
    "one_value": [(7.5, 1000, 0)],
}


async def made(room: Room) -> str:
    """The run's id."""
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    await room.mlflow.ensure()

    def make() -> str:
        client = MlflowClient(room.mlflow.uri)
        run_id = str(client.create_run("0", run_name="bad day").info.run_id)
        for key, points in LOGGED.items():
            for value, at, step in points:
                client.log_batch(run_id, metrics=[Metric(key, value, at, step)])
        client.log_batch(run_id, params=[Param("long", LONG)])
        return run_id

    return await asyncio.to_thread(make)


async def test_nan_infinite_duplicate_steps_and_clocks_that_go_backwards(room: Room) -> None:
    from mlflow import MlflowClient

    run_id = await made(room)
    client = MlflowClient(room.mlflow.uri)
    curves = {one.key: one for one in (await room.experiments.get_run_metrics(run_id, MetricsQuery())).series}
    assert curves.keys() == LOGGED.keys()
    for key, curve in curves.items():
        kept = sorted(client.get_metric_history(run_id, key), key=lambda point: (point.step, point.timestamp))
        assert curve.steps == [point.step for point in kept], key
        assert curve.timestamps == [point.timestamp / 1000 for point in kept], key
        # MLflow's databases keep what is infinite as the largest number: no chart draws that.
        expected = [point.value if abs(point.value) < 1e308 else None for point in kept]
        assert curve.values == expected, key
    # As they were logged, whatever the store made of them.
    assert curves["nan_and_infinite"].values[:2] == [1.0, None]
    assert curves["duplicate_steps"].steps[:3] == [5, 5, 5] and curves["duplicate_steps"].values[:3] == [
        1.0,
        2.0,
        3.0,
    ]
    assert curves["clock_backwards"].timestamps == [9.0, 5.0, 1.0]
    assert curves["steps_backwards"].values == [3.0, 2.0, 1.0]

    latest = client.get_run(run_id).data.metrics
    columns = [f"metrics.{key}" for key in LOGGED]
    table = await room.run_table.query_runs(RunTableQuery(columns=columns, wait_s=60))
    shown = {column.column.partition(".")[2]: column.values[0] for column in table.columns}
    for key in LOGGED:
        value = latest[key]
        if math.isnan(value):
            assert shown[key] == "NaN", key
        else:
            assert shown[key] == value, key
    assert (shown["ends_as_nan"], shown["duplicate_steps"], shown["clock_backwards"]) == ("NaN", 3.0, 3.0)
    # And so does what a command lists, and a query finds.
    found = await room.run_table.search_runs(
        RunSearch(query="metrics.duplicate_steps = 3 AND metrics.steps_backwards = 1", wait_s=60)
    )
    (run,) = found.runs
    assert (run.run_id, run.metrics["ends_as_nan"], run.metrics["one_value"]) == (run_id, None, 7.5)


async def test_a_parameter_of_six_thousand_bytes_is_whole_everywhere(room: Room) -> None:
    run_id = await made(room)
    assert len(LONG.encode()) == 6_005
    long = (await room.experiments.get_run(run_id)).run.params["long"]
    table = await room.run_table.query_runs(RunTableQuery(columns=["params.long"], wait_s=60))
    found = await room.run_table.search_runs(RunSearch(query=r"params.long LIKE '%<script>%'", wait_s=60))
    assert long == LONG
    assert table.columns[0].values == [LONG]
    assert found.runs[0].params["long"] == LONG


@pytest.mark.parametrize("length", [5_999, 6_000])
async def test_a_parameter_of_six_thousand_characters(room: Room, length: int) -> None:
    from mlflow import MlflowClient

    await room.mlflow.ensure()
    client = MlflowClient(room.mlflow.uri)
    run_id = client.create_run("0").info.run_id
    client.log_param(run_id, "long", "x" * length)
    assert (await room.experiments.get_run(run_id)).run.params["long"] == "x" * length
    table = await room.run_table.query_runs(RunTableQuery(columns=["params.long"], wait_s=60))
    assert table.columns[0].values == ["x" * length]
