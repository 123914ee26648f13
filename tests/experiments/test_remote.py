"""An MLflow elsewhere: down, broken, slow, back again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select

from genops_lab.core.errors import InvalidRequest, NotFound, Unavailable
from genops_lab.core.store.tables import tracked_runs
from genops_lab.experiments.columns.models import RunTableQuery
from genops_lab.experiments.comparison.models import ComparisonQuery
from genops_lab.experiments.models import MetricsQuery, RunQuery
from tests.support.homes import Home
from tests.support.lab_server import free_port
from tests.support.mlflow_file import place_server_store
from tests.support.mlflow_server import running_mlflow

from .conftest import Room, Sender, in_the_tests_loop, open_room, until

NOT_JSON = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\nConnection: close\r\n\r\noops"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture
def port() -> int:
    """Where the other MLflow is, or will be."""
    return free_port()


@pytest.fixture
def far(home: Home, clean_environment: None, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Room]:
    """The room on an MLflow elsewhere that is not there yet; the address holds a password."""
    monkeypatch.chdir(home.work)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    opened = open_room(home.data, f"http://ada:secret@127.0.0.1:{port}")
    yield opened
    in_the_tests_loop(opened.close())
    assert list(home.work.iterdir()) == []


@asynccontextmanager
async def answering(port: int, answer: bytes | None) -> AsyncIterator[None]:
    """A server that always says this, or nothing at all."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()


@pytest.fixture
def start_mlflow(home: Home, port: int) -> Iterator[Any]:
    """Starts a real MLflow server, once called."""
    folder = home.path / "elsewhere"
    place_server_store(folder / "far.db")
    with contextlib.ExitStack() as stack:

        def start() -> None:
            stack.enter_context(
                running_mlflow(home, f"sqlite:///{folder}/far.db", folder / "artifacts", port)
            )

        yield start


async def test_a_server_that_is_down_broken_slow_or_no_mlflow(far: Room, port: int) -> None:
    sender = Sender("patient")
    sender.add("start", name="patient")
    for answer in (b"nobody there", BROKEN, BUSY, NOT_JSON, None):
        if answer == b"nobody there":
            await _unavailable(far, sender)
            continue
        async with answering(port, answer):
            await _unavailable(far, sender)
    with far.store.transaction() as connection:
        assert connection.execute(select(tracked_runs)).all() == [], "nothing was acknowledged"


async def _unavailable(far: Room, sender: Sender) -> None:
    for question in (far.experiments.list_experiments(), sender.send(far)):
        with pytest.raises(Unavailable) as caught:
            await asyncio.wait_for(question, 20)
        assert caught.value.hint
        assert "secret" not in caught.value.message
        assert "ConnectionPool" not in caught.value.message, "what a person is told is not what urllib3 says"


async def test_it_comes_back_and_nothing_is_lost(far: Room, port: int, home: Home, start_mlflow: Any) -> None:
    def listener(_topic: str, _data: object) -> None:
        """A panel."""

    far.live.join("changes", listener)
    sender = Sender("patient")
    sender.add("start", name="patient", experiment="Far", params={"lr": 1})
    for step in range(30):
        sender.metrics(step, loss=step)
    sender.add("text", path="code/cell.py", content="print()")
    with pytest.raises(Unavailable):
        await sender.send(far)
    await until(lambda: ("run", "") in far.events_seen)  # it tells that it is down
    await far.events.close()
    far.events_seen.clear()
    start_mlflow()
    await until(lambda: ("run", "") in far.events_seen, 60)  # and that it is back
    ack = await sender.send(far)
    assert ack.tracking_uri == f"http://127.0.0.1:{port}"
    assert await sender.send(far, 3) == ack
    run = (await far.experiments.list_runs(RunQuery(experiment="Far"))).items[0]
    assert (run.run_id, run.params, run.metrics) == (ack.run_id, {"lr": "1"}, {"loss": 29.0})
    (series,) = (await far.experiments.get_run_metrics("latest", MetricsQuery())).series
    assert series.steps == list(range(30))
    assert (await far.experiments.get_run(ack.run_id)).artifacts[0].path == "code"
    for question, kind in (
        (far.experiments.get_run("f" * 32), NotFound),
        (far.experiments.list_runs(RunQuery(filter="this is no filter")), InvalidRequest),
        (far.experiments.list_runs(RunQuery(experiment="no such")), NotFound),
    ):
        with pytest.raises(kind):
            await question
    await asyncio.sleep(2)
    await far.events.close()
    far.events_seen.clear()
    from mlflow import MlflowClient

    outside = MlflowClient(f"http://127.0.0.1:{port}")
    await asyncio.to_thread(outside.log_metric, ack.run_id, "loss", 7, step=99)
    await until(lambda: ("run", "") in far.events_seen)
    assert ("model", "") not in far.events_seen
    table = await far.run_table.query_runs(RunTableQuery(columns=["metrics.loss"], wait_s=60))
    assert (table.state.source, table.columns[0].values) == ("api", [7.0])
    await far.events.close()
    far.events_seen.clear()
    await asyncio.to_thread(outside.log_metric, ack.run_id, "loss", 8, step=100)
    await until(lambda: ("run", "") in far.events_seen)
    risen = RunTableQuery(columns=["metrics.loss"], query="metrics.loss > 7")
    while not (table := await far.run_table.query_runs(risen)).run_ids:  # the test's time limit bounds it
        await asyncio.sleep(0.05)
    assert (table.run_ids, table.columns[0].values) == ([ack.run_id], [8.0])
    far.live.leave("changes", listener)


async def test_runs_there_are_compared_and_their_files_come(far: Room, port: int, start_mlflow: Any) -> None:
    start_mlflow()

    async def made() -> list[str]:
        for name in ("one", "two"):
            sender = Sender(name)
            sender.add("start", name=name, params={"lr": name})
            sender.add("text", path="out/<script>.txt", content=name)
            sender.add("text", path="source/cells.json", content=f'[{{"source": "x = {name!r}"}}]')
            sender.add("end", status="FINISHED")
            await sender.send(far)
        return [run.run_id for run in (await far.experiments.list_runs(RunQuery())).items]

    deadline = asyncio.get_running_loop().time() + 90
    while True:
        try:
            runs = await made()
            break
        except Unavailable:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.1)
    found = await far.experiments.compare_runs(ComparisonQuery(run_ids=runs))
    assert [row.name for row in found.params if row.differs] == ["lr"]
    assert found.changes[1].cells[0].kind == "changed"
    (file,) = found.artifacts
    # Three bytes each, and the content is not fetched for this.
    assert [entry.sameness for entry in file.columns] == ["same", "same_size"]
    with await far.experiments.open_artifact(runs[0], "out/<script>.txt") as stream:
        assert stream.read() == b"two"
    assert list(far.mlflow.scratch.iterdir()) == []
    for path in ("out", "none.txt", "../x", "%2e%2e/x"):
        with pytest.raises((NotFound, InvalidRequest)):
            await far.experiments.open_artifact(runs[0], path)
    assert list(far.mlflow.scratch.iterdir()) == []
