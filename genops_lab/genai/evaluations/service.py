"""Evaluate what models answer: begin, resume, score again, and show."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.models import Task
from genops_lab.core.paging import FIRST, Page, PageQuery, page_of
from genops_lab.core.paths import write_private
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.tasks import TaskHandle
from genops_lab.core.worker import Worker
from genops_lab.deployments.secrets import Secrets
from genops_lab.genai.endpoints.endpoint import Endpoint, is_bounded
from genops_lab.genai.endpoints.models import EndpointTask
from genops_lab.genai.endpoints.shared_limits import limits_folder
from genops_lab.genai.scorers.programs import EMBEDDINGS

from .mlflow_rows import MlflowRows, is_in_mlflow, require_content, taken
from .models import (
    AnsweredRow,
    AnswerEvaluation,
    AnswersQuery,
    AnswersReport,
    BegunAnswers,
    ComparedResults,
    ComparisonQuery,
    DataSet,
    DeletedAnswers,
    Examples,
    ExamplesQuery,
    NewAnswerEvaluation,
    NewScores,
    PlannedEvaluation,
)
from .outcomes import outcome_lines
from .process import AnswersProcess, ScoringPart, on_disk
from .recording import Recording
from .records import AnswerRecords
from .registered_scorers import MlflowScorers
from .results_folder import all_folders, find_folder
from .target_endpoints import keys_sentence, seen_from
from .waits import kept_waits

if TYPE_CHECKING:
    from genops_lab.core.work import WorkService
    from genops_lab.deployments.service import DeploymentsService
    from genops_lab.evaluations.service import EvaluationsService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.genai.traces.service import TracesService
    from genops_lab.hosts.service import TargetsService

    from .evaluation_file import Model
    from .host_command import HostStage
    from .on_target import AnswersOnTarget

#: The kind of durable work; its subject is ``answers:<id>``.
KIND = "answers"
_ALL = AnswersQuery()


class AnswersService(Service):
    """Ask and score in a process of its own, as durable work. The results are a folder, and runs of MLflow.

    If JupyterLab ends meanwhile, the next one asks only for the answers that are missing.
    """

    def __init__(
        self,
        settings: Settings,
        mlflow: MlflowConnection,
        events: EventBus,
        work: WorkService,
        deployments: DeploymentsService | None = None,
        named: Callable[[str, EndpointTask], Awaitable[Endpoint]] | None = None,
        evaluations: EvaluationsService | None = None,
        traces: TracesService | None = None,
        targets: TargetsService | None = None,
    ) -> None:
        """Without ``named``, which finds endpoints by their names, files give addresses and deployments alone.

        ``evaluations`` keeps what gates read. Without ``traces`` rows come from files alone, and without ``targets``
        evaluations run on this machine alone.
        """
        # Imported late: the table of routes needs only this class, and SQLAlchemy costs 135 ms.
        from genops_lab.core.work import WorkKind

        self._data_dir = settings.data_dir
        self._root = settings.data_dir / "answers"
        self._files = settings.root_dir
        self._redaction = settings.redact_traces
        self._secrets = Secrets(settings.data_dir / "secrets")
        self._named, self._evaluations, self._traces, self._targets = named, evaluations, traces, targets
        #: Evaluations that a host of a target works on. No lock of a process here says so.
        self._there = set[str]()
        self._mlflow, self._events, self._work, self._deployments = mlflow, events, work, deployments
        self._recording = Recording(mlflow, self._redaction)
        self._worker = Worker("Evaluations of answers", {"root": str(self._root)}, idle_s=60.0)
        steps = {"ask": self._ask, "score": self._score, "record": self._record}
        work.register(WorkKind(KIND, steps, self._cancelled))

    async def close(self) -> None:
        """Stop the process. Calls in flight are made again when the evaluation goes on."""
        await self._worker.stop(within_s=1.0)

    async def begin_answers(self, body: NewAnswerEvaluation) -> BegunAnswers:
        """Freeze a file and its rows, and begin to ask. A task reports the progress."""
        body = self._located(body)
        if body.on:
            await self._on_target().check(body.on)
        if body.idempotency_key and (earlier := await self._worker.call(AnswersProcess.begun, body)):
            return BegunAnswers(evaluation=earlier, task=await self._begin(earlier, "ask"))
        async with self._with_rows(body) as given:
            if body.expect:
                _check_seen(body, await self._planned(body, given))
            registered = await self._registered(AnswersProcess.registered, given, text=given.text)
            made = await self._worker.call(AnswersProcess.begin, given, registered)
        try:
            await self._endpoints(made.id)
        except BaseException:
            await self._removed(made.id)
            raise
        self._events.emit("answer-evaluation", made.id)
        return BegunAnswers(evaluation=made, task=await self._begin(made, "ask"))

    async def plan_answers(self, body: NewAnswerEvaluation) -> PlannedEvaluation:
        """Return what an evaluation would ask, what it would cost at most, and what it could show."""
        body = self._located(body)
        if body.on:
            await self._on_target().check_kind(body.on)
        async with self._with_rows(body) as given:
            return await self._planned(body, given)

    async def _planned(self, body: NewAnswerEvaluation, given: NewAnswerEvaluation) -> PlannedEvaluation:
        """Return the plan of ``body``, whose rows ``given`` has. Endpoints that cannot be asked are problems of it."""
        models, judges = await self._worker.call(AnswersProcess.models_of, body)
        prices, endpoints = {}, []
        problems: dict[str, None] = {}  # two models of one endpoint that is gone have one problem
        # Models come first, and win over a judge of the same name.
        for label, model in (models | judges | models).items():
            try:
                endpoint = await self.endpoint_of(label, model)
                if endpoint.price:
                    prices[label] = endpoint.price
                if body.on:
                    endpoint = await seen_from(body.on, model, endpoint, self._deployments)
                endpoints.append(endpoint)
            except GenOpsError as error:
                problems[f"{error.message} {error.hint}".strip()] = None
        plan = await self._worker.call(AnswersProcess.plan, given, prices)
        keys = keys_sentence(body.on, endpoints) if body.on else ""
        plan = msgspec.structs.replace(plan, keys=keys, problems=list(problems))
        return msgspec.structs.replace(plan, seen=_seen_hash(body, plan))

    def _located(self, body: NewAnswerEvaluation) -> NewAnswerEvaluation:
        """Return a file that the page names by its ``path`` with its name and folder. Raises InvalidRequest."""
        if body.path:
            given = PurePosixPath(body.path)
            if self._files is None or given.is_absolute() or ".." in given.parts:
                raise InvalidRequest(
                    f"The file {body.path!r} is not below the folder of JupyterLab.",
                    hint="Give its path as the file browser shows it.",
                )
            path = (self._files / given).resolve()  # as in a terminal: a link is the file that it leads to
            return msgspec.structs.replace(body, name=body.path, folder=str(path.parent))
        if not body.folder:
            raise InvalidRequest(
                f"Nothing says which folder the rows of {body.name} are in.",
                hint="Give folder, or path for a file below the folder of JupyterLab.",
            )
        return body

    async def plan_from_kernel(
        self, body: NewAnswerEvaluation
    ) -> tuple[PlannedEvaluation, dict[str, tuple[str, Endpoint]]]:
        """Return what an evaluation of a kernel on another host would ask, and each model's endpoint with its name.

        Raises NotAllowed for a file that a host must not use.
        """
        plan, models, judges = await self._worker.call(AnswersProcess.plan_from_kernel, body)
        return plan, {
            label: (
                f"the endpoint {model.endpoint}" if model.endpoint else f"the deployment {model.deployment}",
                await self.endpoint_of(label, model),
            )
            for label, model in {**models, **judges}.items()
        }

    async def _registered(self, named: Any, *arguments: Any, text: str) -> dict[str, str]:
        """Return the scorers that ``named`` finds in a file, as MLflow has them."""
        if "registered" not in text:
            return {}
        wanted = await self._worker.call(named, *arguments)
        return await self._mlflow.call(MlflowScorers.take, wanted) if wanted else {}

    @contextlib.asynccontextmanager
    async def _with_rows(self, body: NewAnswerEvaluation) -> AsyncIterator[NewAnswerEvaluation]:
        """Give what was asked for with a file of the rows that MLflow has; the file is removed at the end."""
        if self._traces is None:
            yield body
            return
        data = await self._worker.call(AnswersProcess.data, body)
        async with self.rows_of_mlflow(data) as path:
            yield msgspec.structs.replace(body, data=path, data_name=data) if path else body

    @contextlib.asynccontextmanager
    async def rows_of_mlflow(self, data: str) -> AsyncIterator[str]:
        """Give the path of a file with the rows that ``data`` names in MLflow; empty where it names a file itself.

        The file is removed at the end. Raises NotAllowed, InvalidRequest, NotFound, Unavailable.
        """
        if self._traces is None or not is_in_mlflow(data):
            yield ""
            return
        await require_content(data)
        lines = await taken(data, self._traces.query_traces, self._mlflow.call_long)
        with tempfile.TemporaryDirectory(prefix="genops-rows-") as folder:
            path = Path(folder, "rows.jsonl")
            await asyncio.to_thread(path.write_bytes, lines)
            yield str(path)

    async def list_data_sets(self, query: PageQuery = FIRST) -> Page[DataSet]:
        """List the data sets of MLflow whose rows can be asked about, last changed first."""
        return await self._mlflow.call(MlflowRows.data_sets, query)

    async def resume_answers(self, id: str) -> BegunAnswers:
        """Ask for the answers that are missing, those of calls that failed too, and score them."""
        found = await self._ready(id)
        await self._endpoints(id)
        return BegunAnswers(evaluation=found, task=await self._begin(found, "ask"))

    async def score_answers(self, id: str, body: NewScores) -> BegunAnswers:
        """Score the kept answers by more scorers; without any, make the report again. No model answers again."""
        if not body.text.strip():
            state = await asyncio.to_thread(lambda: find_folder(self._root, id).state_now())
            return BegunAnswers(evaluation=state, task=await self._begin(state, "report"))
        await self._ready(id)
        registered = await self._registered(AnswersProcess.registered_added, id, body, text=body.text)
        found = await self._worker.call(AnswersProcess.add_scorers, id, body, registered)
        return BegunAnswers(evaluation=found, task=await self._begin(found, "score"))

    async def _ready(self, id: str) -> AnswerEvaluation:
        """Return an evaluation to go on with. Raises NotFound, and Conflict while its host is at work or away."""
        found = await asyncio.to_thread(lambda: find_folder(self._root, id).state_now())
        if found.target:
            self._check_idle(id)
            await self._on_target().check(found.target)
        return found

    def _check_idle(self, id: str) -> None:
        if id in self._there:
            raise Conflict(
                f"The evaluation {id} is at work.", hint="Cancel its task first.", code="under_way"
            )

    async def list_answer_evaluations(self, query: PageQuery = FIRST) -> Page[AnswerEvaluation]:
        """List evaluations of answers, newest first."""
        return await asyncio.to_thread(self._page, query)

    async def get_answer_evaluation(self, id: str) -> AnswersReport:
        """Return an evaluation with its results."""

        def read() -> AnswersReport:
            folder = find_folder(self._root, id)
            return AnswersReport(evaluation=folder.state_now(), report=folder.report())

        return await asyncio.to_thread(read)

    async def compare_answer_evaluations(self, id: str, query: ComparisonQuery) -> ComparedResults:
        """Return the differences of an evaluation to another of the same rows."""
        return await self._worker.call(AnswersProcess.compare, id, query.against)

    async def list_answers(self, id: str, query: AnswersQuery = _ALL) -> Page[AnsweredRow]:
        """Return rows with their answers, those of another evaluation of the same rows beside them."""
        return await self._worker.call(AnswersProcess.answers, id, query)

    async def list_examples(self, id: str, query: ExamplesQuery) -> Examples:
        """Return all examples with the mean score of each model's answers, for a table."""
        return await self._worker.call(AnswersProcess.examples, id, query)

    async def delete_answer_evaluation(self, id: str) -> DeletedAnswers:
        """Delete the folder of an evaluation, and what the host of its target has. Runs and traces in MLflow stay."""
        folder = await asyncio.to_thread(find_folder, self._root, id)
        self._check_idle(id)
        lock = folder.lock()
        if not await asyncio.to_thread(lock.try_acquire):
            raise Conflict(
                f"The evaluation {id} is at work.", hint="Cancel its task first.", code="under_way"
            )
        lock.release()
        found = await asyncio.to_thread(folder.state)
        left = ""
        if found.target and self._targets is not None:
            self._there.add(id)
            try:
                left = await self._on_target().left(found)
            finally:
                self._there.discard(id)
        await self._removed(id)
        self._events.emit("answer-evaluation", id)
        return DeletedAnswers(left=left)

    def _page(self, query: PageQuery) -> Page[AnswerEvaluation]:
        found = [folder.state_now() for folder in all_folders(self._root)]
        found.sort(key=lambda each: (-each.created_at, each.id))
        page = page_of(found, lambda each: each.id, query)
        return Page(items=[self._scored(each) for each in page.items], next=page.next)

    def _scored(self, evaluation: AnswerEvaluation) -> AnswerEvaluation:
        """Return an evaluation with the scores that a list shows."""
        report = find_folder(self._root, evaluation.id).report()
        if report is None:
            return evaluation
        first = [each for each in report.scored if each.scorer == evaluation.scorers[0]]
        return msgspec.structs.replace(evaluation, scores=first)

    async def _removed(self, id: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self._root / id)

    async def _begin(self, evaluation: AnswerEvaluation, stage: str) -> Task:
        count = sum(each.wanted for each in evaluation.models)
        verb = {"ask": "Evaluate", "score": "Score", "report": "Report on"}[stage]
        title = f"{verb} {evaluation.name}"
        if evaluation.target and stage != "report":
            title += f" on {evaluation.target}"
        if stage == "ask" and count:
            title += f": {count:,} answers"
        plan = {"id": evaluation.id, "stage": stage}
        return await self._work.begin(KIND, plan, title=title, subject=f"answers:{evaluation.id}")

    # Endpoints ---------------------------------------------------------------------------------------------------

    async def _endpoints(self, id: str) -> tuple[list[Endpoint], list[Endpoint]]:
        """Return the endpoints of the models that answer, and of those that judge. Raises NotFound, Conflict."""
        models, judges = await self._worker.call(AnswersProcess.models, id)
        target = (await asyncio.to_thread(find_folder(self._root, id).state)).target
        answering = [await self._seen(target, *each) for each in models.items()]
        return answering, [await self._seen(target, *each) for each in judges.items()]

    async def _seen(self, target: str, label: str, model: Model) -> Endpoint:
        """Return the endpoint of a model as a target's host reaches it, or this machine without a target."""
        found = await self.endpoint_of(label, model)
        return await seen_from(target, model, found, self._deployments) if target else found

    async def endpoint_of(self, label: str, model: Model) -> Endpoint:
        """Return the endpoint of a model of a file, with its key. Raises NotFound, Conflict, InvalidRequest."""
        common: dict[str, Any] = {
            "name": label, "timeout_s": model.timeout_s, "limits": model.limits, "price": model.price
        }  # fmt: skip
        if model.endpoint:
            if self._named is None:
                raise InvalidRequest(
                    f"The model {label!r} names the endpoint {model.endpoint!r}, and there is no list of endpoints.",
                    hint="Give url and model instead.",
                )
            task: EndpointTask = "embeddings" if label.startswith(EMBEDDINGS) else "chat"
            found = await self._named(model.endpoint, task)
            limits = model.limits.within(found.limits)
            has_budget = limits.tokens is not None or limits.money is not None
            if task == "chat" and has_budget and not is_bounded(model.settings):
                raise InvalidRequest(
                    f"The endpoint {model.endpoint!r} has a budget, and the model {label!r} has no max_tokens.",
                    hint="Add max_tokens to settings: it is set aside before each call, so that the budget is kept.",
                )
            price = model.price or found.price
            if found.limits.money is not None:  # a cheaper price of the file would lift the endpoint's budget
                price = found.price or price
            if limits.money is not None and price is None:
                raise InvalidRequest(
                    f"The endpoint {model.endpoint!r} has a budget of money, and its price is not known.",
                    hint="Add it again with --price-input and --price-output, or with a budget of tokens: --tokens.",
                )
            return msgspec.structs.replace(
                found, name=label, model=model.model or found.model, limits=limits, price=price
            )
        if model.deployment:
            assert self._deployments is not None
            served = await self._deployments.get_deployment(model.deployment)
            if not served.url:
                raise Conflict(
                    f"The deployment {model.deployment!r} is {served.state}. {served.message}".strip(),
                    hint=served.hint or f"See: genops deployments show {model.deployment}",
                )
            key = (await self._deployments.get_deployment_key(model.deployment)).key
            common["limits_folder"] = limits_folder(self._data_dir, f"deployment:{model.deployment}")
            return Endpoint(url=f"{served.url}/v1", model=model.model or model.deployment, key=key, **common)
        key = ""
        if model.key:
            key = (await asyncio.to_thread(self._secrets.values, [model.key]))[model.key]
        common["limits_folder"] = limits_folder(self._data_dir, model.url.rstrip("/"), model.model, model.key)
        return Endpoint(url=model.url, model=model.model, key=key, **common)

    # The steps of the durable work -------------------------------------------------------------------------------

    async def _ask(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> dict[str, Any]:
        id = plan["id"]
        folder = await asyncio.to_thread(find_folder, self._root, id)
        total = await asyncio.to_thread(folder.state)
        if total.target and plan["stage"] != "report":
            return await self._ask_there(
                handle, total, ["score"] if plan["stage"] == "score" else ["ask", "score"]
            )
        if plan["stage"] != "ask":
            return {}
        wanted, began = sum(each.wanted for each in total.models), time.monotonic()

        def told(done: int) -> None:
            waited = time.monotonic() - began
            if not wanted:  # nobody knows how many there are
                handle.show(f"The other harness has run for {waited:.0f} s.")
                return
            said = f"{done:,} of {wanted:,} answers after {waited:.0f} s. {kept_waits(folder.path)}"
            handle.show(said.strip(), done / max(wanted, 1))

        handle.progress(f"Asking for {wanted:,} answers." if wanted else "Running the other harness.")
        async with self._stopped_with(id), self._recording.meanwhile(str(folder.path)):
            answering, judges = await self._endpoints(id)
            found = await self._worker.follow(told, AnswersProcess.ask, id, answering, judges)
        for line in outcome_lines(found):
            handle.say(line)
        self._events.emit("answer-evaluation", id)
        return {}

    @contextlib.asynccontextmanager
    async def _stopped_with(self, id: str) -> AsyncIterator[None]:
        """Stop the runs in MLflow with a step that fails."""
        try:
            yield
        except GenOpsError:
            await self._recording.stop(str(self._root / id))
            raise

    async def _ask_there(
        self, handle: TaskHandle, evaluation: AnswerEvaluation, stages: list[HostStage]
    ) -> dict[str, Any]:
        """Run stages on the host of the evaluation's target, and bring what it answered. Raises GenOpsError."""
        from genops_lab.core.store.work import OldToken

        from .host_command import HostEndpoints

        id, on_target = evaluation.id, self._on_target()
        wanted = sum(each.wanted for each in evaluation.models)

        def tell(event: dict[str, Any]) -> None:
            if isinstance(done := event.get("answers"), int) and not wanted:
                handle.show(f"{evaluation.target}: the other harness is running.")
            elif isinstance(done := event.get("answers"), int):
                handle.show(f"{evaluation.target}: {done:,} of {wanted:,} answers.", done / max(wanted, 1))
            elif isinstance(done := event.get("scored"), int):
                handle.show(f"{evaluation.target}: {done:,} answers scored.")

        async def endpoints() -> HostEndpoints:
            answering, judges = await self._endpoints(id)
            handle.say(keys_sentence(evaluation.target, [*answering, *judges]))
            return HostEndpoints(answering=answering, judges=judges)

        self._there.add(id)
        try:
            found = await on_target.run(handle, evaluation, stages, endpoints, tell)
        except OldToken:  # another Lab goes on with it
            raise
        except GenOpsError:
            await self._rescued(handle, evaluation)
            raise
        finally:
            self._there.discard(id)
        for line in outcome_lines(found):
            handle.say(line)
        self._events.emit("answer-evaluation", id)
        return {}

    async def _rescued(self, handle: TaskHandle, evaluation: AnswerEvaluation) -> None:
        """Bring what the host answered, and leave nothing there; or say why that is not possible."""
        if why := await self._on_target().rescue(handle, evaluation):
            handle.say(
                f"{evaluation.target} was not stopped: {why} It goes on for up to a day without JupyterLab, and its "
                f"answers are there alone. Bring them with: genops evaluate resume {evaluation.id}"
            )

    def _on_target(self) -> AnswersOnTarget:
        from .on_target import AnswersOnTarget

        if self._targets is None:
            raise InvalidRequest("This Lab has no targets.", hint="Evaluate on this machine: leave out --on.")
        return AnswersOnTarget(self._targets, self._worker, self._root)

    async def _score(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        evaluation = await asyncio.to_thread(lambda: find_folder(self._root, plan["id"]).state())
        if plan["stage"] == "report":
            handle.progress("Making the report with the labels of now.")
            await self._worker.call(AnswersProcess.report_again, plan["id"])
            self._events.emit("answer-evaluation", plan["id"])
            return data
        part: ScoringPart = "lab" if evaluation.target else "all"
        judges: list[Endpoint] = []
        if part == "lab":  # the host has scored by all other scorers: their scores are here
            await self._on_target().remove(handle, evaluation)
        handle.progress("Scoring the answers.")
        async with self._stopped_with(plan["id"]):
            if part == "all":
                _, asked = await self._worker.call(AnswersProcess.models, plan["id"])
                judges = [await self.endpoint_of(label, model) for label, model in asked.items()]
            await self._worker.follow(
                lambda done: handle.show(f"{done:,} answers scored."),
                AnswersProcess.score,
                plan["id"],
                judges,
                part,
            )
        self._events.emit("answer-evaluation", plan["id"])
        return data

    async def _record(
        self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]
    ) -> dict[str, Any]:
        handle.progress("Writing runs and traces into MLflow.")
        await self._work.hold(handle)
        folder = str(self._root / plan["id"])
        found = await self._mlflow.call_long(AnswerRecords.record, folder, self._redaction)
        self._recording.finished(folder)
        await self._show_to_gates(handle, found.id)
        self._events.emit("answer-evaluation", found.id)
        missing = found.missing
        end = f"{missing:,} answers are missing." if missing else "All answers are there."
        if found.unfinished:
            end += f" Not all are scored by {', '.join(found.unfinished)}."
        return {"message": f"{found.name} is evaluated. {end}"}

    async def _show_to_gates(self, handle: TaskHandle, id: str) -> None:
        """Keep the scores of registered versions as evaluations that gates read, and say which are left out."""
        found = await self._worker.call(AnswersProcess.gate_evidence, id)
        for line in found.left_out:
            handle.say(line)
        for each in found.evidence:
            assert self._evaluations is not None
            what = f"{each.predictions.model}@{each.predictions.version}"
            path = self._root / id / f"evidence-{each.predictions.key}.json"
            try:
                with on_disk(f"Free some disk space. Then: genops evaluate resume {id}"):
                    await asyncio.to_thread(write_private, path, msgspec.json.encode(each.content).decode())
                await self._evaluations.log_predictions(
                    msgspec.structs.replace(each.predictions, path=str(path))
                )
                handle.say(f"Gates see the scores of {what} as the data {each.predictions.data}.")
            except (NotFound, InvalidRequest, Conflict) as error:
                handle.say(f"No gate sees the scores of {what}: {error.message} {error.hint}".strip())
            finally:
                await asyncio.to_thread(path.unlink, missing_ok=True)

    async def _cancelled(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> None:
        """Keep what was answered: it is paid for."""
        evaluation = await asyncio.to_thread(lambda: find_folder(self._root, plan["id"]).state())
        if evaluation.target and plan["stage"] != "report":
            await self._rescued(handle, evaluation)
        await self._recording.stop(str(self._root / plan["id"]))
        handle.say(f"The answers so far are kept. Go on with: genops evaluate resume {plan['id']}")
        self._events.emit("answer-evaluation", plan["id"])


def _seen_hash(body: NewAnswerEvaluation, plan: PlannedEvaluation) -> str:
    """Return a hash of a file and its plan: of the rows, the cost, the notes and the keys that a person agrees to."""
    parts = [body.text.encode(), body.on.encode(), msgspec.json.encode(plan)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _check_seen(body: NewAnswerEvaluation, plan: PlannedEvaluation) -> None:
    """Raise Conflict if a plan is another one than the person agreed to."""
    if plan.seen != body.expect:
        raise Conflict(
            f"{body.name}, its rows or its prices changed since the plan was made.",
            hint="Nothing was begun. Look at the plan as it is now.",
            code="changed_since",
        )
