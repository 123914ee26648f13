"""Reading runs: ids, filters, pages, long histories."""

from __future__ import annotations

import math
import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from genops_lab.core.errors import InvalidRequest, NotFound
from genops_lab.core.paging import PageQuery, every_page
from genops_lab.experiments.backends.runs import MlflowRuns
from genops_lab.experiments.columns.models import RunIds
from genops_lab.experiments.histories import MAX_POINTS, chosen_points, finite
from genops_lab.experiments.limits import artifact_path, fitting_key, fitting_value
from genops_lab.experiments.models import MetricsQuery, RunQuery
from tests.support.mlflow_file import copy_row

from .conftest import Room, Sender


def test_short_histories_stay_whole() -> None:
    assert chosen_points([1.0] * MAX_POINTS) == list(range(MAX_POINTS))
    assert chosen_points([]) == []


@pytest.mark.parametrize("count", [2001, 2002, 6001, 100_000])
def test_long_histories_keep_ends_peaks_and_gaps(count: int) -> None:
    noise = random.Random(7)
    values: list[float | None] = [noise.random() for _ in range(count)]
    peak, dip, gap = count // 3, count // 2, count - 7
    values[peak], values[dip], values[gap] = 1e6, -1e6, None
    chosen = chosen_points(values)
    assert len(chosen) <= MAX_POINTS
    assert chosen == sorted(set(chosen))
    assert {0, peak, dip, gap, count - 1} <= set(chosen)


def test_histories_of_gaps_alone() -> None:
    assert len(chosen_points([None] * 5000)) <= MAX_POINTS


def test_what_json_cannot_hold_is_none() -> None:
    assert [finite(value) for value in (1.0, math.nan, math.inf, -1.7976931348623157e308)] == [
        1.0,
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("key", "fitted"),
    [
        ("loss", "loss"),
        ("val/loss é", "val/loss é"),
        ("a%b", "a_b"),
        ("../../etc", "_/_/etc"),
        ("/abs", "abs"),
        ("a//b/", "a/b"),
        ("", "_"),
        (".", "_"),
        ("..", "_"),
    ],
)
def test_names_that_mlflow_takes(key: str, fitted: str) -> None:
    notes: list[str] = []
    assert fitting_key(key, notes) == fitted
    assert bool(notes) == (key != fitted)


def test_long_names_stay_apart() -> None:
    first, second = (fitting_key("x" * 300 + end, []) for end in "ab")
    assert first != second and max(len(first), len(second)) <= 250


def test_values_are_cut_between_characters() -> None:
    notes: list[str] = []
    cut = fitting_value("🧪" * 100, 50, "It", notes)
    assert cut == "🧪" * 10 + "…(cut)" and len(cut.encode()) <= 50
    assert notes == ["It had 400 bytes and was cut to 50."]


@pytest.mark.parametrize(
    "path", ["", ".", "..", "../x", "/x", "a/../../x", "C:\\x", "a\0b", "\\x", "x" * 300]
)
def test_artifact_paths_that_leave_the_run(path: str) -> None:
    assert artifact_path(path) is None


