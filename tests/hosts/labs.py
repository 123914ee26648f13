"""A Lab without a web server, for async tests, and what they wait for."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from genops_lab.core.settings import Settings
from genops_lab.hosts.models import Answer, NewTarget, OpenQuestion, RemoteKernel, ReportStep, TargetReport
from tests.support import application
from tests.support.application import Lab
from tests.support.homes import Home
from tests.support.sshd import Sshd

T = TypeVar("T")

DEADLINE_S = 90.0
SLEEPER = ["python", "-c", "import time; print('began', flush=True); time.sleep(600)"]


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of an async test's body, on a loop of its own."""

    async def bounded() -> T:
        return await asyncio.wait_for(work, 150)

    return asyncio.run(bounded())


async def until(look: Callable[[], Coroutine[Any, Any, T]], good: Callable[[T], object]) -> T:
    """What ``look`` saw when it was good."""
    deadline, pause_s = time.monotonic() + DEADLINE_S, 0.02
    while not good(found := await look()):
        assert time.monotonic() < deadline, f"still {found!r}"
        await asyncio.sleep(pause_s)
        pause_s = min(1.3 * pause_s, 0.2)
    return found


@asynccontextmanager
async def open_lab(home: Home, *, supervise: bool = False, **settings: Any) -> AsyncIterator[Lab]:
    """A Lab; the process must live in ``home``."""
    lab = await application.open_lab(Settings(data_dir=home.data, **settings), supervise=supervise)
    try:
        yield lab
    finally:
        await lab.stop()


async def report_of(lab: Lab, name: str, answers: dict[str, str | None] | None = None) -> TargetReport:
    """A test's report; questions are answered by their kind."""
    task = await lab.target_tests.test_target(name)
    report = await settled(lab, name, answers)
    await lab.tasks.wait(task.id)
    return report


async def settled(lab: Lab, name: str, answers: dict[str, str | None] | None = None) -> TargetReport:
    """The report once it is complete."""

    async def look() -> TargetReport:
        await answer_all(lab, answers or {})
        return await lab.target_tests.get_report(name)

    return await until(look, lambda report: report.state not in ("none", "running"))


async def answer_all(lab: Lab, answers: dict[str, str | None]) -> list[OpenQuestion]:
    """Answer what is open; an unforeseen question fails the test."""
    questions = await lab.questions.list_questions()
    for question in questions:
        await lab.questions.answer_question(question.id, Answer(text=answers[question.kind]))
    return questions


def steps(report: TargetReport) -> dict[str, ReportStep]:
    """The steps by their names, in their order."""
    return {step.step: step for step in report.steps}


def on(host: Sshd, name: str, **fields: Any) -> NewTarget:
    """A target on the test's sshd, which the home's ssh_config must name."""
    return NewTarget(name=name, host=host.alias, **fields)


async def start(lab: Lab, name: str, argv: list[str], notebook: str = "train.ipynb") -> str:
    """A kernel of somebody's on the target."""
    kernel_id = str(uuid.uuid4())
    params = {
        "kernel_id": kernel_id, "argv": argv, "env": {}, "cwd": "", "key": "k", "name": f"genops-{name}",
        "notebook": notebook, "owner": "ada@laptop", "lease": {"seconds": 0},
    }  # fmt: skip
    link = await lab.targets.link(name)
    await lab.links.run(link.call("kernels.start", params, timeout_s=60))
    return kernel_id


async def kernels_of(lab: Lab, name: str) -> dict[str, RemoteKernel]:
    place = await lab.remote_kernels.list_target_kernels(name)
    assert place.connected, place.message
    return {each.kernel_id: each for each in place.kernels}


async def connected(lab: Lab, name: str, answers: dict[str, str | None] | None = None) -> Any:
    """The target once its connection is up, or failed."""
    await lab.targets.connect_target(name)

    async def look() -> Any:
        await answer_all(lab, answers or {})
        return await lab.targets.get_target(name)

    return await until(look, lambda target: target.state in ("up", "failed"))
