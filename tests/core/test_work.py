"""Durable work: what becomes of it when the process that carries it out is killed, held up, or stops."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from genops_lab.core import work
from genops_lab.core.errors import Conflict, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings
from genops_lab.core.store import LocalStore
from genops_lab.core.store.work import OldToken, Work, WorkTable
from genops_lab.core.tasks import TaskHandle, TasksService
from genops_lab.core.work import WorkKind, WorkService

pytestmark = pytest.mark.timeout(60)
DEADLINE_S = 30.0


class Lab(NamedTuple):
    tasks: TasksService
    work: WorkService
    table: WorkTable


@asynccontextmanager
async def opened(folder: Path, *, supervise: bool = True) -> AsyncIterator[Lab]:
    """The part of a Lab that does work; its kind notes in a file what is done, and waits for files."""
    store = LocalStore(folder / "store.db")
    events, table = EventBus(store), WorkTable(store)
    tasks = TasksService(events, table)
    lab = Lab(tasks, WorkService(Settings(data_dir=folder), tasks, table), table)
    lab.work.register(WorkKind("counting", {"first": _first, "second": _second}, _take_back))
    supervising = asyncio.create_task(lab.work.supervise() if supervise else asyncio.sleep(0))
    try:
        yield lab
    finally:
        supervising.cancel()
        await tasks.close()
        await lab.work.close()
        await events.close()
        store.close()


async def _first(handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    await _noted(handle, plan, "first")
    return {"found": 1}


async def _second(handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    await _noted(handle, plan, "second")
    return {"message": f"Counted to {data['found'] + 1}."}


async def _take_back(handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> None:
    note(Path(plan["folder"]), "cancel")


async def _noted(handle: TaskHandle, plan: dict[str, Any], step: str) -> None:
    folder = Path(plan["folder"])
    handle.progress(f"The {step} step.", 0.5)
    note(folder, step)
    while not (folder / f"{step}.gate").exists():
        await asyncio.sleep(0.01)


def note(folder: Path, words: str) -> None:
    with (folder / "notes").open("a") as stream:
        stream.write(f"{words}\n")


def notes(folder: Path) -> list[str]:
    return (folder / "notes").read_text().split() if (folder / "notes").exists() else []


def begin(lab: Lab, folder: Path, **more: Any) -> Coroutine[Any, Any, Task]:
    return lab.work.begin("counting", {"folder": str(folder), **more}, title="Count", subject="numbers")


async def until(good: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not good():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def ended(lab: Lab) -> Task:
    """The only task, once it has ended."""
    deadline = time.monotonic() + DEADLINE_S
    while (task := (await lab.tasks.list_tasks())[0]).state == "running":
        assert time.monotonic() < deadline, task
        await asyncio.sleep(0.02)
    return task


def _other(folder: Path, dies_between: bool) -> None:
    """Another process that begins the work; what became of it there is noted."""
    write = WorkService._write

    async def writes(self: WorkService, run: Any, **changes: Any) -> None:
        await write(self, run, **changes)
        if dies_between and "step" in changes:
            os.kill(os.getpid(), signal.SIGKILL)

    WorkService._write = writes  # type: ignore[method-assign]

    async def body() -> None:
        async with opened(folder, supervise=False) as lab:
            task = await begin(lab, folder)
            job = lab.tasks._jobs[task.id]
            await asyncio.wait([job])
            note(folder, f"lost:{lab.work._runs}")

    asyncio.run(body())


Start = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path) -> Any:
    """Start the other process; it is gone at the test's end."""
    started = []

    def one(*, dies_between: bool = False) -> Any:
        context = multiprocessing.get_context("spawn")
        started.append(context.Process(target=_other, args=(tmp_path, dies_between)))
        started[-1].start()
        return started[-1]

    yield one
    for process in started:
        process.kill()
        process.join()


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "LOOK_S", 0.05)


def test_what_was_killed_in_a_step_goes_on_with_that_step_and_its_log(
    tmp_path: Path, start: Start, soon: None
) -> None:
    async def body() -> None:
        (tmp_path / "first.gate").touch()
        process = start()
        await until(lambda: notes(tmp_path) == ["first", "second"])
        process.kill()
        process.join()
        async with opened(tmp_path) as lab:
            (task,) = await lab.tasks.list_tasks()
            assert (task.state, task.title, task.subject) == ("running", "Count", "numbers")
            await until(lambda: len(notes(tmp_path)) > 2)
            (tmp_path / "second.gate").touch()
            done = await ended(lab)
            assert (done.id, done.state, done.message) == (task.id, "done", "Counted to 2.")
            assert notes(tmp_path) == ["first", "second", "second"]
            assert (await lab.tasks.get_task_log(task.id)).lines == [
                "The first step.", "The second step."
            ]  # fmt: skip
            found = lab.table.get(task.id)
            assert (found.token, found.plan, found.data) == (2, {}, {}), "what has ended keeps no plan"
        assert list((tmp_path / "work").iterdir()) == []

    asyncio.run(body())


