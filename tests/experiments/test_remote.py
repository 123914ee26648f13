"""An MLflow elsewhere: down, broken, slow, back again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import select

from genops_lab.core.errors import InvalidRequest, NotFound, Unavailable
from genops_lab.core.store.tables import tracked_runs
from genops_lab.experiments.columns.models import RunTableQuery
from genops_lab.experiments.models import MetricsQuery, RunQuery
from tests.support.homes import Home
from tests.support.lab_server import free_port

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
    processes: list[subprocess.Popen[bytes]] = []
    folder = home.path / "elsewhere"

    def start() -> None:
        folder.mkdir()
        processes.append(
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
                    *("--backend-store-uri", f"sqlite:///{folder}/far.db", "--workers", "1"),
                    *("--artifacts-destination", str(folder / "artifacts")),
                ],
                cwd=folder,
                env=home.environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        )

    yield start
    for process in processes:
        os.killpg(process.pid, 9)
        process.wait()


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
    await until(lambda: ("run", "") in far.told)  # it tells that it is down
    await far.events.close()
    far.told.clear()
    start_mlflow()
    await until(lambda: ("run", "") in far.told, 60)  # and that it is back
    ack = await sender.send(far)
    assert ack.tracking_uri == f"http://127.0.0.1:{port}"
    assert await sender.send(far, 3) == ack
    run = (await far.experiments.list_runs(RunQuery(experiment="Far"))).runs[0]
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
    far.told.clear()
    script = (
        "import sys; from mlflow import MlflowClient\n"
        "MlflowClient(sys.argv[1]).log_metric(sys.argv[2], 'loss', 7, step=99)"
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, f"http://127.0.0.1:{port}", ack.run_id), env=home.environment()
    )
    assert await process.wait() == 0
    await until(lambda: ("run", "") in far.told)
    assert ("model", "") not in far.told
    table = await far.run_table.query_runs(RunTableQuery(columns=["metrics.loss"], wait_s=60))
    assert (table.state.source, table.columns[0].values) == ("api", [7.0])
    await far.events.close()
    far.told.clear()
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-c",
            script.replace("7, step=99", "8, step=100"),
            f"http://127.0.0.1:{port}",
            ack.run_id,
        ),
        env=home.environment(),
    )
    assert await process.wait() == 0
    await until(lambda: ("run", "") in far.told)
    risen = RunTableQuery(columns=["metrics.loss"], query="metrics.loss > 7")
    while not (table := await far.run_table.query_runs(risen)).run_ids:  # the test's time limit bounds it
        await asyncio.sleep(0.05)
    assert (table.run_ids, table.columns[0].values) == ([ack.run_id], [8.0])
    far.live.leave("changes", listener)
