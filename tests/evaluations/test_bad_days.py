"""Data that is wrong, models that fail, processes and Labs that are killed: said, and nothing half-written."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genops_lab.agent import model_process
from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.settings import Settings
from genops_lab.core.store.work import WorkTable
from genops_lab.evaluations.models import EvaluationsQuery, NewEvaluation
from genops_lab.registry.models import RegisterModel
from tests.support.processes import commands_with
from tests.support.rooms import Rooms, Training, eventually, open_rooms
from tests.support.warm import cold_scoring, use, warm_address

from .conftest import evaluated, held_out

BOTH: dict[str, Any] = {"id": "key", "label": "y", "groups": ["region"]}
COLUMNS: dict[str, Any] = {**BOTH, "against": ""}


def _double_ids(frame: Any) -> Any:
    frame.loc[1, "key"] = "row-0"
    return frame


def _lost_ids(frame: Any) -> Any:
    frame.loc[[1, 2], "key"] = None
    return frame


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (_double_ids, COLUMNS, r"1 id \(row-0\) more than once in the data set 'bad\.parquet'"),
        (_lost_ids, COLUMNS, r"2 of 400 rows of 'bad\.parquet' have no id in the column 'key'"),
        (lambda frame: frame, {**COLUMNS, "label": "yy"}, r"no column 'yy' \(--label\)"),
        (lambda frame: frame, {"against": ""}, r"The label of the data set 'bad\.parquet' is unknown"),
        (lambda frame: frame[:0], COLUMNS, r"bad\.parquet has no rows"),
    ],
    ids=["double", "lost", "unknown column", "no label", "empty"],
)
def test_bad_rows_are_named(
    rooms: Rooms,
    digits: str,
    tmp_path: Path,
    change: Callable[[Any], Any],
    options: dict[str, Any],
    message: str,
) -> None:
    change(held_out()).to_parquet(tmp_path / "bad.parquet", index=False)
    task, found = evaluated(rooms, model=digits, data=str(tmp_path / "bad.parquet"), **options)
    assert task.state == "failed"
    assert re.search(message, task.message), task.message
    assert task.hint
    assert found == []
    assert not (rooms.settings.data_dir / "evaluations" / task.id).exists()


def test_files_and_names_that_cannot_be_data(rooms: Rooms, digits: str, tmp_path: Path) -> None:
    def refused(data: str, **options: Any) -> GenOpsError:
        with pytest.raises((InvalidRequest, NotFound)) as caught:
            evaluated(rooms, model=digits, data=data, **options)
        return caught.value

    (tmp_path / "notes.docx").write_text("no")
    assert "notes.docx is not a table" in refused(str(tmp_path / "notes.docx")).message
    assert "is a folder" in refused(str(tmp_path)).message
    gone = tmp_path / "gone.parquet"
    assert refused(str(gone)).message == f"Cannot read {gone}: No such file or directory."
    unknown = refused("never-seen@ab12")
    assert unknown.message == "MLflow knows no data set 'never-seen@ab12'."
    assert "--data FILE.parquet" in unknown.hint
    assert "cannot be compared with itself" in refused("x", version="1", against="1").message
    assert "batch_rows is 0" in refused("x", batch_rows=0).message


def test_a_damaged_file_is_said(rooms: Rooms, digits: str, tmp_path: Path) -> None:
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 but no more")
    task, _found = evaluated(rooms, model=digits, data=str(tmp_path / "damaged.parquet"), **COLUMNS)
    assert task.state == "failed"
    assert "Cannot read damaged.parquet" in task.message


def test_a_changed_data_set_is_refused(rooms: Rooms, digits: str, tmp_path: Path) -> None:
    import mlflow
    import pandas as pd
    from mlflow.data.digest_utils import compute_pandas_digest
    from mlflow.entities import Dataset, DatasetInput

    frame = held_out()[:50]
    frame["key"] = range(50)  # read as texts, but the digest is that of numbers
    path = tmp_path / "later.csv"
    frame.to_csv(path, index=False)
    client = mlflow.MlflowClient(rooms.mlflow.uri)
    run = client.create_run("0")
    digest = str(compute_pandas_digest(pd.read_csv(path)))
    source = f'{{"uri": "{path}"}}'
    dataset = Dataset(name="later", digest=digest, source_type="local", source=source)
    client.log_inputs(run.info.run_id, [DatasetInput(dataset, [])])
    client.set_terminated(run.info.run_id)

    task, found = evaluated(rooms, model=digits, data="later", **COLUMNS)
    assert task.state == "done", (task.message, task.hint)
    assert found[0].digest == digest
    frame[:49].to_csv(path, index=False)
    task, found = evaluated(rooms, model=digits, data=f"later@{digest[:4]}", **COLUMNS)
    assert task.state == "failed"
    assert task.message.startswith("The data set 'later' has changed: later.csv has the digest ")
    path.unlink()
    task, found = evaluated(rooms, model=digits, data="later", **COLUMNS)
    assert task.message == f"The file of later@{digest} is gone: {path}."


def test_a_model_that_lacks_columns_says_which(rooms: Rooms, digits: str, tmp_path: Path) -> None:
    held_out().drop(columns=["p3", "p4"]).to_parquet(tmp_path / "short.parquet", index=False)
    task, found = evaluated(rooms, model=digits, data=str(tmp_path / "short.parquet"), **COLUMNS)
    assert task.state == "failed"
    assert "digits version 2 failed while it loaded the model" in task.message
    assert "X has 62 features" in task.message
    assert "p0, p1, p2, p5" in task.hint
    assert found == []


def test_files_of_an_unknown_origin_need_a_confirmation(rooms: Rooms, digits: str, holdout: Path) -> None:
    logged = Training(rooms).digits(serialization_format="cloudpickle")
    rooms.run(rooms.registry.register_model(RegisterModel(name="stranger", run=logged.run_id)))
    body = {"model": "stranger", "data": str(holdout), **BOTH}
    with pytest.raises(Conflict) as caught:
        evaluated(rooms, **body)
    assert caught.value.code == "confirmation_needed"
    check = caught.value.details["checks"][0]
    assert f"--trust {check['digest']}" in caught.value.hint
    task, found = evaluated(rooms, **body, trust=[check["digest"]])
    assert task.state == "done", (task.message, task.hint)
    assert found[0].metrics["accuracy"] > 0.7


def test_a_killed_process_is_said_and_leaves_nothing(
    rooms: Rooms, digits: str, holdout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    whole = model_process.ModelProcess.predict

    def predict(self: model_process.ModelProcess, batch: int, rows: str) -> None:
        if batch == 2 and not killed:
            killed.append(self.process.pid)
            os.kill(self.process.pid, signal.SIGKILL)
        whole(self, batch, rows)

    monkeypatch.setattr(model_process.ModelProcess, "predict", predict)
    with cold_scoring():
        task, found = evaluated(rooms, model=digits, data=str(holdout), batch_rows=50, **BOTH)
    assert task.state == "failed"
    assert (
        task.message
        == "The process of digits version 2 was killed by signal 9 while it predicted the rows 101 to 150."
    )
    assert "--batch-rows" in task.hint
    assert found == []
    assert not (rooms.settings.data_dir / "evaluations" / task.id).exists()
    assert not commands_with(task.id)


def test_a_version_that_is_deleted_meanwhile_leaves_no_evaluation(
    rooms: Rooms, digits: str, holdout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    run = rooms.run(rooms.registry.resolve(digits, "2")).run_id
    rooms.run(rooms.registry.register_model(RegisterModel(name="vanishing", run=run)))
    client = mlflow.MlflowClient(rooms.mlflow.uri)
    whole = model_process.ModelProcess.predict

    def predict(self: model_process.ModelProcess, batch: int, rows: str) -> None:
        if batch == 1:
            client.delete_model_version("vanishing", "1")
        whole(self, batch, rows)

    monkeypatch.setattr(model_process.ModelProcess, "predict", predict)
    task, found = evaluated(rooms, model="vanishing", data=str(holdout), **BOTH)
    assert task.state == "failed" and found == []
    said = "The evaluation of 'vanishing' version 1 could not be written: Model Version (name=vanishing, version=1) not"
    assert task.message.startswith(said) and "\n" not in task.message and task.hint
    assert not (rooms.settings.data_dir / "evaluations" / task.id).exists()


def test_a_cancelled_evaluation_leaves_nothing(rooms: Rooms, digits: str, holdout: Path) -> None:
    body = NewEvaluation(model=digits, data=str(holdout), batch_rows=1, **BOTH)
    begun = rooms.run(rooms.evaluations.evaluate(body))
    eventually(lambda: rooms.run(rooms.tasks.get_task(begun.task.id)), lambda task: (task.progress or 0) > 0)
    rooms.run(rooms.tasks.cancel_task(begun.task.id))
    task = rooms.run(rooms.tasks.wait(begun.task.id))
    assert task.state == "cancelled"
    assert not (rooms.settings.data_dir / "evaluations" / task.id).exists()
    assert not commands_with(task.id)
    query = EvaluationsQuery(session=begun.task.id)
    assert rooms.run(rooms.evaluations.list_evaluations(query)).items == []


def _killed_lab(data_dir: Path, address: str, body: NewEvaluation, pipe: Any) -> None:
    """Evaluate in a process of its own, which is killed in the middle of the rows."""
    use(address)
    with open_rooms(Settings(data_dir=data_dir)) as lab:
        begun = lab.run(lab.evaluations.evaluate(body))
        eventually(lambda: lab.run(lab.tasks.get_task(begun.task.id)), lambda task: (task.progress or 0) > 0)
        pipe.send(begun.task.id)
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_next_lab_goes_on_where_a_killed_one_ended(rooms: Rooms, digits: str, holdout: Path) -> None:
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    body = NewEvaluation(model=digits, data=str(holdout), batch_rows=4, **BOTH)
    process = multiprocessing.get_context("spawn").Process(
        target=_killed_lab, args=(rooms.settings.data_dir, warm_address(), body, theirs)
    )
    process.start()
    assert ours.poll(200), "the evaluation did not begin"
    task_id = ours.recv()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    eventually(lambda: commands_with(f"{task_id}/model"), lambda left: not left, 30)

    table = WorkTable(rooms.store)
    eventually(lambda: table.get(task_id).state, lambda state: state != "running", 60)
    work = table.get(task_id)
    assert (work.state, work.token > 1) == ("done", True), (work.message, work.hint)
    found = rooms.run(rooms.evaluations.list_evaluations(EvaluationsQuery(session=task_id))).items
    assert {each.version for each in found} == {"1", "2"}
    assert not (rooms.settings.data_dir / "evaluations" / task_id).exists()
