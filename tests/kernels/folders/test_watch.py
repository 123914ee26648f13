"""A passage that takes long is a task, which a person sees and can cancel."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from genops_lab.core.errors import Failed, InvalidRequest
from genops_lab.core.tasks import TasksService
from genops_lab.kernels.folders.download import Progress
from genops_lab.kernels.folders.local_folder import Place
from genops_lab.kernels.folders.paths import chosen
from genops_lab.kernels.folders.task import PassageTasks
from tests.hosts.labs import run, until


def tasks_service() -> TasksService:
    events: Any = SimpleNamespace(emit=lambda kind, id: None)
    durable: Any = SimpleNamespace(all=list)  # of passages none is
    return TasksService(events, durable)


def test_a_long_passage_is_a_task_with_its_progress() -> None:
    async def scenario() -> None:
        tasks, progress, end = tasks_service(), Progress("Sending", 0, 1024), asyncio.Event()

        async def work() -> int:
            await end.wait()
            return 7

        passage = asyncio.create_task(PassageTasks(tasks)("Send proj to gpu", "target:gpu", progress, work()))
        found = (await until(tasks.list_tasks, bool))[0]
        assert (found.title, found.subject) == ("Send proj to gpu", "target:gpu")
        progress.came(512)
        half_way = (await until(tasks.list_tasks, lambda all: all[0].progress == 0.5))[0]
        assert half_way.message == "Sending 512 bytes of 1.0 KiB"
        end.set()
        assert await passage == 7
        assert (await tasks.wait(found.id)).state == "done"

    run(scenario())


def test_a_person_cancels_it() -> None:
    async def scenario() -> None:
        tasks, stopped = tasks_service(), asyncio.Event()

        async def work() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()

        passage = asyncio.create_task(PassageTasks(tasks)("Send", "", Progress(), work()))
        found = (await until(tasks.list_tasks, bool))[0]
        await tasks.cancel_task(found.id)
        with pytest.raises(Failed, match="cancelled"):
            await passage
        assert stopped.is_set()

    run(scenario())


@pytest.mark.parametrize(
    ("given", "path", "meant"),
    [
        ([], "any/thing", True),
        (["."], "nb/x", True),
        (["."], "other/x", False),
        ([".."], "other/x", True),
        (["out"], "nb/out/deep/x", True),
        (["out"], "nb/output", False),
        (["*.png"], "nb/a.png", True),
        (["../lib/*.py"], "lib/a.py", True),
        (["/proj/lib"], "lib/a.py", True),
        (["/proj/lib"], "nb/lib", False),
    ],
)
def test_paths_are_those_of_where_one_stands(given: list[str], path: str, meant: bool) -> None:
    assert chosen(given, Place("/proj", "nb", is_git=True))(path) is meant


@pytest.mark.parametrize("path", ["../..", "/etc/passwd", "../../proj2/x", "/"])
def test_paths_outside_are_refused(path: str) -> None:
    with pytest.raises(InvalidRequest, match="is not in /proj"):
        chosen([path], Place("/proj", "nb", is_git=True))
