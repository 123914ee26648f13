"""Let a kernel on another host ask for an evaluation of its rows, which a user confirms.

The evaluation costs the user's tokens, and the host is not trusted: the user sees which endpoints would be asked.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from genops_lab.core.errors import Conflict, NotAllowed, NotFound
from genops_lab.core.paths import private_dir
from genops_lab.core.principals import Principal, asking_kernel
from genops_lab.core.services import Service
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.endpoints.limits import Usage
from genops_lab.genai.scorers.programs import EMBEDDINGS
from genops_lab.hosts.link.questions import ACCEPT, Question
from genops_lab.runtime.money import money_text

from .models import (
    AnswersReport,
    BegunAnswers,
    KernelEvaluation,
    NewAnswerEvaluation,
    NewKernelEvaluation,
    PlannedCalls,
    PlannedEvaluation,
)

if TYPE_CHECKING:
    from genops_lab.core.tasks import TasksService

    from .service import AnswersService

#: Seconds after a refusal before a kernel may ask again: repeated dialogs must not wear a user down.
PAUSE_S = 30.0
_ANSWER_WITHIN_S = 20.0
#: Requests of a kernel whose results it can still read.
_KEPT = 20


@dataclass
class _Request:
    kernel: Principal
    work: asyncio.Task[BegunAnswers]


class KernelEvaluations(Service):
    """The evaluations that kernels on other hosts asked for; belongs to the Lab's loop."""

    def __init__(
        self, answers: AnswersService, tasks: TasksService, ask: Callable[[Question], Awaitable[str | None]],
        folder: Path, *, pause_s: float = PAUSE_S,
    ) -> None:  # fmt: skip
        """``folder``: below it rows wait for the user's answer; what a killed Lab leaves there is removed later."""
        self._answers, self._tasks, self._ask, self._folder, self._pause_s = (
            answers,
            tasks,
            ask,
            folder,
            pause_s,
        )
        self._requests: dict[str, _Request] = {}
        self._refused: dict[Principal, float] = {}

    async def ask_to_evaluate(self, body: NewKernelEvaluation) -> KernelEvaluation:
        """Ask the user for an evaluation of this kernel's rows; a kernel has one at a time."""
        kernel = asking_kernel()
        own = {id: each for id, each in self._requests.items() if each.kernel == kernel}
        for each in own.values():
            if not each.work.done() or await self._is_running(each.work):
                raise Conflict(
                    "An evaluation of this kernel is under way.",
                    hint="Wait for its end, or cancel it in JupyterLab.",
                )
        if time.monotonic() - self._refused.get(kernel, -self._pause_s) < self._pause_s:
            raise NotAllowed(
                "The user did not agree to the last evaluation of this kernel.",
                hint=f"Ask again in {self._pause_s:.0f} s, or begin it in JupyterLab.",
            )
        for id in list(own)[: max(0, len(own) - _KEPT + 1)]:
            del self._requests[id]
        folder = await asyncio.to_thread(self._taken, body.rows)
        id = secrets.token_hex(8)
        work = asyncio.create_task(self._begun(kernel, body, folder))
        work.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may ask for it
        self._requests[id] = _Request(kernel, work)
        return KernelEvaluation(id=id)

    async def get_kernel_evaluation(self, id: str) -> KernelEvaluation:
        """Return how far an evaluation of this kernel is; wait briefly for the user. Raises its error, and NotFound."""
        work = self._of(id)
        await asyncio.wait([work], timeout=_ANSWER_WITHIN_S)
        if not work.done():
            return KernelEvaluation(id=id)
        begun = work.result()
        task = await self._tasks.get_task(begun.task.id)
        report = None
        if task.state == "done":
            report = _for_kernel(await self._answers.get_answer_evaluation(begun.evaluation.id))
        return KernelEvaluation(id=id, evaluation=begun.evaluation.id, task=task, report=report)

    async def cancel_kernel_evaluation(self, id: str) -> KernelEvaluation:
        """Cancel an evaluation of this kernel, or withdraw its question. Its answers are kept."""
        work = self._of(id)
        if not work.done():
            work.cancel()
            return KernelEvaluation(id=id)
        begun = work.result()
        task = await self._tasks.cancel_task(begun.task.id)
        return KernelEvaluation(id=id, evaluation=begun.evaluation.id, task=task)

    async def close(self) -> None:
        """Withdraw all questions. Evaluations that began are durable work, and go on."""
        waiting = [each.work for each in self._requests.values() if not each.work.done()]
        for each in waiting:
            each.cancel()
        if waiting:
            await asyncio.wait(waiting, timeout=5)

    def _of(self, id: str) -> asyncio.Task[BegunAnswers]:
        found = self._requests.get(id)
        if found is None or found.kernel != asking_kernel():
            raise NotFound(
                "There is no such evaluation of this kernel.",
                hint="JupyterLab may have restarted since. Evaluations that began go on: see the page Evaluations.",
            )
        return found.work

    async def _is_running(self, work: asyncio.Task[BegunAnswers]) -> bool:
        if work.cancelled() or work.exception() is not None:
            return False
        try:
            return (await self._tasks.get_task(work.result().task.id)).state == "running"
        except NotFound:
            return False

    def _taken(self, rows: str) -> Path:
        """Move uploaded rows into a folder of their own: a file of rows can then name no other file."""
        folder = Path(tempfile.mkdtemp(prefix="rows-", dir=private_dir(self._folder)))
        Path(rows).replace(folder / "rows.jsonl")
        return folder

    async def _begun(self, kernel: Principal, body: NewKernelEvaluation, folder: Path) -> BegunAnswers:
        given = NewAnswerEvaluation(
            text=body.text, name=body.name, folder=str(folder), data=str(folder / "rows.jsonl"),
            data_name=f"{body.rows_name or 'rows'} of {kernel.target}",
        )  # fmt: skip
        try:
            plan, endpoints = await self._answers.plan_from_kernel(given)
            text = _question(kernel.target, plan, endpoints)
            question = Question(id=uuid.uuid4().hex, target=kernel.target, kind="evaluation", text=text)
            if await self._ask(question) != ACCEPT:
                self._refused[kernel] = time.monotonic()
                raise NotAllowed(
                    "No user agreed to the evaluation in JupyterLab, so nothing was asked.",
                    hint="Answer the question in JupyterLab within 3 minutes.",
                )
            return await self._answers.begin_answers(given)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, True)


