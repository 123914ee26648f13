"""Tracked runs: each event once, whatever is sent again, refused or cut off."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Row, select

from genops_lab.core.errors import Conflict, InvalidRequest
from genops_lab.core.store.tables import model_hashes
from genops_lab.experiments.columns.models import RunSort, RunTableQuery, RunTags
from genops_lab.experiments.hashes import model_digest
from genops_lab.experiments.ledger import TrackedRuns
from genops_lab.experiments.models import MetricsQuery, OwnModel, ResumeRequest, RunQuery, TrackedRun
from tests.support.homes import Home

from .conftest import Room, Sender, open_room, this_process


async def test_a_whole_run(room: Room, home: Home) -> None:
    sender = Sender("run-1", this_process(notebook="work/train.ipynb", kernel_id="k1"))
    source = room.mlflow.spool / "curve.bin"
    sender.add("start", name="first", experiment="Digits", tags={"team": "a"}, params={"lr": 0.1})
    points: list[dict[str, object]] = []
    ack = await sender.send(room)
    room.live.join(f"run:{ack.run_id}", lambda _topic, data: points.extend(data["points"]))
    source.write_bytes(b"\x00\x01")
    for step in range(5):
        sender.metrics(step, loss=1 / (step + 1), accuracy=None if step == 2 else step / 5)
    sender.add("tags", stage="dev")
    sender.add("text", path="code/cell 1.py", content="print('ü')")
    sender.add("file", path="curves/loss.bin", source=str(source))
    sender.add("end", status="FINISHED")
    ack = await sender.send(room)
    assert (ack.acked_seq, ack.name) == (len(sender.events), "first")
    detail = await room.experiments.get_run("latest")
    run = detail.run
    assert (run.run_id, run.name, run.experiment, run.status) == (ack.run_id, "first", "Digits", "FINISHED")
    assert (run.params, run.tags) == ({"lr": "0.1"}, {"team": "a", "stage": "dev"})
    assert run.source == "work/train.ipynb"
    assert run.metrics["loss"] == pytest.approx(0.2)
    assert {entry.path for entry in detail.artifacts} == {"code", "curves"}
    folder = home.data / "mlflow" / "artifacts" / run.experiment_id / run.run_id / "artifacts"
    assert (folder / "code" / "cell 1.py").read_text(encoding="utf-8") == "print('ü')"
    assert (folder / "curves" / "loss.bin").read_bytes() == b"\x00\x01"
    histories = await room.experiments.get_run_metrics(run.run_id[:8], MetricsQuery())
    assert [one.key for one in histories.series] == ["accuracy", "loss"]
    assert histories.series[0].values == [0.0, 0.2, None, 0.6, 0.8]
    assert histories.series[1].timestamps == [1000.0, 1001.0, 1002.0, 1003.0, 1004.0]
    assert {"key": "accuracy", "step": 2, "value": None, "timestamp": 1002.0} in points
    assert len(points) == 10
    await room.events.close()
    assert {("run", run.run_id), ("experiment", run.experiment_id)} <= set(room.events_seen)


async def test_a_run_that_diverges_is_told_once(room: Room) -> None:
    sender = Sender("run-1", this_process())
    sender.add("start", name="first", experiment="Digits")
    sender.add("tags", stage="dev")
    ack = await sender.send(room)
    await asyncio.sleep(0.1)
    assert ("divergence", ack.run_id) not in room.events_seen
    sender.add("tags", **{"genops.diverged": "loss is NaN since step 3"})
    await sender.send(room)
    await sender.send(room)
    await room.events.close()
    assert room.events_seen.count(("divergence", ack.run_id)) == 1


async def test_the_lowest_and_highest_values_are_kept_beside_the_run(room: Room, home: Home) -> None:
    sender = Sender("run-1")
    sender.add("start")
    for step, accuracy in enumerate((0.5, math.nan, 0.9, 0.7)):
        sender.metrics(step, accuracy=accuracy, loss=-step, **{"system/cpu_percent": step})
    run_id = (await sender.send(room)).run_id
    older = Sender("run-2")
    older.add("start")
    older.metrics(0, loss=5)
    await room.run_table.tag_run((await older.send(room)).run_id, RunTags(remove=["genops.extremes"]))
    await room.close()
    room = open_room(home.data)
    try:
        sender.metrics(4, accuracy=0.2, loss=-1, late=1)
        older.metrics(1, loss=7)
        await sender.send(room)
        await older.send(room)
        by = [RunSort(column="metrics.loss")]
        asked = RunTableQuery(columns=["tags.genops.extremes"], sort=by, wait_s=20)
        text, of_older = (await room.run_table.query_runs(asked)).columns[0].values
        kept = {"accuracy": [0.2, 4, 0.9, 2], "loss": [-3, 3, 0, 0], "late": [1, 4, 1, 4]}
        assert json.loads(str(text)) == kept
        assert of_older is None, "what it logged before is not known"
        # The tag is the table's own.
        assert (await room.experiments.get_run(run_id)).run.tags == {}
        columns = (await room.run_table.list_run_columns()).columns
        assert "tags.genops.extremes" not in {each.column for each in columns}
    finally:
        await room.close()


async def test_events_that_are_sent_again_count_once(room: Room) -> None:
    sender = Sender("again")
    sender.add("start", name="again")
    for step in range(50):
        sender.metrics(step, loss=step)
    first, second = await asyncio.gather(sender.send(room, 0, 30), sender.send(room, 0, 30))
    assert first == second and first.acked_seq == 30
    assert (await sender.send(room, 10)).acked_seq == 51
    assert (await sender.send(room)).acked_seq == 51
    series = (await room.experiments.get_run_metrics(first.run_id, MetricsQuery())).series
    assert series[0].steps == list(range(50))
    assert len((await room.experiments.list_runs(RunQuery())).items) == 1


async def test_a_run_that_is_being_begun_is_not_gone_on_with(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_mlflow, known = threading.Event(), threading.Event()
    add = TrackedRuns.add

    def add_late(self: TrackedRuns, run: TrackedRun) -> None:
        in_mlflow.set()
        assert known.wait(60)
        add(self, run)

    monkeypatch.setattr(TrackedRuns, "add", add_late)
    sender = Sender("begun")
    sender.add("start", name="begun")
    begun = asyncio.create_task(sender.send(room))
    assert await asyncio.to_thread(in_mlflow.wait, 60)
    resumed = asyncio.create_task(room.tracking.resume(ResumeRequest(run="begun", process=this_process())))
    assert not (await asyncio.wait([resumed], timeout=2))[0], "it did not wait"
    known.set()
    with pytest.raises(Conflict, match="still writes the run"):
        await resumed
    assert (await begun).name == "begun"


async def test_a_run_is_not_made_twice_when_its_start_was_not_remembered(room: Room, home: Home) -> None:
    sender = Sender("lost")
    sender.add("start", name="lost", params={"lr": 1})
    sender.metrics(0, loss=1)
    first = await sender.send(room)
    sender.metrics(1, loss=2)
    await room.close()
    (home.data / "store.db").unlink()
    later = open_room(home.data)
    assert (await sender.send(later)).run_id == first.run_id
    await later.close()
    # and when the kernel has no start any more
    (home.data / "store.db").unlink()
    last = open_room(home.data)
    sender.metrics(2, loss=3)
    ack = await sender.send(last, 3)
    assert (ack.run_id, ack.acked_seq) == (first.run_id, 4)
    series = (await last.experiments.get_run_metrics(first.run_id, MetricsQuery())).series
    assert series[0].steps == [0, 1, 2]
    assert len((await last.experiments.list_runs(RunQuery())).items) == 1
    await last.close()


async def test_a_gap_is_refused_and_tells_where_to_go_on(room: Room) -> None:
    sender = Sender("gap")
    sender.add("start")
    for step in range(4):
        sender.metrics(step, loss=step)
    with pytest.raises(Conflict) as unknown:
        await sender.send(room, 2)
    assert unknown.value.details == {"acked_seq": 0}
    await sender.send(room, 0, 2)
    with pytest.raises(Conflict) as missing:
        await sender.send(room, 3)
    assert missing.value.details == {"acked_seq": 2}
    assert (await sender.send(room)).acked_seq == 5


@pytest.mark.parametrize("key", ["", "../x", "a/b", "x" * 65, "ü", "a\n"])
async def test_run_keys_that_are_none(room: Room, key: str) -> None:
    with pytest.raises(InvalidRequest):
        await Sender(key).send(room)


async def test_what_mlflow_does_not_take_is_fitted_noted_and_costs_nothing_else(room: Room) -> None:
    sender = Sender("odd")
    long = "längs " * 200
    sender.add("start", name="Ω" * 600, experiment="實驗 🧪 " + "x" * 600, params={"first": 1})
    sender.add("params", **{"first": 2, "sound": 3, "../../up": 4, "a@b%": 5, long: 6, "text": "ö" * 5000})
    sender.add("tags", note="🧪" * 5000, odd="\ud800")
    sender.add(
        "metrics", values={"loss": "NaN", "up": "Infinity", "bad": "a lot", "ok": 1, "big": 10**200}, step=0
    )
    sender.add("text", path="../../outside.txt", content="x")
    sender.add("text", path="/etc/absolute", content="x")
    sender.add("file", path="gone.bin", source=str(room.mlflow.spool / "gone.bin"))
    sender.add("file", path="device", source="/dev/zero")
    sender.add("end", status="DONE?")
    assert (await sender.send(room)).acked_seq == len(sender.events)
    run = (await room.experiments.get_run("latest")).run
    assert run.status == "FAILED"
    assert run.experiment.startswith("實驗 🧪 ") and run.experiment.endswith("…(cut)")
    assert (run.params["first"], run.params["sound"]) == ("1", "3")
    assert len(run.params) == 6 and len(run.params["text"].encode()) <= 6000
    assert run.params["a_b_"] == "5"
    assert math.isclose(run.metrics["ok"] or 0, 1.0)
    assert [run.metrics[name] for name in ("loss", "up")] == [None, None]
    assert run.metrics["big"] == 1e200
    notes = run.tags["genops.notes"]
    for sign in (
        "'first'",
        "cut to 6000",
        "not a number",
        "outside.txt",
        "absolute",
        "gone.bin",
        "not a plain file",
        "DONE?",
    ):
        assert sign in notes, (sign, notes)
    page = await room.experiments.list_runs(RunQuery(experiment=run.experiment))
    assert [found.run_id for found in page.items] == [run.run_id]


async def test_links_out_of_the_spool_are_not_followed(room: Room, home: Home) -> None:
    secret = home.path / "secret"
    secret.write_text("secret")
    sender = Sender("links")
    sender.add("start")
    await sender.send(room)
    link = room.mlflow.spool / "link"
    link.symlink_to(secret)
    sender.add("file", path="link.txt", source=str(link))
    await sender.send(room)
    detail = await room.experiments.get_run("latest")
    assert detail.artifacts == []
    assert "'link'" in detail.run.tags["genops.notes"]


async def test_the_models_that_a_kernel_logged_are_remembered(room: Room) -> None:
    """Those that its run or its own ``mlflow.*`` calls logged; nothing that is no digest."""
    sender = Sender("model")
    sender.add("start", name="with a model")
    sender.add("model", name="model", digest="a" * 64, run_id="below")
    sender.add("model", name="model", digest="../" * 9)
    sender.add("model", name="again", digest="a" * 64)
    ack = await sender.send(room)
    assert ack.acked_seq == 4
    await room.tracking.remember_model(OwnModel(name="alone", digest="b" * 64, run_id=ack.run_id))
    with pytest.raises(InvalidRequest, match="digest"):
        await room.tracking.remember_model(OwnModel(name="alone", digest="B" * 64))
    rows = {(row.name, row.digest, row.run_id) for row in _digests(room)}
    assert rows == {("model", "a" * 64, "below"), ("alone", "b" * 64, ack.run_id)}
    await room.events.close()
    assert ("model", "model") in room.events_seen


def _digests(room: Room) -> Sequence[Row[Any]]:
    with room.store.transaction() as connection:
        return connection.execute(select(model_hashes)).all()


def test_a_digest_differs_for_every_change_and_refuses_links(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    (folder / "data").mkdir(parents=True)
    (folder / "MLmodel").write_text("a")
    (folder / "data" / "w").write_text("b")
    seen = {model_digest(folder)}
    (folder / "data" / "w").write_text("c")
    seen.add(model_digest(folder))
    (folder / "data" / "w").rename(folder / "data" / "v")
    seen.add(model_digest(folder))
    (folder / "loader.py").write_text("")
    seen.add(model_digest(folder))
    assert len(seen) == 4
    (folder / "link").symlink_to("/etc")
    with pytest.raises(Exception, match="a link or a special file"):
        model_digest(folder)


def test_a_batch_survives_json() -> None:
    sender = Sender("json")
    sender.metrics(1, loss=0.5)
    batch = sender.batch()
    assert msgspec.json.decode(json.dumps(msgspec.to_builtins(batch)), type=type(batch)) == batch


async def _python(script: str, *arguments: str, env: dict[str, str], cwd: Path) -> None:
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, *arguments, env=env, cwd=cwd, stderr=asyncio.subprocess.PIPE
    )
    _out, error = await process.communicate()
    assert process.returncode == 0, error.decode()[-3000:]
