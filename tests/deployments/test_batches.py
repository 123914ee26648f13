"""A file of rows is scored with a deployment, and an interrupted one goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.models import Task
from genops_lab.deployments.batches.models import NewBatch
from genops_lab.deployments.batches.service import BatchesService
from genops_lab.deployments.models import KeyedDeployment
from tests.support.rooms import Logged, Rooms, eventually

from .conftest import process_of

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def batches(rooms: Rooms) -> BatchesService:
    async def made() -> BatchesService:
        return BatchesService(rooms.settings, rooms.mlflow, rooms.deployments, rooms.work)

    return rooms.run(made())


@pytest.fixture
def data(digits: Logged, tmp_path: Path) -> Path:
    """100 rows of the pictures, with ids that the model must not get."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {f"x{at}": digits.inputs[:, at].repeat(25) for at in range(digits.inputs.shape[1])}
    path = tmp_path / "pictures.parquet"
    pq.write_table(pa.table({"id": [f"p{at}" for at in range(100)], **columns}), path)
    return path


def scored(rooms: Rooms, batches: BatchesService, **fields: Any) -> Task:
    """The end of a batch."""
    begun = rooms.run(batches.score_deployment("served", NewBatch(**{"without": ["id"], **fields})))
    return rooms.run(rooms.tasks.wait(begun.task.id))


def read(path: Path) -> Rows:
    import pyarrow.parquet as pq

    return cast(Rows, pq.read_table(path).to_pylist())


def test_the_rows_come_back_with_predictions_in_their_order(
    rooms: Rooms, batches: BatchesService, served: KeyedDeployment, data: Path, digits: Logged
) -> None:
    out = data.with_name("answers.parquet")
    task = scored(rooms, batches, data=str(data), out=str(out), batch_rows=7)
    assert (task.state, task.message) == ("done", f"100 rows of pictures.parquet are scored: {out}"), task
    found = read(out)
    assert [each["id"] for each in found] == [f"p{at}" for at in range(100)]
    assert [each["prediction"] for each in found] == [each for each in digits.predictions for _ in range(25)]
    assert {each["revision"] for each in found} == {1} and "x0" in found[0]
    assert list((rooms.settings.data_dir / "batches").iterdir()) == []
    assert sorted(each.name for each in data.parent.iterdir()) == ["answers.parquet", "pictures.parquet"]
    with pytest.raises(Conflict, match="exists") as caught:
        scored(rooms, batches, data=str(data), out=str(out))
    assert "--overwrite" in caught.value.hint
    assert scored(rooms, batches, data=str(data), out=str(out), overwrite=True).state == "done"


def test_bad_requests_say_what_to_do(
    rooms: Rooms, batches: BatchesService, served: KeyedDeployment, data: Path
) -> None:
    out = str(data.with_name("other.parquet"))
    for fields, words in (
        ({"out": "answers.csv"}, "no name of a Parquet file"),
        ({"out": str(data.parent / "nowhere" / "a.parquet")}, "no folder"),
        ({"out": out, "parallel": 0}, "0 requests at once"),
        ({"out": out, "data": str(data.parent)}, "is a folder"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            scored(rooms, batches, **{"data": str(data), **fields})
    with pytest.raises(NotFound, match="knows no data set"):
        scored(rooms, batches, data="nothing@0123", out=out)
    found = scored(rooms, batches, data=str(data), out=out, without=[])
    assert found.state == "failed" and found.message.startswith("Rows 0 to 99: the model answered 400: ")
    assert "--without" in found.hint
    found = scored(rooms, batches, data=str(data), out=out, settings={"temperature": 0})
    assert found.message == "temperature is a setting of language models, and this deployment serves none."
    assert not Path(out).exists()


def test_an_interrupted_batch_goes_on_with_the_rows_that_have_no_answer(
    rooms: Rooms, batches: BatchesService, served: KeyedDeployment, data: Path
) -> None:
    """The scoring process is suspended in the middle; the batch is cancelled there."""
    out = data.with_name("later.parquet")
    fields: dict[str, Any] = {"data": str(data), "out": str(out), "batch_rows": 1, "parallel": 1}
    begun = rooms.run(batches.score_deployment("served", NewBatch(without=["id"], **fields)))
    parts = lambda: list((rooms.settings.data_dir / "batches").glob("*/parts/part-*"))  # noqa: E731
    eventually(parts, lambda found: len(found) >= 5, 60)
    process = process_of(rooms, "served")
    process.suspend()
    try:
        rooms.run(rooms.tasks.cancel_task(begun.task.id))
        assert rooms.run(rooms.tasks.wait(begun.task.id)).state == "cancelled"
        kept = {each.name: each.stat().st_mtime_ns for each in parts()}
    finally:
        process.resume()
    assert 5 <= len(kept) < 100 and not out.exists()
    task = scored(rooms, batches, **fields)
    assert task.state == "done" and len(read(out)) == 100
    log = rooms.run(rooms.tasks.get_task_log(task.id)).lines
    assert f"Some {len(kept)} rows have answers already." in log


def _scores(process: psutil.Process) -> bool:
    try:
        return "genops_lab.deployments.batches.run" in process.cmdline()
    except psutil.Error:  # a child that has ended meanwhile
        return False


def test_a_killed_process_is_told_and_its_rows_are_kept(
    rooms: Rooms, batches: BatchesService, served: KeyedDeployment, data: Path
) -> None:
    fields: dict[str, Any] = {
        "data": str(data),
        "out": str(data.with_name("killed.parquet")),
        "batch_rows": 1,
    }
    begun = rooms.run(batches.score_deployment("served", NewBatch(without=["id"], parallel=1, **fields)))
    parts = lambda: list((rooms.settings.data_dir / "batches").glob("*/parts/part-*"))  # noqa: E731
    eventually(parts, lambda found: len(found) >= 5, 60)
    (child,) = [each for each in psutil.Process().children() if _scores(each)]
    child.kill()
    task = rooms.run(rooms.tasks.wait(begun.task.id))
    assert task.state == "failed" and task.message.startswith("The process that scores ended"), task
    assert len(parts()) >= 5 and scored(rooms, batches, **fields).state == "done"