def _question(target: str, plan: PlannedEvaluation, endpoints: dict[str, tuple[str, Endpoint]]) -> str:
    """Return what would be asked of which endpoint."""
    count = f"{plan.rows:,} rows" + (f", {plan.repeats} answers to each" if plan.repeats > 1 else "")
    lines = [f"A kernel on {target} asks for the evaluation “{plan.name}”: {count}."]
    for each in [*plan.models, *plan.judges, *filter(None, [plan.user])]:
        named, endpoint = endpoints[each.model]
        label = each.model.removeprefix(EMBEDDINGS) + (", the user" if each is plan.user else "")
        lines.append(f"- {label}: {each.calls:,} calls to {named}. {_bound(each, endpoint)}")
    return "\n".join([*lines, *plan.notes])


def _bound(calls: PlannedCalls, endpoint: Endpoint) -> str:
    """Say what calls may cost."""
    limits, price = endpoint.limits, endpoint.price
    if limits.money is not None and price:
        return f"At most {money_text(limits.money, price.currency, 'given')}, its budget."
    if limits.tokens is not None:
        return f"At most {limits.tokens:,} tokens, its budget."
    if calls.output_tokens is None and not calls.model.startswith(EMBEDDINGS):
        return "Its cost has no bound: the endpoint has no budget, and the settings have no max_tokens."
    if calls.input_tokens is None:
        return "Its cost is not known before it runs."
    most = Usage(input=calls.input_tokens, output=calls.output_tokens or 0)
    if price is None:
        return f"At most {most.total:,} tokens; the price is not known."
    return f"At most {most.total:,} tokens, {money_text(price.most_of(most), price.currency, 'most')}."


def _for_kernel(found: AnswersReport) -> AnswersReport:
    """Return a report without the words of endpoints, which may show parts of keys and addresses."""
    models = [
        replace(
            each,
            message="See the page Evaluations." if each.message else "",
            stopped=each.stopped.partition(":")[0],
        )
        for each in found.evaluation.models
    ]
    return replace(found, evaluation=replace(found.evaluation, models=models))
