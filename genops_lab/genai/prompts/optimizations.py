"""Optimize prompts: MLflow writes a text by training rows, and held-out rows show what the text is worth."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, Failed
from genops_lab.core.events import EventBus
from genops_lab.core.models import Task
from genops_lab.core.paging import Page, page_of
from genops_lab.core.worker import Worker
from genops_lab.experiments.mlflow import QUIET
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.evaluations.evaluation_file import Model, read_scorers
from genops_lab.genai.evaluations.mlflow_rows import require_content
from genops_lab.genai.evaluations.models import BegunAnswers, ComparedModels, NewAnswerEvaluation
from genops_lab.genai.evaluations.report_messages import amount, interval
from genops_lab.genai.evaluations.waits import kept_waits

from .backend import MlflowPrompts
from .differences import difference_of
from .models import NewPromptVersion, PromptDifference, PromptVersion
from .optimization_models import BegunOptimization, NewOptimization, Optimization, OptimizationCost
from .optimization_plan import answer_settings, model_of
from .optimizing import OptimizationFolder, OptimizingProcess
from .trial_models import OfPromptQuery, TrialModel
from .trials import path_of_rows

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings
    from genops_lab.core.tasks import TaskHandle, TasksService
    from genops_lab.core.work import WorkService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.genai.endpoints.service import EndpointsService
    from genops_lab.genai.evaluations.service import AnswersService

    from .service import PromptsService

#: The kind of durable work; its subject is ``prompt-optimization:<id>``.
KIND = "prompt-optimization"
#: Tags of the version that is saved.
OPTIMIZATION_TAG, EVALUATION_TAG = "genops.optimization", "genops.evaluation"
_LOOK_S = 0.5
_ALL = OfPromptQuery()


class PromptOptimizations:
    """Optimizations of prompts, as durable work, in ``prompts/optimizations/ID`` of the data folder.

    An optimization that was cancelled or killed goes on without the calls that were made.
    """

    def __init__(
        self,
        settings: Settings,
        prompts: PromptsService,
        answers: AnswersService,
        endpoints: EndpointsService,
        mlflow: MlflowConnection,
        tasks: TasksService,
        work: WorkService,
        events: EventBus,
    ) -> None:
        # Imported late: SQLAlchemy costs 135 ms.
        from genops_lab.core.work import WorkKind

        self._root = settings.data_dir / "prompts" / "optimizations"
        self._files = settings.root_dir
        self._prompts, self._answers, self._list = prompts, answers, endpoints
        self._mlflow, self._tasks, self._work, self._events = mlflow, tasks, work, events
        work.register(WorkKind(KIND, {"write": self._write, "compare": self._compare}, self._cancelled))

    async def get_optimization_cost(self, name: str, body: NewOptimization) -> OptimizationCost:
        """Say what an optimization costs at most, and what its held-out rows can show. Nothing is asked."""
        version, priced = await self._material(name, body)
        async with self._rows(body.data) as file:
            found: OptimizationCost = await self._in_process(OptimizingProcess.plan, version, priced, file)
        return found

    async def start_optimization(self, name: str, body: NewOptimization) -> BegunOptimization:
        """Split the rows, and begin to write and try texts, as a task."""
        version, priced = await self._material(name, body)
        await self._endpoints(version, priced)
        id = secrets.token_hex(6)
        async with self._rows(body.data) as file:
            found = await self._in_process(OptimizingProcess.begin, id, name, version, priced, file)
        self._events.emit("prompt", name)
        return await self._begin(found)

    async def resume_optimization(self, optimization: str) -> BegunOptimization:
        """Go on with an optimization that was cancelled or failed. No call that was made is made again."""
        found = await self.get_optimization(optimization)
        await require_content(found.data)
        if found.stage == "done":
            raise Conflict(f"The optimization {found.id} is done.", hint="Begin another one.", code="done")
        return await self._begin(found)

    async def list_optimizations(self, query: OfPromptQuery = _ALL) -> Page[Optimization]:
        """List optimizations, newest first."""
        return await asyncio.to_thread(self._page, query)

    async def get_optimization(self, optimization: str) -> Optimization:
        """Return an optimization with its results so far."""
        return await asyncio.to_thread(lambda: OptimizationFolder(self._root, optimization).state())

    async def compare_optimized(self, optimization: str) -> PromptDifference:
        """Compare the new text of an optimization with the version that it began with, word by word."""

        def compared() -> PromptDifference:
            folder = OptimizationFolder(self._root, optimization)
            before, turns = folder.plan().version, folder.written().turns
            after = msgspec.structs.replace(
                before, turns=turns, version=folder.state().new_version, message="", aliases=[], tags={},
                created_at=None,
            )  # fmt: skip
            return difference_of(before, after)

        await require_content((await self.get_optimization(optimization)).data)  # a text may quote rows
        return await asyncio.to_thread(compared)

    async def save_optimized(self, optimization: str) -> Optimization:
        """Save the new text of an optimization that is done as a version of its prompt, unless that was done."""
        folder = await asyncio.to_thread(OptimizationFolder, self._root, optimization)
        found = await asyncio.to_thread(folder.state)
        await require_content(found.data)
        if found.stage != "done":
            raise Conflict(
                f"The optimization {found.id} is not done.",
                hint=f"Wait for its end, or go on with it: genops prompts resume {found.id}",
            )
        if not found.new_version:
            number, _ = await self._saved(folder, found)
            found = msgspec.structs.replace(found, new_version=number)
            await self._tag(found)
            await self._keep(folder, found)
        return found

    def _page(self, query: OfPromptQuery) -> Page[Optimization]:
        ids = [each.parent.name for each in self._root.glob("*/state.json")]
        found = [OptimizationFolder(self._root, each).state() for each in ids]
        found = [each for each in found if each.name == query.name or not query.name]
        found.sort(key=lambda each: (-each.created_at, each.id))
        return page_of(found, lambda each: each.id, query)

    async def _begin(self, found: Optimization) -> BegunOptimization:
        title = f"Optimize version {found.version} of {found.name}"
        task = await self._work.begin(KIND, {"id": found.id}, title=title, subject=f"{KIND}:{found.id}")
        return BegunOptimization(optimization=found, task=task)

    # What an optimization works with -----------------------------------------------------------------------------

    async def _material(self, name: str, body: NewOptimization) -> tuple[PromptVersion, NewOptimization]:
        """Return the version, and what was asked for with the prices of the endpoints."""
        await require_content(body.data)
        version = await self._prompts.get_prompt_version(name, body.version)
        scorers = await asyncio.to_thread(read_scorers, body.scorers, body.scorers_name)
        text = msgspec.yaml.decode(body.scorers)
        for label, judge in scorers.judges.items():
            if judge.price is None and judge.endpoint:
                price = (await self._list.get_endpoint(judge.endpoint)).price
                if price is not None:
                    text["judges"][label]["price"] = msgspec.to_builtins(price)
        return version, msgspec.structs.replace(
            body, answerer=await self._priced(body.answerer), writer=await self._priced(body.writer),
            scorers=msgspec.yaml.encode(text).decode(), folder=body.folder or str(self._files or ""),
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def _rows(self, data: str) -> AsyncIterator[str]:
        """Give the path of a file with the rows."""
        async with self._answers.rows_of_mlflow(data) as taken:
            yield taken or str(path_of_rows(self._files, data))

    async def _priced(self, model: TrialModel) -> TrialModel:
        if model.price is not None or not model.endpoint:
            return model
        found = await self._list.get_endpoint(model.endpoint)
        return msgspec.structs.replace(model, price=found.price)

    async def _endpoints(
        self, version: PromptVersion, body: NewOptimization
    ) -> tuple[Endpoint, Endpoint, list[Endpoint]]:
        """Return the endpoints that answer, write and judge. Raises NotFound, Conflict, InvalidRequest."""
        settings = answer_settings(version, body)

        async def one(given: TrialModel) -> Endpoint:
            model = msgspec.convert({**model_of(given), "settings": settings}, Model)
            return await self._answers.endpoint_of(given.name, model)

        judges = (await asyncio.to_thread(read_scorers, body.scorers, body.scorers_name)).judges
        judging = [await self._answers.endpoint_of(label, model) for label, model in judges.items()]
        return await one(body.answerer), await one(body.writer), judging

    def _worker(self) -> Worker:
        """Return a process for one optimization: MLflow takes a writer from the environment of its process."""
        return Worker("Prompt optimization", {"root": str(self._root)}, env=QUIET, idle_s=5.0)

    async def _in_process(self, method: Callable[..., Any], *arguments: Any) -> Any:
        worker = self._worker()
        try:
            return await worker.call(method, *arguments)
        finally:
            await worker.stop(within_s=1.0)

    # The steps of the durable work -------------------------------------------------------------------------------

    async def _write(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> dict[str, Any]:
        folder = await asyncio.to_thread(OptimizationFolder, self._root, plan["id"])
        found, asked = await asyncio.to_thread(lambda: (folder.state(), folder.plan()))
        if found.stage != "writing":
            return {}
        answerer, writer, judges = await self._endpoints(asked.version, asked.body)
        handle.progress(
            f"{found.optimizer} of MLflow works with {found.training_rows:,} training rows; "
            f"{found.held_out_rows:,} rows are held out."
        )
        worker = self._worker()
        try:
            written = await worker.follow(
                lambda calls: handle.show(
                    f"{calls:,} answers to training rows and texts. {kept_waits(folder.path)}".strip()
                ),
                OptimizingProcess.write, found.id, answerer, writer, judges,
            )  # fmt: skip
        finally:
            await worker.stop(within_s=0.0)
        found = await asyncio.to_thread(folder.state)
        training = ", ".join(
            f"{each.scorer} {100 * each.before:.3g} % before and {100 * each.after:.3g} % after"
            for each in found.training
        )
        if not written.turns:
            said = (
                f"None of {found.tried:,} new texts is better than version {found.version} on the training rows: "
                f"{training}. Nothing was saved."
            )
            await self._keep(folder, msgspec.structs.replace(found, stage="done", sentences=[said]))
            return {"message": said}
        number = ""
        if asked.body.save:
            number, made = await self._saved(folder, found)
            handle.say(
                f"Saved as version {number} of {found.name}. No alias was moved."
                if made
                else f"Version {number} of {found.name} has this text already."
            )
        found = msgspec.structs.replace(found, stage="comparing", has_text=True, new_version=number)
        await self._keep(folder, found)
        return {}

    async def _saved(self, folder: OptimizationFolder, found: Optimization) -> tuple[str, bool]:
        """Return the number of the version with the new text, and whether it was made now."""
        asked, written = await asyncio.to_thread(lambda: (folder.plan(), folder.written()))
        new = NewPromptVersion(
            turns=written.turns, kind=asked.version.kind, response_format=asked.version.response_format,
            tools=asked.version.tools, settings=asked.version.settings,
            message=f"Optimized from version {found.version} by MLflow's {found.optimizer}",
            tags={OPTIMIZATION_TAG: found.id},
        )  # fmt: skip
        saved = await self._prompts.save_prompt(found.name, new)
        number = saved.version.version
        if not saved.made:
            await self._mlflow.call(MlflowPrompts.tag_version, found.name, number, OPTIMIZATION_TAG, found.id)
        return number, saved.made

    async def _tag(self, found: Optimization) -> None:
        """Name the evaluation in the tags of the version that was saved, if one was."""
        if found.new_version:
            await self._mlflow.call(
                MlflowPrompts.tag_version, found.name, found.new_version, EVALUATION_TAG, found.evaluation
            )

    async def _compare(
        self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        folder = await asyncio.to_thread(OptimizationFolder, self._root, plan["id"])
        found = await asyncio.to_thread(folder.state)
        if found.stage == "done":
            return data or {"message": " ".join(found.sentences)}
        begun = await self._evaluation(folder, found)
        found = msgspec.structs.replace(found, evaluation=begun.evaluation.id)
        await self._keep(folder, found)
        handle.progress(f"Comparing version {found.version} and {_new_text(found)} on held-out rows.")
        await self._followed(handle, begun.task)
        shown = await self._answers.get_answer_evaluation(found.evaluation)
        compared = [] if shown.report is None else shown.report.compared
        sentences = [_sentence(found, each, len(compared) > 1) for each in compared]
        sentences += [each.verdict for each in (shown.report.judges if shown.report else [])]
        if shown.evaluation.missing:
            sentences.append(f"{shown.evaluation.missing:,} answers to held-out rows are missing.")
        found = msgspec.structs.replace(
            found, stage="done", compared=compared, sentences=sentences,
            notes=list(dict.fromkeys([*found.notes, *shown.evaluation.notes])),
        )  # fmt: skip
        await self._tag(found)
        await self._keep(folder, found)
        return {"message": " ".join(sentences)}

    async def _evaluation(self, folder: OptimizationFolder, found: Optimization) -> BegunAnswers:
        """Begin the evaluation of the held-out rows, or go on with the one that was begun."""
        if found.evaluation:
            return await self._answers.resume_answers(found.evaluation)
        asked = await asyncio.to_thread(folder.plan)
        answerer, _, _ = await self._endpoints(asked.version, asked.body)
        label = f"version-{found.new_version}" if found.new_version else "new-text"
        text = await self._in_process(OptimizingProcess.held_out, found.id, label, answerer.limits)
        return await self._answers.begin_answers(
            NewAnswerEvaluation(
                text=text, name=asked.body.scorers_name, folder=str(folder.path / "files"),
                data=str(folder.path / "held-out.jsonl"), data_name=f"{Path(found.data).name}, held-out rows",
            )
        )  # fmt: skip

    async def _followed(self, handle: TaskHandle, task: Task) -> None:
        """Wait for the evaluation, and cancel it with this work. Raises Failed."""
        try:
            while task.state == "running":
                handle.show(task.message, task.progress)
                await asyncio.sleep(_LOOK_S)
                task = await self._tasks.get_task(task.id)
        except asyncio.CancelledError:
            if await self._work.is_cancelled(handle):
                await self._tasks.cancel_task(task.id)
            raise
        if task.state != "done":
            id = task.subject.removeprefix("answers:")
            raise Failed(
                f"The comparison on held-out rows ended early: {task.message}",
                hint=f"{task.hint} The evaluation is {id}.".strip(),
            )

    async def _cancelled(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> None:
        """Keep what was answered: it is paid for."""
        handle.say(f"The answers so far are kept. Go on with: genops prompts resume {plan['id']}")
        found = await self.get_optimization(plan["id"])
        self._events.emit("prompt", found.name)

    async def _keep(self, folder: OptimizationFolder, state: Optimization) -> None:
        await asyncio.to_thread(folder.keep, state)
        self._events.emit("prompt", state.name)


def _new_text(found: Optimization) -> str:
    return f"version {found.new_version}" if found.new_version else "the new text"


def _sentence(found: Optimization, each: ComparedModels, has_others: bool) -> str:
    """Say what the held-out rows show by a scorer, and what the training rows showed, which is too good."""
    by = f" by {each.scorer}" if has_others else ""
    if each.difference.value is None:
        return f"No held-out row has a score of both versions{by}."
    shown = (
        f"{_new_text(found).capitalize()} is {amount(each.difference.value, each.points, signed=True)} on "
        f"{each.difference.n:,} held-out rows{by}{interval(each.difference, each.points)}"
    )
    seen = next((one for one in found.training if one.scorer == each.scorer), None)
    if seen is None:
        return f"{shown}."
    gain = amount(seen.after - seen.before, True, signed=True)
    return f"{shown}; {gain} on the {seen.rows:,} training rows, which it has seen."
