"""A file of rows is scored with a deployment, and an interrupted one goes on."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import psutil
import pytest

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.models import Task
from genops_lab.deployments.batches.models import NewBatch
from genops_lab.deployments.batches.service import BatchesService
from genops_lab.deployments.models import KeyedDeployment
from genops_lab.deployments.service import DeploymentsService
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


class Stand(http.server.BaseHTTPRequestHandler):
    """Stands for a language model: it answers in upper case, and refuses what is too long."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *given: Any) -> None:
        return

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": [{"id": "a-model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text = body["messages"][-1]["content"]
        assert self.headers["Authorization"] == "Bearer a-key" and body["model"] == "a-model"
        if len(text) > 100:
            self._send(400, {"error": {"message": "The prompt is too long."}})
            return
        answer = {"message": {"role": "assistant", "content": f"{text.upper()} {body['temperature']}"}}
        usage = {"prompt_tokens": len(text), "completion_tokens": 3}
        self._send(200, {"choices": [{**answer, "finish_reason": "stop"}], "usage": usage})

    def _send(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def standing() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stand)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_prompts_are_answered_one_by_one_and_a_row_that_fails_says_why(
    rooms: Rooms,
    batches: BatchesService,
    served: KeyedDeployment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from msgspec.structs import replace

    data, out = tmp_path / "prompts.jsonl", tmp_path / "answers.parquet"
    rows: Rows = [{"prompt": "one"}, {"prompt": "x" * 101}, {"prompt": "three"}]
    data.write_text("\n".join(map(json.dumps, rows)))
    with standing() as url:

        async def get(_self: Any, name: str) -> Any:
            return replace(served, url=url)

        async def key(_self: Any, name: str) -> Any:
            return replace(served, key="a-key")

        monkeypatch.setattr(DeploymentsService, "get_deployment", get)
        monkeypatch.setattr(DeploymentsService, "get_deployment_key", key)
        task = scored(rooms, batches, data=str(data), out=str(out), settings={"temperature": 0}, batch_rows=2)
    assert task.state == "done", task
    assert [(each["answer"], each["completion_tokens"]) for each in read(out)] == [
        ("ONE 0", 3),
        (None, None),
        ("THREE 0", 3),
    ]
    assert [each["error"] for each in read(out)] == [None, "400: The prompt is too long.", None]
