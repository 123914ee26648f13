"""A host over a real sshd on which evaluations of answers run, and a Lab that is connected to it."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from genops_lab.core.errors import NotFound
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings
from genops_lab.genai.evaluations.models import AnswersReport, BegunAnswers, NewAnswerEvaluation
from genops_lab.genai.evaluations.service import AnswersService
from genops_lab.hosts.models import NewTarget
from tests.hosts.labs import connected, until
from tests.support.application import Lab, open_lab
from tests.support.homes import Home, temporary_home
from tests.support.mlflow_file import place_store
from tests.support.packages import without_index
from tests.support.sshd import Sshd
from tests.support.warm import warm_workers

from .answering import Answering, answer, questions

KEY = "sk-only-for-the-endpoint"


@contextmanager
def home_with_key() -> Iterator[Home]:
    """A home whose data folder has MLflow's store and the secret KEY."""
    with temporary_home() as found, warm_workers():
        place_store(found.data)
        (found.data / "secrets").mkdir(mode=0o700)
        (found.data / "secrets" / "KEY").write_text(KEY)
        yield found


@contextmanager
def evaluating_host(home: Home, index: Path) -> Iterator[Sshd]:
    """A host whose Python has what the stages import; its package index is the folder ``index``."""
    with (
        Sshd(environment={"XDG_STATE_HOME": "", **without_index(index)}) as found,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in home.environment().items():
            patch.setenv(name, value)
        patch.delenv("SSH_AUTH_SOCK", raising=False)
        (home.path / ".ssh").mkdir(mode=0o700, exist_ok=True)
        (home.path / ".ssh" / "config").write_text(f"Include {found.config}\n")
        yield found


@contextmanager
def with_variables(host: Sshd, **variables: str) -> Iterator[None]:
    """Give later logins of a host more variables."""
    before = dict(host.environment)
    for environment in ({**before, **variables}, before):
        host.environment = environment
        host.stop()
        host.start()
        if environment is not before:
            yield


class Gated:
    """An endpoint that answers some calls, and the others once it is open."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.stub = Answering(self._reply)
        self.keys = set[str]()

    def _reply(self, number: int, text: str, headers: dict[str, str]) -> tuple[int, Any, float]:
        self.keys.add(headers.get("authorization", ""))
        said = '{"reason": "as asked", "mark": 5}' if "<answer>" in text else text.split()[-1]
        return 200, answer(said), math.inf if number >= self.free else 0.0

    def open(self) -> None:
        self.stub.opened.set()

    @property
    def said(self) -> list[str]:
        return self.stub.said


@asynccontextmanager
async def opened(data_dir: Path, alias: str, **options: Any) -> AsyncIterator[Lab]:
    """A Lab that is connected to the target ``box``."""
    lab = await open_lab(Settings(data_dir=data_dir), **options)
    try:
        try:
            await lab.targets.get_target("box")
        except NotFound:
            await lab.targets.add_target(NewTarget(name="box", host=alias, python=sys.executable))
        target = await connected(lab, "box")
        assert target.state == "up", target.message
        yield lab
    finally:
        await lab.stop()


def file_of(folder: Path, url: str, rows: int = 12, **more: Any) -> NewAnswerEvaluation:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions(rows)))
    limits = {"at_once": 4}
    file = {
        "apiVersion": "genops/v1", "kind": "Evaluation", "metadata": {"name": "there"}, "data": "rows.jsonl",
        "prompt": "{{q}}", "models": {"a": {"url": url, "model": "stub", "key": "KEY", "limits": limits}},
        "scorers": [{"scorer": "exact"}], **more,
    }  # fmt: skip
    return NewAnswerEvaluation(text=json.dumps(file), folder=str(folder), on="box")


def answers_of(lab: Lab) -> AnswersService:
    return lab.application.get(AnswersService)


async def ended(lab: Lab, begun: BegunAnswers) -> Task:
    return await lab.tasks.wait(begun.task.id)


async def result(lab: Lab, begun: BegunAnswers) -> AnswersReport:
    return await answers_of(lab).get_answer_evaluation(begun.evaluation.id)


async def log_of(lab: Lab, begun: BegunAnswers) -> list[str]:
    return (await lab.tasks.get_task_log(begun.task.id)).lines


async def asked(gated: Gated, count: int) -> None:
    async def look() -> int:
        return len(gated.said)

    await until(look, lambda found: found >= count)


def state_of(host: Sshd) -> Path:
    return host.home / ".local/state/genops-lab"


def left_on(host: Sshd) -> list[str]:
    """The sessions on the host."""
    return os.listdir(state_of(host) / "evaluations" / "sessions")


def asking_process(host: Sshd) -> psutil.Process:
    """The process on the host that asks."""
    found = [each for each in psutil.process_iter(["cmdline"]) if _asks(each.info["cmdline"] or [], host)]
    assert len(found) == 1, found
    return found[0]


def _asks(words: list[str], host: Sshd) -> bool:
    return "genops_lab.genai.evaluations.host_command" in words and str(host.home) in words[-1]


def has_key(host: Sshd) -> list[str]:
    """The files on the host, and the processes of this machine, that have the key."""
    found = [
        str(path) for path in host.home.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    for process in psutil.process_iter():
        try:
            said = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if any(KEY in each for each in said):
            found.append(f"{process.pid}: {process.name()}")
    return found


def bounded(work: Any) -> Any:
    return asyncio.run(asyncio.wait_for(work, 400))
