"""Run versions of a prompt on rows with several models, and keep the answers side by side."""

from __future__ import annotations

import asyncio
import itertools
import re
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.models import Task
from genops_lab.core.paging import Page, page_of
from genops_lab.core.paths import contained, private_dir
from genops_lab.deployments.secrets import Secrets
from genops_lab.genai.endpoints.endpoint import Connection, Endpoint, most_tokens
from genops_lab.genai.endpoints.limits import Limits, Usage
from genops_lab.genai.endpoints.shared_limits import limits_folder
from genops_lab.genai.evaluations.asking import Asked, Asking, Wanted
from genops_lab.genai.evaluations.journal import Journal, read
from genops_lab.genai.evaluations.mlflow_rows import require_content
from genops_lab.genai.evaluations.rows import Rows, read_rows

from .models import VARIABLE, PromptVersion
from .trial_models import (
    CallCost,
    OfPromptQuery,
    PromptTrial,
    TrialAnswer,
    TrialCost,
    TrialModel,
    TrialRow,
    TrialSummary,
    TrialTable,
)

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings
    from genops_lab.core.tasks import TaskHandle
    from genops_lab.core.work import WorkService
    from genops_lab.deployments.service import DeploymentsService
    from genops_lab.genai.endpoints.service import EndpointsService
    from genops_lab.genai.evaluations.service import AnswersService

    from .service import PromptsService