def test_what_was_killed_between_two_steps_runs_none_twice(tmp_path: Path, start: Start, soon: None) -> None:
    async def body() -> None:
        (tmp_path / "first.gate").touch()
        (tmp_path / "second.gate").touch()
        process = start(dies_between=True)
        await asyncio.to_thread(process.join, DEADLINE_S)
        assert process.exitcode == -signal.SIGKILL and notes(tmp_path) == ["first"]
        async with opened(tmp_path) as lab:
            assert (await ended(lab)).message == "Counted to 2."
            assert notes(tmp_path) == ["first", "second"]

    asyncio.run(body())


def test_a_process_that_was_held_up_and_lost_its_lease_writes_nothing(
    tmp_path: Path, start: Start, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        process = start()
        await until(lambda: notes(tmp_path) == ["first"])
        os.kill(process.pid, signal.SIGSTOP)
        async with opened(tmp_path) as lab:
            await asyncio.sleep(0.5)
            assert notes(tmp_path) == ["first"], "it is there still, and its lease has not ended"
            monkeypatch.setattr(work, "LEASE_S", 0.1)
            await until(lambda: notes(tmp_path) == ["first", "first"])
            (tmp_path / "first.gate").touch()
            await until(lambda: notes(tmp_path)[2:] == ["second"])
            os.kill(process.pid, signal.SIGCONT)
            await until(lambda: notes(tmp_path)[3:] == ["lost:{}"])
            assert lab.table.running()[0].token == 2
            (tmp_path / "second.gate").touch()
            assert (await ended(lab)).message == "Counted to 2."

    asyncio.run(body())


def test_an_old_token_is_refused_by_name(tmp_path: Path) -> None:
    table = WorkTable(LocalStore(tmp_path / "store.db"))
    row = Work(id="w", kind="k", title="", subject="", client="", plan={}, created_at=1.0, holder="a")
    seen = table.add(row)
    assert (taken := table.take(seen, "b")) is not None and taken.token == 2
    assert table.take(seen, "c") is None, "only one of two who saw the same takes it"
    with pytest.raises(OldToken, match="taken over") as refused:
        table.write("w", seen.token, step="second", data={"x": 1})
    assert refused.value.code == "old_token"
    assert (table.get("w").step, table.get("w").data) == ("", {})
    assert table.write("w", 2, state="done").state == "done"
    with pytest.raises(OldToken):
        table.write("w", 2, state="running")
    with pytest.raises(NotFound):
        table.get("other")


def test_the_newest_work_is_found_after_the_clock_was_set_back(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store.db")
    table = WorkTable(store)
    for number, at in enumerate((7200.0, 3600.0, 3600.0)):
        added = Work(
            id=str(number), kind="counting", title="", subject="a", client="", plan={}, created_at=at
        )
        table.add(added, also=lambda _: None)
    assert table.latest("counting")["a"].id == "2"
    store.close()


def test_it_is_cancelled_though_nobody_carries_it_out(tmp_path: Path, start: Start, soon: None) -> None:
    async def body() -> None:
        process = start()
        await until(lambda: notes(tmp_path) == ["first"])
        process.kill()
        process.join()
        async with opened(tmp_path, supervise=False) as lab:
            (task,) = await lab.tasks.list_tasks()
            assert (await lab.tasks.cancel_task(task.id)).state == "running"
        async with opened(tmp_path) as lab:
            assert (await ended(lab)).state == "cancelled"
            assert notes(tmp_path) == ["first", "cancel"], "no step runs any more"
            with pytest.raises(Conflict, match="already ended"):
                await lab.tasks.cancel_task(task.id)

    asyncio.run(body())


def test_two_labs_carry_it_out_once_and_either_cancels_it(
    tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "RENEW_S", 0.2)
    monkeypatch.setattr(work, "LEASE_S", 3.0)

    async def body() -> None:
        async with opened(tmp_path) as one, opened(tmp_path) as other:
            task = await begin(one, tmp_path)
            assert (await begin(other, tmp_path)).id == task.id, "the same is joined"
            with pytest.raises(Conflict, match="already running"):
                await begin(other, tmp_path, more=True)
            await asyncio.sleep(3.5)
            assert one.table.get(task.id).token == 1, "it is renewed"
            assert (await other.tasks.get_task(task.id)).message == "The first step."
            assert (await other.tasks.get_task_log(task.id)).lines == ["The first step."]
            assert (await other.tasks.cancel_task(task.id)).state == "running"
            assert (await ended(other)).state == "cancelled"
            assert notes(tmp_path) == ["first", "cancel"]

    asyncio.run(body())


def test_a_lab_that_stops_leaves_it_to_the_next(tmp_path: Path, soon: None) -> None:
    async def body() -> None:
        async with opened(tmp_path) as lab:
            task = await begin(lab, tmp_path)
            await until(lambda: notes(tmp_path) == ["first"])
        (tmp_path / "first.gate").touch()
        (tmp_path / "second.gate").touch()
        async with opened(tmp_path) as lab:
            done = await ended(lab)
            assert (done.id, done.message) == (task.id, "Counted to 2.")
            assert notes(tmp_path) == ["first", "first", "second"]

    asyncio.run(body())
