"""Align judges: MLflow writes a criterion by people's labels, and held-out labels show what the criterion is worth."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from genops_lab.core.errors import Conflict
from genops_lab.core.events import EventBus
from genops_lab.core.paging import Page, page_of
from genops_lab.core.worker import Worker
from genops_lab.experiments.mlflow import QUIET
from genops_lab.genai.endpoints.endpoint import Endpoint
from genops_lab.genai.evaluations.results_folder import ResultsFolder, find_folder
from genops_lab.genai.evaluations.waits import kept_waits

from .aligning import AligningProcess, AlignmentFolder, alignments_below
from .alignment_models import (
    AlignmentCost,
    BegunAlignment,
    JudgeAlignment,
    NewAlignment,
    OfEvaluationQuery,
)
from .alignment_plan import judge_to_align
from .backend import MlflowLabels
from .registered_judges import MlflowJudges

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings
    from genops_lab.core.tasks import TaskHandle
    from genops_lab.core.work import WorkService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.genai.endpoints.service import EndpointsService
    from genops_lab.genai.evaluations.service import AnswersService
    from genops_lab.genai.scorers.judges import Rubric

#: The kind of durable work; its subject is ``judge-alignment:<id>``.
KIND = "judge-alignment"
_ALL = OfEvaluationQuery()


class JudgeAlignments:
    """Alignments of judges, as durable work, in ``alignments/ID`` of the evaluation's folder.

    An alignment that was cancelled or killed goes on without the calls that were made.
    """

    def __init__(
        self,
        settings: Settings,
        answers: AnswersService,
        endpoints: EndpointsService,
        mlflow: MlflowConnection,
        work: WorkService,
        events: EventBus,
    ) -> None:
        # Imported late: SQLAlchemy costs 135 ms.
        from genops_lab.core.work import WorkKind

        self._root = settings.data_dir / "answers"
        self._answers, self._list, self._mlflow = answers, endpoints, mlflow
        self._work, self._events = work, events
        steps = {"write": self._write, "compare": self._compare, "end": self._end}
        work.register(WorkKind(KIND, steps, self._cancelled))

    async def get_alignment_cost(self, body: NewAlignment) -> AlignmentCost:
        """Say what an alignment costs at most, and how many labels each side has. Nothing is asked."""
        folder, judge, writer = await self._material(body)
        found: AlignmentCost = await self._in_process(AligningProcess.plan, folder.id, body, judge, writer)
        return found

    async def start_alignment(self, body: NewAlignment) -> BegunAlignment:
        """Split the labels, and begin to write and try criteria, as a task."""
        folder, judge, writer = await self._material(body)
        id = secrets.token_hex(6)
        found: JudgeAlignment = await self._in_process(
            AligningProcess.begin, id, folder.id, body, judge, writer
        )
        return await self._begin(found)

    async def resume_alignment(self, alignment: str) -> BegunAlignment:
        """Go on with an alignment that was cancelled or failed. No call that was made is made again."""
        found = await self.get_alignment(alignment)
        if found.stage == "done":
            raise Conflict(f"The alignment {found.id} is done.", hint="Begin another one.", code="done")
        return await self._begin(found)

    async def list_alignments(self, query: OfEvaluationQuery = _ALL) -> Page[JudgeAlignment]:
        """List alignments, newest first."""

        def listed() -> Page[JudgeAlignment]:
            found = [
                each for each in alignments_below(self._root) if query.evaluation in ("", each.evaluation)
            ]
            found.sort(key=lambda each: (-each.created_at, each.id))
            return page_of(found, lambda each: each.id, query)

        return await asyncio.to_thread(listed)

    async def get_alignment(self, alignment: str) -> JudgeAlignment:
        """Return an alignment with its results so far."""
        return await asyncio.to_thread(lambda: AlignmentFolder(self._root, alignment).state())

    async def keep_alignment(self, alignment: str) -> JudgeAlignment:
        """Keep the new judge of an alignment, though held-out labels may not show that it is better."""
        found = await self.get_alignment(alignment)
        if found.kept_as:
            return found
        if found.stage != "done" or not found.new_criterion:
            raise Conflict(
                f"The alignment {found.id} has no new criterion to keep.",
                hint=f"Its state is {found.stage!r}. Go on with: genops labels resume {found.id}"
                if found.stage != "done"
                else "No criterion was better on the labels that the writer saw. Begin another alignment.",
                code="nothing_to_keep",
            )
        await self._keep(found)
        return await self._told(found.id)

    async def _begin(self, found: JudgeAlignment) -> BegunAlignment:
        title = f"Align the judge {found.judge} of {found.evaluation}"
        task = await self._work.begin(KIND, {"id": found.id}, title=title, subject=f"{KIND}:{found.id}")
        self._emit(found)
        return BegunAlignment(alignment=found, task=task)

    # What an alignment works with --------------------------------------------------------------------------------

    async def _material(self, body: NewAlignment) -> tuple[ResultsFolder, Endpoint, Endpoint]:
        """Return the evaluation's folder with the labels of now, and both endpoints. Raises NotFound, Conflict."""
        folder = await asyncio.to_thread(find_folder, self._root, body.evaluation)
        judge, model = await asyncio.to_thread(judge_to_align, folder, body.judge)
        for queue in await self._mlflow.call_long(MlflowLabels.queues):
            if queue.evaluation == folder.id and queue.question is not None and queue.question.choices:
                await self._mlflow.call_long(MlflowLabels.report, queue.id, str(folder.path))
        judging = await self._answers.endpoint_of(judge.model, model)
        return folder, judging, await self._list.endpoint(body.writer)

    async def _endpoints(self, id: str) -> tuple[Endpoint, Endpoint]:
        plan = await asyncio.to_thread(lambda: AlignmentFolder(self._root, id).plan())
        found = plan.material
        judging = await self._answers.endpoint_of(found.judge.model, found.model)
        return judging, await self._list.endpoint(plan.body.writer)

    async def _in_process(self, method: Callable[..., Any], *arguments: Any) -> Any:
        worker = self._worker()
        try:
            return await worker.call(method, *arguments)
        finally:
            await worker.stop(within_s=1.0)

    def _worker(self) -> Worker:
        """Return a process for one alignment: MLflow takes a writer from the environment of its process."""
        return Worker("Alignment of a judge", {"root": str(self._root)}, env=QUIET, idle_s=5.0)

    async def _followed(self, handle: TaskHandle, method: Callable[..., Any], id: str) -> JudgeAlignment:
        judge, writer = await self._endpoints(id)
        folder = await asyncio.to_thread(AlignmentFolder, self._root, id)
        worker = self._worker()
        try:
            found: JudgeAlignment = await worker.follow(
                lambda calls: handle.show(
                    f"{calls:,} marks of the judge and criteria. {kept_waits(folder.path)}".strip()
                ),
                method,
                id,
                judge,
                writer,
            )
        finally:
            await worker.stop(within_s=0.0)
        self._emit(found)
        return found

    def _emit(self, found: JudgeAlignment) -> None:
        self._events.emit("label", found.evaluation)

    # The steps of the durable work -------------------------------------------------------------------------------

    async def _write(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> dict[str, Any]:
        found = await self.get_alignment(plan["id"])
        if found.stage == "writing" and not found.tried:
            handle.progress(
                f"{found.optimizer} of MLflow works with {found.training_answers:,} labelled answers; "
                f"{found.held_out_answers:,} are held out."
            )
            await self._followed(handle, AligningProcess.write, found.id)
        return {}

    async def _compare(
        self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]
    ) -> dict[str, Any]:
        found = await self.get_alignment(plan["id"])
        if found.stage == "comparing" and found.before is None:
            handle.progress("Both criteria are compared on the held-out labels.")
            await self._followed(handle, AligningProcess.compare, found.id)
        return {}

    async def _end(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> dict[str, Any]:
        folder = await asyncio.to_thread(AlignmentFolder, self._root, plan["id"])
        found, asked = await asyncio.to_thread(lambda: (folder.state(), folder.plan()))
        keep = asked.body.keep
        wanted = keep == "always" or (keep == "better" and found.verdict == "better")
        if found.new_criterion and not found.kept_as and wanted:
            found = await self._keep(found)
            handle.say(f"The new judge is registered in MLflow as {found.kept_as}.")
        found = await self._told(found.id)
        return {"message": " ".join(found.sentences)}

    async def _told(self, id: str) -> JudgeAlignment:
        found: JudgeAlignment = await self._in_process(AligningProcess.tell, id)
        self._emit(found)
        return found

    async def _keep(self, found: JudgeAlignment) -> JudgeAlignment:
        """Register the new judge in MLflow, in the experiment of the evaluation."""
        folder = await asyncio.to_thread(AlignmentFolder, self._root, found.id)
        name = await asyncio.to_thread(_free_name, folder.results, found.judge)
        kept: JudgeAlignment = await self._in_process(AligningProcess.kept, found.id, name)
        judge, experiment = await asyncio.to_thread(_judge_in, kept.rubric, folder.results)
        endpoint, _writer = await self._endpoints(found.id)
        said = f"Aligned from {found.judge} by {found.training_answers:,} labels of {found.evaluation}"
        await self._mlflow.call_long(
            MlflowJudges.register, judge, f"openai:/{endpoint.model}", experiment, said
        )
        await asyncio.to_thread(folder.keep, kept)
        return kept

    async def _cancelled(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> None:
        """Keep what was answered: it is paid for."""
        handle.say(f"The marks so far are kept. Go on with: genops labels resume {plan['id']}")
        self._emit(await self.get_alignment(plan["id"]))


def _free_name(folder: ResultsFolder, judge: str) -> str:
    """Return a name that no scorer of the evaluation has."""
    from genops_lab.genai.evaluations.evaluation_file import read_evaluation
    from genops_lab.genai.evaluations.process import all_scorers

    known = {each.label for each in all_scorers(folder, read_evaluation(folder.text()))[0]}
    name, at = f"{judge}-aligned", 2
    while name in known:
        name, at = f"{judge}-aligned-{at}", at + 1
    return name


def _judge_in(rubric: str, folder: ResultsFolder) -> tuple[Rubric, str]:
    """Return the judge of a text, and the experiment of an evaluation."""
    from genops_lab.genai.evaluations.evaluation_file import read_evaluation, read_scorers
    from genops_lab.genai.evaluations.models import EXPERIMENT
    from genops_lab.genai.scorers.judges import Rubric

    (judge,) = read_scorers(rubric).scorers
    assert isinstance(judge, Rubric)
    return judge, read_evaluation(folder.text()).experiment or EXPERIMENT
