"""The end of a sweep is told last: in the store, with its code removed; and its work ends a moment later."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from genops_lab.core.errors import Conflict
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.locks import FileLock
from genops_lab.core.paths import private_dir
from genops_lab.core.settings import Settings
from genops_lab.core.store import LocalStore
from genops_lab.core.store.work import Work, WorkTable
from genops_lab.core.tasks import TasksService
from genops_lab.core.work import WorkService
from genops_lab.core.worker import Worker
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.experiments.tracking import TrackingService
from genops_lab.jobs.kernels import FreshKernels
from genops_lab.sweeps.ledger import Code, Plan, Record, SweepLedger
from genops_lab.sweeps.models import SweepQuery, SweepState
from genops_lab.sweeps.next_trial import Proposals
from genops_lab.sweeps.runner import SweepRunner
from genops_lab.sweeps.service import KIND, SweepsService

from .conftest import WAIT_S

#: A sweep without trials: it needs no kernel, and ends at once.
PLAN: dict[str, Any] = {
    "method": "grid", "space": [], "direction": "minimize", "objective": "last", "prune": "", "track": {},
    "planned": 0, "parallel": 1, "on": [], "slots": ["python3"], "seed": 0, "timeout_s": 0.0, "hours": 0.0,
    "setup": [], "tags": {}, "params": {},
    **dict.fromkeys(("name", "experiment", "metric", "notebook", "cwd"), ""),
}  # fmt: skip
CODE = Code(cell="x = 1", setup=[])


class Server:
    """What a Lab has for its sweeps, without its web server and its kernels."""

    def __init__(self, data: Path) -> None:
        settings = Settings(data_dir=data)
        self.data = data
        self.store = LocalStore(data / "store.db")
        self.events, self.works = EventBus(self.store), WorkTable(self.store)
        self.ledger = SweepLedger(self.store, data)
        self.mlflow = MlflowConnection(settings)
        self.tracking = TrackingService(self.mlflow, self.store, self.events, LiveHub())
        self.kernels = FreshKernels(SimpleNamespace(kernel_manager=None, kernel_spec_manager=None))
        self.tasks = TasksService(self.events, self.works)
        self.work = WorkService(settings, self.tasks, self.works)
        self.sweeps = SweepsService(
            settings, self.store, self.events, self.mlflow, self.tracking, self.kernels, self.work, self.works
        )

    def add(self, state: SweepState) -> Record:
        ended = None if state == "running" else time.time()
        record = Record(id="abcd1234", state=state, plan=msgspec.convert(PLAN, Plan), ended_at=ended)
        with self.store.transaction() as connection:
            self.ledger.add(connection, record, CODE)
        return record

    def add_work(self, holder: str) -> Work:
        plan = {"sweep": "abcd1234", "began": 1.0}
        return self.works.add(
            Work(id="w", kind=KIND, title="", subject="sweep:abcd1234", client="", plan=plan, created_at=1.0,
                 holder=holder)
        )  # fmt: skip

    def cells(self) -> Path:
        return self.data / "sweeps" / "abcd1234.json"

    async def until(self, true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not true():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        await self.sweeps.close()
        await self.tasks.close()
        await self.work.close()
        await self.events.close()
        await self.mlflow.close()
        self.store.close()


@asynccontextmanager
async def server(data: Path) -> AsyncIterator[Server]:
    found = Server(data)
    try:
        yield found
    finally:
        await found.close()


def test_the_end_is_told_when_the_store_has_it_and_the_cells_are_gone(tmp_path: Path) -> None:
    async def work() -> None:
        async with server(tmp_path) as lab:
            told_at_the_write: list[str] = []
            runner = SweepRunner(
                lab.add("running"), CODE, [], ledger=lab.ledger, events=lab.events, mlflow=lab.mlflow,
                holds=lambda _connection: told_at_the_write.append(runner.shown().state),
                tracking=lab.tracking, kernels=lab.kernels, proposals=Proposals(Worker("Sweeps", {})),
            )  # fmt: skip
            assert lab.cells().exists()
            changed = runner.changed
            running = asyncio.create_task(runner.run(deadline=None))
            await asyncio.wait_for(changed.wait(), WAIT_S)
            assert runner.shown().state == "done"
            assert told_at_the_write == ["running"]
            assert lab.ledger.find("abcd1234").state == "done"
            assert not lab.cells().exists()
            await running

    asyncio.run(work())


@pytest.mark.parametrize("removed", [False, True])
def test_a_sweep_whose_lab_was_killed_right_after_its_end_stays_done(
    tmp_path: Path, *, removed: bool
) -> None:
    async def work() -> None:
        async with server(tmp_path) as lab:
            lab.add("done")
            lab.add_work(holder="")
            if removed:
                lab.cells().unlink()
            await lab.sweeps.ready()
            await lab.until(lambda: lab.works.get("w").state == "done")
            assert not lab.cells().exists()
            found = await lab.sweeps.get_sweep("abcd1234", SweepQuery())
            assert (found.state, found.message) == ("done", "")
            with pytest.raises(Conflict, match="has already ended"):
                await lab.sweeps.stop_sweep("abcd1234")

    asyncio.run(work())


def test_a_resume_waits_for_the_end_of_the_work_of_a_stopped_sweep(tmp_path: Path) -> None:
    async def work() -> None:
        async with server(tmp_path) as lab:
            lab.add("stopped")
            private_dir(tmp_path / "work")
            other = FileLock(tmp_path / "work" / "other.lock")
            assert other.try_acquire()
            held = lab.add_work(holder=f"{socket.gethostname()}/other")
            resuming = asyncio.create_task(lab.sweeps.resume_sweep("abcd1234"))
            done, _ = await asyncio.wait([resuming], timeout=0.5)
            assert not done, "it was refused, or began beside the other work"
            lab.works.write(held.id, held.token, state="done", holder="")
            assert (await resuming).state == "running"
            await lab.until(lambda: lab.ledger.find("abcd1234").state == "done")
            other.release()

    asyncio.run(work())
