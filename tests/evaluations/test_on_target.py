"""Versions judged on a host over a real sshd: kept as an evaluation here, also if Lab or host go away meanwhile."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from genops_lab.core.errors import Conflict, NotFound
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings
from genops_lab.core.store.work import WorkTable
from genops_lab.evaluations.models import Evaluation, EvaluationsQuery, NewEvaluation
from genops_lab.evaluations.predictions import FILE, Predictions, read
from genops_lab.evaluations.service import KIND, EvaluationsService
from genops_lab.hosts.models import NewTarget
from genops_lab.registry.models import RegisterModel
from tests.hosts.labs import connected, until
from tests.support import application
from tests.support.application import Lab
from tests.support.homes import Home
from tests.support.packages import without_index
from tests.support.processes import commands_with
from tests.support.rooms import Rooms, Training
from tests.support.sshd import Sshd
from tests.support.warm import use, warm_address

from .conftest import evaluated

BOTH: dict[str, Any] = {"id": "key", "label": "y", "groups": ["region"]}


@pytest.fixture(scope="module")
def host(package_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A host whose Python has what the digits need; it reaches no package index."""
    empty = tmp_path_factory.mktemp("index")
    with (
        Sshd(environment={"XDG_STATE_HOME": "", **without_index(empty)}) as found,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in package_home.environment().items():
            patch.setenv(name, value)
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        ssh = package_home.path / ".ssh"
        ssh.mkdir(mode=0o700, exist_ok=True)
        (ssh / "config").write_text(f"Include {found.config}\n")
        yield found


@asynccontextmanager
async def opened(data_dir: Path, host: Sshd, **options: Any) -> AsyncIterator[Lab]:
    """A Lab that is connected to the target ``box``."""
    lab = await application.open_lab(Settings(data_dir=data_dir), **options)
    try:
        try:
            await lab.targets.get_target("box")
        except NotFound:
            await lab.targets.add_target(NewTarget(name="box", host=host.alias, python=sys.executable))
        target = await connected(lab, "box")
        assert target.state == "up", target.message
        yield lab
    finally:
        await lab.stop()


async def begun(lab: Lab, data: Path, **fields: Any) -> str:
    body = NewEvaluation(**{"model": "digits", "data": str(data), "on": "box", **BOTH, **fields})
    return (await lab.application.get(EvaluationsService).evaluate(body)).task.id


async def found_of(lab: Lab, task_id: str) -> list[Evaluation]:
    page = await lab.application.get(EvaluationsService).list_evaluations(EvaluationsQuery(session=task_id))
    return sorted(page.items, key=lambda each: each.version)


async def under_way(lab: Lab, task_id: str) -> Task:
    return await until(
        lambda: lab.tasks.get_task(task_id), lambda task: (task.progress or 0) > 0 or task.state != "running"
    )


def predictions(uri: str, evaluation: Evaluation, folder: Path) -> Predictions:
    from mlflow import MlflowClient

    return read(MlflowClient(uri).download_artifacts(evaluation.run_id, FILE, str(folder)))


def left_on(host: Sshd) -> list[str]:
    """The sessions on the host."""
    return os.listdir(host.home / ".local/state/genops-lab/evaluations/sessions")


def bounded(work: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work, 240))


def test_an_evaluation_on_a_host_is_kept_as_one_here(
    rooms: Rooms, digits: str, holdout: Path, host: Sshd, tmp_path: Path
) -> None:
    files = host.home / ".local/state/genops-lab/evaluations/files"

    async def on_the_host() -> tuple[Task, list[Evaluation]]:
        async with opened(rooms.settings.data_dir, host) as lab:
            with pytest.raises(NotFound):
                await begun(lab, holdout, on="nowhere")
            first = await begun(lab, holdout, batch_rows=64)
            task = await lab.tasks.wait(first)
            assert task.state == "done", (task.message, task.hint)
            found = await found_of(lab, first)
            sent = set(os.listdir(files))
            second = await begun(lab, holdout, batch_rows=128, against="")
            assert (await lab.tasks.wait(second)).state == "done"
            # Model and rows are there from before: only what names the session is sent.
            assert len(set(os.listdir(files)) - sent) == 1
            return task, found

    task, found = bounded(on_the_host())
    assert task.message == "digits version 2 is evaluated on 400 rows of holdout.parquet."
    assert [each.version for each in found] == ["1", "2"]
    assert len({each.session for each in found}) == 1
    assert left_on(host) == []
    assert files.stat().st_mode & 0o077 == 0
    _task, here = evaluated(rooms, model=digits, data=str(holdout), batch_rows=64, **BOTH)
    for there, local in zip(found, sorted(here, key=lambda each: each.version), strict=True):
        one = predictions(rooms.mlflow.uri, there, tmp_path / there.run_id)
        other = predictions(rooms.mlflow.uri, local, tmp_path / local.run_id)
        assert one.ids.tolist() == other.ids.tolist()
        assert one.predictions.tolist() == other.predictions.tolist()
        assert {name: each.tolist() for name, each in one.scores.items()} == {
            name: each.tolist() for name, each in other.scores.items()
        }
        assert one.latency_s is not None and (one.latency_s > 0).all()