#: The kind of durable work; its subject is ``prompt-trial:<id>``.
KIND = "prompt-trial"
_ALL = OfPromptQuery()
_ID = re.compile(r"[0-9a-f]{12}")
#: Asked of a model where neither the prompt nor the person says how long an answer may be.
_MAX_TOKENS = 512


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A trial on disk: what was asked for, and the versions as they were."""

    name: str
    trial: PromptTrial
    versions: list[PromptVersion]
    digest: str
    created_at: float


class PromptTrials:
    """Trials of prompts, as durable work. Answers are kept in ``prompts/trials/ID`` of the data folder as they come.

    If JupyterLab ends meanwhile, the next one asks only for the answers that are missing.
    """

    def __init__(
        self,
        settings: Settings,
        prompts: PromptsService,
        deployments: DeploymentsService,
        work: WorkService,
        events: EventBus,
        endpoints: EndpointsService,
        answers: AnswersService,
    ) -> None:
        # Imported late: SQLAlchemy costs 135 ms.
        from genops_lab.core.work import WorkKind

        self._data_dir = settings.data_dir
        self._root = settings.data_dir / "prompts" / "trials"
        self._files = settings.root_dir
        self._secrets = Secrets(settings.data_dir / "secrets")
        self._prompts, self._deployments = prompts, deployments
        self._work, self._events = work, events
        self._list, self._answers = endpoints, answers
        work.register(WorkKind(KIND, {"ask": self._run}, self._cancelled))

    async def get_trial_cost(self, name: str, body: PromptTrial) -> TrialCost:
        """Say what a trial may cost at most. Nothing is asked."""
        versions, rows = await self._material(name, body)
        return await asyncio.to_thread(cost_of, await self._priced(body), versions, rows)

    async def start_trial(self, name: str, body: PromptTrial) -> Task:
        """Ask each model for the answer of each version to each row, as a task. Its subject has the id of the trial."""
        versions, rows = await self._material(name, body)
        for model in body.models:
            await self._endpoint(model)
        id = secrets.token_hex(6)
        kept = Kept(name=name, trial=body, versions=versions, digest=rows.digest, created_at=time.time())
        await asyncio.to_thread(self._keep, id, kept, rows)
        return await self._begin(id, kept, len(rows.by_id))

    async def resume_trial(self, trial: str) -> Task:
        """Ask for the answers that are missing, those of calls that failed too. No other answer is asked for again."""
        folder = self._folder(trial)
        kept, rows = await asyncio.to_thread(lambda: (_kept(folder), _kept_rows(folder)))
        await require_content(kept.trial.data)
        for model in kept.trial.models:
            await self._endpoint(model)
        return await self._begin(trial, kept, len(rows))

    async def list_trials(self, query: OfPromptQuery = _ALL) -> Page[TrialSummary]:
        """List trials, newest first."""
        return await asyncio.to_thread(self._page, query)

    async def get_trial(self, trial: str) -> TrialTable:
        """Return the answers of a trial so far: a row for each row, an answer for each version and model."""
        found = await asyncio.to_thread(_table, self._folder(trial))
        await require_content(found.data)
        return found

    async def _begin(self, id: str, kept: Kept, rows: int) -> Task:
        title = f"Run {kept.name} on {rows:,} rows"
        return await self._work.begin(KIND, {"id": id}, title=title, subject=f"{KIND}:{id}")

    async def _run(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> dict[str, Any]:
        """Ask for all answers that the journal does not have."""
        folder = self._folder(plan["id"])
        kept, rows = await asyncio.to_thread(lambda: (_kept(folder), _kept_rows(folder)))
        endpoints = [await self._endpoint(model) for model in kept.trial.models]
        total = len(kept.versions) * len(endpoints) * len(rows)
        handle.progress(f"Asking for {total:,} answers.", 0.0)
        done: dict[str, Asked] = {}

        def tell(asked: Asked) -> None:
            done[asked.model] = asked
            count = sum(each.answered + each.failed for each in done.values())
            waits = [each.waits for each in done.values() if each.waits and not each.stopped]
            handle.show(" ".join([f"{count:,} of {total:,} answers.", *waits]), count / total)

        async with Journal(folder / "calls.jsonl") as journal:
            before = sum(call.answer is not None for call in journal.calls.values())
            if before:
                handle.say(f"{before:,} answers are there already.")

            async def ask(endpoints: list[Endpoint]) -> None:
                """Ask one address for one version after the other; a model that was stopped is asked for no more."""
                stopped = set()
                for version, endpoint in itertools.product(kept.versions, endpoints):
                    if endpoint.name not in stopped:
                        asked = await self._ask(version, endpoint, rows, kept.trial, journal, tell)
                        tell(asked)
                        if asked.stopped and not asked.over_budget:
                            stopped.add(endpoint.name)

            asking = [asyncio.create_task(ask(each)) for each in by_address(endpoints)]
            try:
                await asyncio.gather(*asking)
            finally:
                for each in asking:
                    each.cancel()
                await asyncio.gather(*asking, return_exceptions=True)
            if journal.lost:
                most = sum(each.total for _, each in journal.lost)
                handle.say(
                    f"{len(journal.lost):,} calls were in flight when they were stopped, and were made again. "
                    f"They may have used up to {most:,} tokens."
                )
        failed = sum(each.failed for each in done.values())
        stopped = [each.stopped for each in done.values() if each.stopped]
        for line in stopped:
            handle.say(line)
        answered = sum(each.answered for each in done.values())
        self._events.emit("prompt", kept.name)
        said = f"{answered:,} of {total:,} answers, {failed:,} calls failed."
        return {"message": f"{said} {stopped[0]}" if stopped else said}

    async def _cancelled(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> None:
        """Keep what was answered: it is paid for."""
        handle.say(f"The answers so far are kept. Go on with: genops prompts resume {plan['id']}")
        kept = await asyncio.to_thread(_kept, self._folder(plan["id"]))
        self._events.emit("prompt", kept.name)

    def _folder(self, trial: str) -> Path:
        folder = self._root / trial
        if not _ID.fullmatch(trial) or not (folder / "trial.json").is_file():
            raise NotFound(f"There is no trial {trial[:40]!r}.", hint="Run the prompt on rows again.")
        return folder

    def _page(self, query: OfPromptQuery) -> Page[TrialSummary]:
        folders = [each for each in self._root.glob("*") if (each / "trial.json").is_file()]
        kept = [
            (folder, found)
            for folder in folders
            if (found := _kept(folder)).name == query.name or not query.name
        ]
        kept.sort(key=lambda each: (-each[1].created_at, each[0].name))
        page = page_of(kept, lambda each: each[0].name, query)
        return Page(items=[_summary(folder, found) for folder, found in page.items], next=page.next)

    async def _material(self, name: str, body: PromptTrial) -> tuple[list[PromptVersion], Rows]:
        versions = [await self._prompts.get_prompt_version(name, each) for each in body.versions]
        versions = list({each.version: each for each in versions}.values())
        if not versions or not body.models:
            raise InvalidRequest("A trial needs a version and a model.", hint="Give at least one of each.")
        if len({each.name for each in body.models}) < len(body.models):
            raise InvalidRequest(
                "Two models of the trial have one name.", hint="Give each a name of its own."
            )
        async with self._answers.rows_of_mlflow(body.data) as taken:
            path = Path(taken) if taken else path_of_rows(self._files, body.data)
            rows = await asyncio.to_thread(read_rows, path)
        first = dict(list(rows.by_id.items())[: body.rows])
        rows = Rows(digest=rows.digest, by_id=first)
        for version in versions:
            check_variables(version, rows)
        return versions, rows

    async def _priced(self, body: PromptTrial) -> PromptTrial:
        """Return the trial with the prices of its endpoints."""
        models = []
        for each in body.models:
            price = each.price
            if price is None and each.endpoint:
                price = (await self._list.get_endpoint(each.endpoint)).price
            models.append(msgspec.structs.replace(each, price=price))
        return msgspec.structs.replace(body, models=models)

    async def _endpoint(self, model: TrialModel) -> Endpoint:
        if model.endpoint:
            named = await self._list.endpoint(model.endpoint)
            return msgspec.structs.replace(
                named, name=model.name, model=model.model or named.model, price=model.price or named.price
            )
        limits = Limits(at_once=model.at_once)
        if model.deployment:
            found = await self._deployments.get_deployment(model.deployment)
            if not found.url:
                raise Conflict(
                    f"The deployment {model.deployment!r} is {found.state}.",
                    hint=f"See: genops deployments show {model.deployment}",
                )
            key = (await self._deployments.get_deployment_key(model.deployment)).key
            return Endpoint(
                name=model.name, url=f"{found.url}/v1", model=model.model or model.deployment, key=key,
                limits=limits, price=model.price,
                limits_folder=limits_folder(self._data_dir, f"deployment:{model.deployment}"),
            )  # fmt: skip
        if not model.url or not model.model:
            raise InvalidRequest(
                f"The model {model.name!r} has neither an endpoint, nor a deployment, nor a url and a model.",
                hint="Give the name of an endpoint or a deployment, or a url and its model.",
            )
        key = ""
        if model.key:
            key = (await asyncio.to_thread(self._secrets.values, [model.key]))[model.key]
        return Endpoint(
            name=model.name, url=model.url, model=model.model, key=key, limits=limits, price=model.price,
            limits_folder=limits_folder(self._data_dir, model.url.rstrip("/"), model.model, model.key),
        )  # fmt: skip

    def _keep(self, id: str, kept: Kept, rows: Rows) -> Path:
        folder = self._root / id
        for each in (self._root.parent, self._root, folder):
            private_dir(each)
        (folder / "rows.json").write_bytes(msgspec.json.encode(rows.by_id))
        (folder / "trial.json").write_bytes(msgspec.json.encode(kept))
        return folder

    async def _ask(
        self, version: PromptVersion, endpoint: Endpoint, rows: dict[str, dict[str, Any]], body: PromptTrial,
        journal: Journal, tell: Any,
    ) -> Asked:  # fmt: skip
        labelled = msgspec.structs.replace(endpoint, name=label(version.version, endpoint.name))
        wanted = [
            Wanted(
                example=id,
                repeat=0,
                messages=messages_of(version, row),
                settings=settings_of(version, body.settings),
            )
            for id, row in rows.items()
        ]
        async with Connection(labelled) as connection:
            return await Asking(connection, journal, tell=tell).ask(wanted)


def by_address(endpoints: list[Endpoint]) -> list[list[Endpoint]]:
    """Return groups of endpoints that are asked at the same time: one that is away holds up no other address."""
    found: dict[str, list[Endpoint]] = {}
    for each in endpoints:
        found.setdefault(each.url or each.name, []).append(each)
    return list(found.values())


def path_of_rows(files: Path | None, data: str) -> Path:
    """Return the path of a file of rows: an absolute one, or one below ``files``, the folder that the Lab shows."""
    path = Path(data).expanduser()
    return path if path.is_absolute() or files is None else contained(files, data)


def label(version: str, model: str) -> str:
    """Return the name of a column of answers."""
    return f"v{version} {model}"


def settings_of(version: PromptVersion, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a call: ``settings``, then those of the version."""
    kept = {key: value for key, value in version.settings.items() if key not in ("model_name", "provider")}
    found: dict[str, Any] = {"max_tokens": _MAX_TOKENS, **kept, **settings}
    if version.tools:
        found["tools"] = version.tools
    if version.response_format:
        found["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": version.response_format},
        }
    return found