def test_a_run_is_read_twice_to_be_shown_however_much_is_shown(
    empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("many", artifact_location=str(tmp_path / "artifacts"))
    above = client.create_run(experiment).info.run_id
    run_id = client.create_run(
        experiment, tags={"mlflow.parentRunId": above, "mlflow.note.content": "Why."}
    ).info.run_id
    client.log_metric(run_id, "loss", 0.5, step=3)
    read: list[str] = []
    plain = MlflowClient.get_run
    monkeypatch.setattr(MlflowClient, "get_run", lambda self, ref: (read.append(ref), plain(self, ref))[1])
    found = MlflowRuns(uri).detail(run_id)
    assert (found.note, found.parent and found.parent.run_id) == ("Why.", above)
    assert [(metric.key, metric.step) for metric in found.latest] == [("loss", 3)]
    assert read == [run_id, run_id, above], "with 901 metrics each reading takes a server a second"


async def test_ids_prefixes_filters_and_pages(room: Room) -> None:
    with pytest.raises(NotFound, match="no run yet"):
        await room.experiments.resolve_run("latest")
    ids = []
    for number in range(18):
        sender = Sender(f"run-{number}")
        sender.add(
            "start", name=f"run {number}", experiment="it's" if number % 2 else "Even", params={"n": number}
        )
        sender.metrics(0, loss=number)
        ids.append((await sender.send(room)).run_id)
    assert (await room.experiments.resolve_run("latest")).run_id == ids[-1]
    first = await room.experiments.resolve_run(ids[0])
    assert (first.name, first.experiment) == ("run 0", "Even")
    assert (await room.experiments.resolve_run(ids[5][:20])).run_id == ids[5]
    assert (await room.experiments.resolve_run("run 7")).run_id == ids[7]
    twin = Sender("twin")
    twin.add("start", name="run 7", experiment="Even")
    twin_id = (await twin.send(room)).run_id
    with pytest.raises(InvalidRequest, match="Several runs are named 'run 7'"):
        await room.experiments.resolve_run("run 7")
    await room.run_table.delete_runs(RunIds(run_ids=[twin_id]))
    # 18 ids over 16 digits: two of them begin alike
    digits = [run_id[0] for run_id in ids]
    common = next(digit for digit in digits if digits.count(digit) > 1)
    with pytest.raises(InvalidRequest) as ambiguous:
        await room.experiments.get_run(common)
    assert ambiguous.value.code == "ambiguous"
    assert ambiguous.value.details["runs"] == sorted(run_id for run_id in ids if run_id[0] == common)
    for ref, kind in (
        ("../../etc", InvalidRequest),
        ("%", InvalidRequest),
        ("a' OR 'a", InvalidRequest),
        ("zzz", NotFound),
        ("_", InvalidRequest),
        ("0" * 32, NotFound),
    ):
        with pytest.raises(kind):
            await room.experiments.get_run(ref)
        with pytest.raises(kind):
            await room.experiments.get_run_metrics(ref, MetricsQuery())
    page = await room.experiments.list_runs(RunQuery(limit=10))
    rest = await room.experiments.list_runs(RunQuery(limit=10, after=page.next))
    assert [run.run_id for run in (*page.items, *rest.items)] == ids[::-1]
    assert rest.next == ""
    odd = await room.experiments.list_runs(RunQuery(experiment="it's", filter="metrics.loss > 8"))
    assert [run.metrics["loss"] for run in odd.items] == [17.0, 15.0, 13.0, 11.0, 9.0]
    assert len((await room.experiments.list_runs(RunQuery(experiment=first.experiment_id))).items) == 9
    for query, kind in (
        (RunQuery(filter="metrics.loss >"), InvalidRequest),
        (RunQuery(after="??"), InvalidRequest),
        (RunQuery(experiment="../x"), NotFound),
    ):
        with pytest.raises(kind):
            await room.experiments.list_runs(query)
    with pytest.raises(InvalidRequest, match="limit is 0"):
        RunQuery(limit=0)
    names = [experiment.name for experiment in (await room.experiments.list_experiments()).items]
    assert set(names) == {"it's", "Even", "Default"}


async def test_a_run_says_that_more_runs_are_below_it_than_it_names(room: Room) -> None:
    parent = Sender("parent")
    parent.add("start", name="parent", experiment="Even")
    run_id = (await parent.send(room)).run_id
    file = room.mlflow.data_dir / "mlflow" / "mlflow.db"
    below = [f"{number:032x}" for number in range(1, 102)]
    copy_row(file, "runs", f"run_uuid = '{run_id}'", [{"run_uuid": each} for each in below])
    with sqlite3.connect(file) as database:
        tag = "INSERT INTO tags (key, value, run_uuid) VALUES ('mlflow.parentRunId', ?, ?)"
        database.executemany(tag, [(run_id, each) for each in below[:100]])
    detail = await room.experiments.get_run(run_id)
    assert len(detail.children) == 100 and not detail.more_children
    with sqlite3.connect(file) as database:
        database.execute(tag, (run_id, below[100]))
    detail = await room.experiments.get_run(run_id)
    assert len(detail.children) == 100 and detail.more_children


async def test_experiments_come_in_pages_and_none_is_missed_when_one_is_added(room: Room) -> None:
    def add(*numbers: int) -> None:
        rows = [
            {"experiment_id": 1000 + each, "name": f"e{each:03}", "last_update_time": 10**12 + each}
            for each in numbers
        ]
        copy_row(room.mlflow.data_dir / "mlflow" / "mlflow.db", "experiments", "experiment_id = 0", rows)

    await room.experiments.list_experiments()
    add(*range(250))
    pages = [await room.experiments.list_experiments()]
    add(999)  # the latest, which moves all others
    while pages[-1].next:
        pages.append(await room.experiments.list_experiments(PageQuery(after=pages[-1].next)))
    assert [len(page.items) for page in pages] == [100, 100, 52]
    whole = iter(pages)
    paged = [each.name for each in every_page(lambda _query: next(whole), lambda each: each.id)]
    named = [name for name in paged if name.startswith("e")]
    assert named == [f"e{number:03}" for number in range(249, -1, -1)], "each once, as who shows them does it"
    for service, query in (
        (room.experiments.list_experiments, PageQuery(after="no cursor")),
        (room.experiments.list_runs, RunQuery(after="no cursor")),
    ):
        with pytest.raises(InvalidRequest, match="after='no cursor' is not a cursor") as bad:
            await service(query)
        assert bad.value.code == "bad_cursor"
