"""Histories for charts, of a real MLflow: its SQLite file, PostgreSQL, its API over HTTP."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from genops_lab.core.errors import InvalidRequest, Unavailable
from genops_lab.experiments.charts.backend import RunHistories
from genops_lab.experiments.charts.models import Histories, HistoriesQuery, RunHistory, Smoothing
from tests.support.homes import Home
from tests.support.mlflow_server import running_mlflow
from tests.support.postgres import missing, running_postgres

if TYPE_CHECKING:
    from mlflow import MlflowClient

BEGIN_MS = 1_700_000_000_000
KEY = "val/loss"


ON_POSTGRESQL = pytest.param("postgresql", marks=pytest.mark.exhaustive)


#: A server is read as the client is, but for the wire, which two tests tell daily.
OVER_HTTP = pytest.param("http", marks=pytest.mark.exhaustive)
WITH_HTTP = pytest.mark.parametrize(
    "uri", ["sqlite", ON_POSTGRESQL, "http", "client"], indirect=True, scope="module"
)


@pytest.fixture(scope="module", params=["sqlite", ON_POSTGRESQL, OVER_HTTP, "client"])
def uri(
    request: pytest.FixtureRequest,
    module_home: Home,
    empty_store: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """``client``: a schema that is not known, which is read through MlflowClient."""
    folder = tmp_path_factory.mktemp("histories")
    shutil.copy(empty_store, folder / "m.db")
    if request.param == "postgresql":
        if missing():
            pytest.skip(missing())
        with running_postgres() as address:
            yield address
    elif request.param == "http":
        with running_mlflow(module_home, f"sqlite:///{folder}/m.db", folder / "artifacts") as address:
            yield address
    else:
        yield f"sqlite:///{folder}/m.db"


@pytest.fixture
def client(uri: str) -> MlflowClient:
    from mlflow import MlflowClient

    return MlflowClient(uri)


@pytest.fixture
def charts(uri: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> RunHistories:
    from genops_lab.experiments.charts import readers
    from genops_lab.experiments.columns import source

    monkeypatch.setattr(readers, "_RUNNING_S", 0.0)
    if "client" in request.node.callspec.id:
        monkeypatch.setattr(source, "KNOWN_REVISIONS", frozenset())
    return RunHistories(uri)


def run_with(client: MlflowClient, points: list[tuple[int, int, float]], key: str = KEY) -> str:
    """A run with these (step, ms since the begin, value)."""
    run = client.create_run("0", start_time=BEGIN_MS)
    log(client, run.info.run_id, points, key)
    return str(run.info.run_id)


def log(client: MlflowClient, run_id: str, points: list[tuple[int, int, float]], key: str = KEY) -> None:
    from mlflow.entities import Metric

    for begin in range(0, len(points), 1000):
        metrics = [
            Metric(key, value, BEGIN_MS + ms, step) for step, ms, value in points[begin : begin + 1000]
        ]
        client.log_batch(run_id, metrics)


def ask(charts: RunHistories, *run_ids: str, **more: Any) -> list[RunHistory]:
    found = charts.histories(HistoriesQuery(run_ids=list(run_ids), key=more.pop("key", KEY), **more))
    # As it crosses the wire.
    return msgspec.json.decode(msgspec.json.encode(found), type=Histories).histories


def numbers(packed: bytes) -> list[float]:
    return [float(each) for each in np.frombuffer(packed, "<f8")]


def points(history: RunHistory) -> list[tuple[float, float]]:
    return list(zip(numbers(history.x), numbers(history.y), strict=True))


@WITH_HTTP
def test_two_runs_by_step_time_and_since_their_start(charts: RunHistories, client: MlflowClient) -> None:
    first = run_with(client, [(0, 1000, 3.0), (1, 2500, 2.0), (2, 3000, 1.0)])
    other = run_with(client, [(0, 5000, 9.0)])
    by_step = ask(charts, first, other)
    assert [each.run_id for each in by_step] == [first, other]
    assert points(by_step[0]) == [(0.0, 3.0), (1.0, 2.0), (2.0, 1.0)]
    assert points(by_step[1]) == [(0.0, 9.0)]
    assert numbers(ask(charts, first, x="relative")[0].x) == [1.0, 2.5, 3.0]
    assert numbers(ask(charts, first, x="time")[0].x) == [BEGIN_MS / 1000 + each for each in (1.0, 2.5, 3.0)]
    assert (by_step[0].first, by_step[0].last, by_step[0].points) == (0.0, 2.0, 3)


def test_what_is_no_number_is_told_and_kept(charts: RunHistories, client: MlflowClient) -> None:
    run = run_with(client, [(0, 0, 1.0), (1, 1, math.nan), (2, 2, math.inf), (3, 3, -math.inf), (4, 4, 2.0)])
    history = ask(charts, run)[0]
    assert repr(numbers(history.y)) == "[1.0, nan, inf, -inf, 2.0]"
    assert (history.gaps, history.infinite) == (1, 2)


def test_steps_that_repeat_and_a_clock_that_goes_back(charts: RunHistories, client: MlflowClient) -> None:
    run = run_with(client, [(0, 5000, 1.0), (1, 4000, 2.0), (1, 6000, 3.0), (2, 1000, 4.0)])
    by_step = ask(charts, run)[0]
    assert [x for x, _ in points(by_step)] == [0.0, 1.0, 1.0, 2.0]
    assert points(by_step)[1] == (1.0, 2.0), "points of one step stand in the order of their times"
    assert (by_step.repeated, by_step.backwards) == (1, 2)
    by_time = ask(charts, run, x="relative")[0]
    assert [y for _, y in points(by_time)][:3] == [4.0, 2.0, 1.0], "over time they are in order of time"


def test_a_metric_that_a_run_does_not_have_and_a_run_that_is_not_there(
    charts: RunHistories, client: MlflowClient
) -> None:
    run = run_with(client, [(0, 0, 1.0)], key="another")
    found = ask(charts, run, "f" * 32)
    assert [(each.points, each.first, each.x) for each in found] == [(0, None, b"")] * 2


@WITH_HTTP
def test_only_what_is_new_is_sent(charts: RunHistories, client: MlflowClient) -> None:
    run = run_with(client, [(step, step * 10, float(step)) for step in range(1000)])
    still = run_with(client, [(0, 0, 1.0)])
    before = {each.run_id: each for each in ask(charts, run, still, buckets=100)}
    marks = {run_id: each.mark for run_id, each in before.items()}
    assert ask(charts, run, still, buckets=100, marks=marks) == []
    log(client, run, [(1000, 10_000, 7.0), (1001, 10_010, math.nan)])
    again = ask(charts, run, still, buckets=100, marks=marks)
    assert [each.run_id for each in again] == [run]
    if again[0].from_x is not None:  # MLflow's API has the whole history or nothing
        assert len(points(again[0])) < 20
    old = [each for each in points(before[run]) if again[0].from_x is not None and each[0] < again[0].from_x]
    whole = points(ask(charts, run, buckets=100)[0])
    assert repr(old + points(again[0])) == repr(whole)
    # What comes late, in the middle of it, is new from there on.
    log(client, run, [(500, 1, -5.0)])
    late = ask(charts, run, buckets=100, marks={run: again[0].mark})[0]
    assert (500.0, -5.0) in points(late)
    assert late.from_x is None or late.from_x <= 500


def test_a_spike_is_seen_and_a_zoom_shows_each_point(charts: RunHistories, client: MlflowClient) -> None:
    values = [(step, step, math.sin(step / 50)) for step in range(5000)]
    values[3123] = (3123, 3123, 40.0)
    run = run_with(client, values)
    coarse = ask(charts, run, buckets=64)[0]
    assert (3123.0, 40.0) in points(coarse)
    assert len(points(coarse)) <= 4 * 64 + 4
    zoomed = ask(charts, run, buckets=64, first=3100, last=3140)[0]
    assert [x for x, _ in points(zoomed)] == [float(x) for x in range(3099, 3142)]
    assert (zoomed.first, zoomed.last) == (0.0, 4999.0)


def test_a_line_is_smoothed_by_all_its_points(charts: RunHistories, client: MlflowClient) -> None:
    run = run_with(client, [(step, step, float(step % 2)) for step in range(4000)])
    how = Smoothing(kind="ema", amount=0.99)
    smooth = ask(charts, run, buckets=16, smoothing=how)[0]
    assert numbers(smooth.smooth_y)[-1] == pytest.approx(0.5, abs=0.01)
    assert {y for _, y in points(smooth)} == {0.0, 1.0}
    zoomed = ask(charts, run, buckets=16, first=3990, last=3999, smoothing=how)[0]
    assert numbers(zoomed.smooth_y)[-1] == numbers(smooth.smooth_y)[-1]


@pytest.mark.parametrize(
    "asked",
    [
        {"run_ids": []}, {"run_ids": ["a"] * 201}, {"run_ids": ["a"], "buckets": 5},
        {"run_ids": ["a"], "first": 2.0, "last": 2.0},
        {"run_ids": ["a"], "smoothing": Smoothing(kind="ema", amount=1.0)},
        {"run_ids": ["a"], "smoothing": Smoothing(kind="mean", amount=5000)},
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_answered_is_told(tmp_path: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        RunHistories(f"sqlite:///{tmp_path}/none.db").histories(HistoriesQuery(key="loss", **asked))
    assert caught.value.hint


def test_a_file_that_is_away_and_another_one_at_its_place(empty_store: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    file = tmp_path / "m.db"
    charts = RunHistories(f"sqlite:///{file}")
    with pytest.raises(Unavailable, match="does not exist"):
        ask(charts, "a" * 32)
    shutil.copy(empty_store, file)
    run = run_with(MlflowClient(f"sqlite:///{file}"), [(0, 0, 1.0)])
    assert ask(charts, run)[0].points == 1
    shutil.copy(empty_store, tmp_path / "another.db")
    (tmp_path / "another.db").replace(file)
    assert ask(charts, run)[0].points == 0


def test_the_last_ones_looked_at_are_kept(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    from genops_lab.experiments.charts import readers

    monkeypatch.setattr(readers, "MOST_POINTS", 5)
    shutil.copy(empty_store, tmp_path / "m.db")
    client = MlflowClient(f"sqlite:///{tmp_path}/m.db")
    runs = [run_with(client, [(0, 0, 1.0), (1, 1, 2.0)]) for _ in range(4)]
    charts = RunHistories(f"sqlite:///{tmp_path}/m.db")
    for run in runs:
        assert ask(charts, run)[0].points == 2
    assert len(charts._kept._kept) == 2
    assert [each.points for each in ask(charts, *runs)] == [2, 2, 2, 2]
