"""The run table: windows, order, queries, changes, and that they are told."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from typing import Any

import pytest

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotFound
from genops_lab.experiments.columns.models import (
    RunGrouping,
    RunIds,
    RunQueryText,
    RunSearch,
    RunSort,
    RunsTagging,
    RunTable,
    RunTableQuery,
    RunTags,
)
from genops_lab.experiments.models import LatestMetric

from .conftest import Room, until


async def _runs(room: Room) -> dict[str, str]:
    """Ids by name: of four runs in two experiments."""
    from mlflow import MlflowClient

    await room.mlflow.ensure()

    def make() -> dict[str, str]:
        client = MlflowClient(room.mlflow.uri)
        even, odd = client.create_experiment("even"), client.create_experiment("odd ones")
        made = {}
        for number, loss in enumerate((0.5, math.nan, math.inf, None)):
            run = client.create_run(
                odd if number % 2 else even, start_time=1000 + number, run_name=f"r{number}"
            )
            made[f"r{number}"] = run.info.run_id
            if loss is not None:
                client.log_metric(run.info.run_id, "loss", loss)
            client.log_param(run.info.run_id, "depth", 10**number)
            client.log_param(run.info.run_id, "kind", "x" if number < 2 else "1")
        client.set_terminated(made["r0"], end_time=61_000)
        return made

    return await asyncio.to_thread(make)


async def _table(room: Room, **query: Any) -> RunTable:
    return await room.run_table.query_runs(RunTableQuery(wait_s=60, **query))


def _names(table: RunTable, ids: dict[str, str]) -> list[str]:
    names = _names_of(ids)
    return [names[run_id] for run_id in table.run_ids]


async def test_windows_order_and_values(room: Room) -> None:
    ids = await _runs(room)
    table = await _table(room, columns=["metrics.loss", "run_name", "start_time", "duration", "params.none"])
    assert (table.total, table.matched, table.state.source, table.state.complete) == (4, 4, "sqlite", True)
    assert _names(table, ids) == ["r3", "r2", "r1", "r0"], "newest first"
    loss, name, start, duration, none = table.columns
    assert loss.values == [None, 1.7976931348623157e308, "NaN", 0.5], "infinity as MLflow gives it back"
    assert (name.kind, name.values) == ("text", ["r3", "r2", "r1", "r0"])
    assert (start.kind, start.values) == ("number", [1.003, 1.002, 1.001, 1.0])
    assert duration.values[3] == 60.0 and all(isinstance(value, float) for value in duration.values)
    assert none.values == [None] * 4
    for column, descending, expected in (
        ("metrics.loss", False, ["r0", "r2", "r1", "r3"]),
        ("metrics.loss", True, ["r2", "r0", "r1", "r3"]),
        ("params.depth", False, ["r0", "r1", "r2", "r3"]),
        ("params.depth", True, ["r3", "r2", "r1", "r0"]),
        ("attributes.run_name", False, ["r0", "r1", "r2", "r3"]),
        ("metrics.no_run_has_it", False, ["r3", "r2", "r1", "r0"]),
    ):
        table = await _table(room, sort=[RunSort(column=column, descending=descending)])
        assert _names(table, ids) == expected, column
    table = await _table(
        room, sort=[RunSort(column="params.kind"), RunSort(column="start_time")], offset=1, limit=2
    )
    assert (_names(table, ids), table.matched) == (["r3", "r0"], 4)
    assert _names(await _table(room, experiments=["even"]), ids) == ["r2", "r0"]
    assert (await _table(room, experiments=["odd ones"], query="metrics.loss < 1")).matched == 0
    table = await _table(room, query="metrics.loss < 1 or params.depth = 1000")
    assert (_names(table, ids), table.total, table.matched) == (["r3", "r0"], 4, 2)
    doubted = await _table(room, query="metrics.los < 1")
    assert doubted.matched == 0 and "metrics.loss" in doubted.doubts[0].hint
    offered = await room.run_table.complete_run_query(RunQueryText(text="metrics.lo", position=10))
    assert "metrics.loss" in [each.text for each in offered]
    columns = {each.column: each.runs for each in (await room.run_table.list_run_columns()).columns}
    assert (columns["metrics.loss"], columns["params.depth"], columns["end_time"]) == (3, 4, 1)


async def test_groups_of_runs(room: Room) -> None:
    ids = await _runs(room)
    columns = ["metrics.loss", "params.kind", "start_time"]
    grouping = RunGrouping(by=["params.kind"], turned=[["x"]], aggregates={"metrics.loss": "max"})
    table = await _table(room, groups=grouping, columns=columns)
    assert (table.total, table.matched, table.places) == (4, 4, 4)
    assert [_names_of(ids).get(run_id, "") for run_id in table.run_ids] == ["", "", "r1", "r0"]
    one, x = table.groups
    assert (one.path, one.runs, one.open, one.at) == (["1"], 2, False, 0)
    assert (x.path, x.runs, x.open, x.position, x.siblings) == (["x"], 2, True, 2, 2)
    loss, kind, start = table.columns
    assert loss.values == [None, 0.5, "NaN", 0.5], "what is not finite is in no aggregate"
    assert (one.spreads["metrics.loss"].finite, one.spreads["metrics.loss"].other) == (0, 1)
    assert (kind.values, start.values[:2]) == (["1", "x", "x", "x"], [1.003, 1.001])
    # Groups are sorted like runs; of runs without a metric they come last, and what is open stays.
    sort = [RunSort(column="metrics.loss", descending=True)]
    table = await _table(room, groups=grouping, columns=columns, sort=sort, query="name = r0 OR name = r3")
    assert [group.path for group in table.groups] == [["x"], ["1"]]
    assert (table.matched, table.places, table.total) == (2, 3, 4)
    inside = await _table(room, groups=RunGrouping(by=["params.kind"], within=[["x"]]))
    assert (_names(inside, ids), inside.groups) == (["r1", "r0"], [])
    by_size = [RunSort(column="runs", descending=True)]
    table = await _table(
        room, groups=RunGrouping(by=["experiment", "params.none"]), sort=by_size, query="name != r1"
    )
    assert [(group.path, group.runs) for group in table.groups] == [(["even"], 2), (["odd ones"], 1)]


def _names_of(ids: dict[str, str]) -> dict[str, str]:
    return {run_id: name for name, run_id in ids.items()}


async def test_the_latest_metrics_of_a_run_have_steps_and_times(room: Room) -> None:
    from mlflow import MlflowClient

    ids = await _runs(room)

    def log() -> None:
        client = MlflowClient(room.mlflow.uri)
        for step, value in ((1, 0.3), (900, 0.25), (7, 0.9)):
            client.log_metric(ids["r3"], "acc", value, timestamp=1_700_000_000_000 + step, step=step)
        client.log_metric(ids["r3"], "broken", math.nan, timestamp=1_700_000_000_500, step=-1)

    await asyncio.to_thread(log)
    expected = [
        LatestMetric(key="acc", value=0.25, step=900, at=1_700_000_000.9),
        LatestMetric(key="broken", value=None, step=-1, at=1_700_000_000.5),
    ]
    for ref in (ids["r3"], ids["r3"][:10]):
        assert (await room.experiments.get_latest_metrics(ref)).metrics == expected
    assert (await room.experiments.get_run(ids["r3"])).latest == expected
    with pytest.raises(NotFound):
        await room.experiments.get_latest_metrics("0" * 32)


async def test_what_cannot_be_asked(room: Room) -> None:
    await _runs(room)
    wrong: list[tuple[dict[str, Any], type[GenOpsError]]] = [
        ({"sort": [RunSort(column="nonsense")]}, InvalidRequest),
        ({"columns": ["metrics."]}, InvalidRequest),
        ({"query": "metrics.loss <"}, InvalidRequest),
        ({"experiments": ["no such"]}, NotFound),
        ({"limit": 1001}, InvalidRequest),
        ({"offset": -1}, InvalidRequest),
    ]
    for query, kind in wrong:
        with pytest.raises(kind) as caught:
            await _table(room, **query)
        assert caught.value.hint
    with pytest.raises(InvalidRequest):
        await room.run_table.delete_runs(RunIds(run_ids=[]))
    with pytest.raises(NotFound):
        await room.run_table.undelete_runs(RunIds(run_ids=["abc"]))


async def test_tags_deleted_runs_and_runs_that_come_back(room: Room) -> None:
    ids = await _runs(room)
    await _table(room)
    await room.run_table.tag_run(ids["r1"][:12], RunTags(set={"team": "a"}, remove=["mlflow.runName"]))
    found = await room.run_table.search_runs(RunSearch(query="tags.team = 'a'", wait_s=60))
    assert [(run.run_id, run.tags, run.user) for run in found.runs] == [(ids["r1"], {"team": "a"}, "")]
    assert found.runs[0].metrics == {"loss": None} and found.runs[0].experiment == "odd ones"
    gone = await room.run_table.delete_runs(RunIds(run_ids=[ids["r0"][:10], ids["r2"]]))
    assert gone.run_ids == [ids["r0"], ids["r2"]]
    assert _names(await _table(room), ids) == ["r3", "r1"]
    assert _names(await _table(room, lifecycle="deleted"), ids) == ["r2", "r0"]
    assert (await _table(room, lifecycle="all")).total == 4
    back = await room.run_table.undelete_runs(RunIds(run_ids=[ids["r0"][:10]]))
    assert back.run_ids == [ids["r0"]]
    assert _names(await _table(room), ids) == ["r3", "r1", "r0"]
    with pytest.raises(NotFound):
        await room.run_table.delete_runs(RunIds(run_ids=[ids["r1"], "0" * 32, ids["r0"]]))
    assert _names(await _table(room), ids) == ["r3", "r0"], "those before the one that is not there"
    with pytest.raises(NotFound):
        await room.run_table.tag_run(ids["r3"], RunTags(remove=["not there"]))


async def test_many_runs_get_a_tag_at_once(room: Room) -> None:
    ids = await _runs(room)
    await _table(room)
    await room.run_table.tag_runs(
        RunsTagging(run_ids=[ids["r0"], ids["r3"]], set={"team": "b", "kept": "yes"})
    )
    found = await _table(room, query="tags.team = 'b' AND tags.kept = 'yes'")
    assert _names(found, ids) == ["r3", "r0"]
    with pytest.raises(InvalidRequest):
        await room.run_table.tag_runs(RunsTagging(run_ids=[], set={"team": "b"}))
    with pytest.raises(NotFound):
        await room.run_table.tag_runs(RunsTagging(run_ids=[ids["r1"], "0" * 32], set={"team": "c"}))
    assert _names(await _table(room, query="tags.team = 'c'"), ids) == ["r1"]


async def test_changes_are_told_while_somebody_looks(room: Room) -> None:
    from mlflow import MlflowClient

    ids = await _runs(room)

    def listener(_topic: str, _data: object) -> None:
        """A panel."""

    room.live.join("changes", listener)
    state = (await _table(room)).state
    await room.events.close()
    room.events_seen.clear()
    await asyncio.to_thread(MlflowClient(room.mlflow.uri).set_tag, ids["r0"], "later", "1")
    await until(lambda: ("run", "") in room.events_seen)
    table = await _table(room, query="tags.later = '1'")
    assert _names(table, ids) == ["r0"] and table.state.version > state.version
    room.live.leave("changes", listener)


async def test_statistics_are_offered_and_made(room: Room) -> None:
    await room.mlflow.ensure()
    file = room.mlflow.embedded_file
    assert file is not None
    assert (await _table(room)).state.advice == [], "an empty store needs none"
    with sqlite3.connect(file) as connection:
        connection.executemany(
            "INSERT INTO runs (run_uuid, status, start_time, lifecycle_stage, experiment_id, source_type) "
            "VALUES (?, 'FINISHED', ?, 'active', 0, 'UNKNOWN')",
            [(f"{number:032x}", number) for number in range(300)],
        )
        connection.execute(
            "INSERT INTO latest_metrics (key, value, timestamp, step, is_nan, run_uuid) VALUES ('x', 1, 1, 0, 0, ?)",
            (f"{1:032x}",),
        )
    connection.close()
    await room.mlflow.columns.stop()
    state = (await _table(room)).state
    assert [advice.code for advice in state.advice] == ["no_statistics"]
    assert (await room.run_table.analyze_runs()).advice == []
    with sqlite3.connect(file) as connection:
        assert connection.execute(
            "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'latest_metrics'"
        ).fetchone()[0]
    connection.close()
    await room.mlflow.columns.stop()
    assert (await _table(room)).state.advice == []