def test_a_host_that_is_away_for_a_while_loses_nothing(
    rooms: Rooms, digits: str, holdout: Path, host: Sshd
) -> None:
    async def test() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            task_id = await begun(lab, holdout, batch_rows=1)
            await under_way(lab, task_id)
            await asyncio.to_thread(host.stop)
            told = await until(
                lambda: lab.tasks.get_task_log(task_id),
                lambda log: any(line.startswith("The connection to box is down.") for line in log.lines),
            )
            assert told
            assert (await lab.tasks.get_task(task_id)).state == "running"
            await asyncio.to_thread(host.start)
            task = await lab.tasks.wait(task_id)
            assert task.state == "done", (task.message, task.hint)
            assert [each.version for each in await found_of(lab, task_id)] == ["1", "2"]

    bounded(test())
    assert left_on(host) == []


def _killed_lab(
    data_dir: Path, environment: dict[str, str], address: str, data: Path, host: Any, told: Any
) -> None:
    """Evaluate on the host in a process of its own, which is killed in the middle of the rows."""
    os.environ.update(environment)
    use(address)

    async def work() -> None:
        async with opened(data_dir, host) as lab:
            task_id = await begun(lab, data, batch_rows=1)
            await under_way(lab, task_id)
            told.send(task_id)
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(work())


class _Alias:
    """What a process of its own needs to know of the host."""

    def __init__(self, host: Sshd) -> None:
        self.alias = host.alias


def test_the_next_lab_goes_on_with_what_the_host_did_meanwhile(
    rooms: Rooms, digits: str, holdout: Path, host: Sshd, package_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The Lab of the other tests, which has no targets, must not be the next one.
    monkeypatch.delitem(rooms.work._kinds, KIND)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    arguments = (
        rooms.settings.data_dir, package_home.environment(), warm_address(), holdout, _Alias(host), theirs
    )  # fmt: skip
    process = context.Process(target=_killed_lab, args=arguments)
    process.start()
    assert ours.poll(200), "the evaluation did not begin"
    task_id = ours.recv()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL

    async def test() -> None:
        async with opened(rooms.settings.data_dir, host, supervise=True) as lab:
            table = WorkTable(lab.store)

            async def state() -> str:
                return (await asyncio.to_thread(table.get, task_id)).state

            await until(state, lambda found: found != "running")
            work = await asyncio.to_thread(table.get, task_id)
            assert (work.state, work.token > 1) == ("done", True), (work.message, work.hint)
            assert [each.version for each in await found_of(lab, task_id)] == ["1", "2"]

    bounded(test())
    assert left_on(host) == []


def test_what_cannot_run_there_is_named_and_leaves_nothing(
    rooms: Rooms, digits: str, holdout: Path, host: Sshd
) -> None:
    logged = Training(rooms).digits(requirements=["mlflow", "golabsent==1.0"])
    rooms.trust(logged.folder, logged.run_id)
    rooms.run(rooms.registry.register_model(RegisterModel(name="demanding", run=logged.run_id)))

    async def test() -> None:
        async with opened(rooms.settings.data_dir, host) as lab:
            task_id = await begun(lab, holdout, model="demanding")
            task = await lab.tasks.wait(task_id)
            assert task.state == "failed"
            assert task.message.startswith(
                "box cannot run demanding version 1: its environment was not built. "
            ), task.message
            assert task.hint
            assert "Missing there: golabsent==1.0." in (await lab.tasks.get_task_log(task_id)).lines
            assert await found_of(lab, task_id) == []

            cancelled = await begun(lab, holdout, batch_rows=1)
            await under_way(lab, cancelled)
            await lab.tasks.cancel_task(cancelled)
            assert (await lab.tasks.wait(cancelled)).state == "cancelled"
            assert await found_of(lab, cancelled) == []
            assert not commands_with(f"evaluation-{cancelled}")

            await lab.targets.disconnect_target("box")
            with pytest.raises(Conflict, match="box is not connected"):
                await begun(lab, holdout)

    bounded(test())
    assert left_on(host) == []