def messages_of(version: PromptVersion, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages of a version with a row's values."""

    def filled(text: str) -> str:
        return VARIABLE.sub(lambda found: _text(row[found[1]]), text)

    return [{"role": each.role, "content": each.parts or filled(each.content)} for each in version.turns]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def check_variables(version: PromptVersion, rows: Rows) -> None:
    """Raise InvalidRequest for a version that cannot be filled, and for a row without a value of a variable."""
    if version.templates or version.problem:
        raise InvalidRequest(
            f"Version {version.version} cannot be run on rows: "
            f"{version.problem or 'it has statements of Jinja2.'}",
            hint="Choose a version that has only {{variables}}.",
        )
    for id, row in rows.by_id.items():
        missing = [each for each in version.variables if row.get(each) is None]
        if missing:
            raise InvalidRequest(
                f"The row {id} has no value for {', '.join(missing)}, which version {version.version} uses.",
                hint=f"Its columns: {', '.join(row)}.",
            )


def cost_of(body: PromptTrial, versions: list[PromptVersion], rows: Rows) -> TrialCost:
    """Return the most that a trial can use: each call reserves its text and ``max_tokens``."""
    calls: list[CallCost] = []
    for version in versions:
        settings = settings_of(version, body.settings)
        used = [most_tokens(messages_of(version, row), settings) for row in rows.by_id.values()]
        most = Usage(input=sum(each.input for each in used), output=sum(each.output for each in used))
        calls += [
            CallCost(
                version=version.version, model=model.name, calls=len(used), input=most.input, output=most.output,
                money=model.price.of(most) if model.price else None,
                currency=model.price.currency if model.price else "USD",
            )
            for model in body.models
        ]  # fmt: skip
    money = [each.money for each in calls if each.money is not None]
    currencies = {each.currency for each in calls if each.money is not None}
    return TrialCost(
        rows=len(rows.by_id),
        digest=rows.digest,
        calls=sum(each.calls for each in calls),
        tokens=sum(each.input + each.output for each in calls),
        money=sum(money) if len(money) == len(calls) and len(currencies) == 1 else None,
        currency=min(currencies, default="USD"),
        without_price=sorted({each.model for each in calls if each.money is None}),
        parts=calls,
    )


def _kept(folder: Path) -> Kept:
    return msgspec.json.decode((folder / "trial.json").read_bytes(), type=Kept)


def _kept_rows(folder: Path) -> dict[str, dict[str, Any]]:
    return msgspec.json.decode((folder / "rows.json").read_bytes(), type=dict[str, dict[str, Any]])


def _columns(kept: Kept) -> list[str]:
    return [label(each.version, model.name) for each in kept.versions for model in kept.trial.models]


def _summary(folder: Path, kept: Kept) -> TrialSummary:
    calls, columns, rows = read(folder / "calls.jsonl").values(), _columns(kept), len(_kept_rows(folder))
    return TrialSummary(
        id=folder.name, name=kept.name, data=kept.trial.data, digest=kept.digest, row_count=rows,
        created_at=kept.created_at, columns=columns, wanted=len(columns) * rows,
        answered=sum(each.answer is not None for each in calls), failed=sum(each.answer is None for each in calls),
    )  # fmt: skip


def _table(folder: Path) -> TrialTable:
    kept, rows = _kept(folder), _kept_rows(folder)
    calls = read(folder / "calls.jsonl")
    summary = _summary(folder, kept)
    found = []
    for example, row in rows.items():
        answers = []
        for column in summary.columns:
            call = calls.get((column, example, 0))
            if call is None:
                answers.append(TrialAnswer(state="missing"))
            elif call.answer is None:
                answers.append(TrialAnswer(state="failed", text=call.message))
            else:
                answer = call.answer
                answers.append(
                    TrialAnswer(
                        state="answered", text=answer.text, tool_calls=answer.tool_calls,
                        cut=answer.finish_reason == "length", tokens=answer.usage.total, latency_s=call.latency_s,
                    )
                )  # fmt: skip
        found.append(TrialRow(id=example, row=row, answers=answers))
    return TrialTable(**msgspec.structs.asdict(summary), rows=found)
