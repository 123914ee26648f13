"""Evaluate versions on data sets, and list what was found."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError, InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.paging import Page
from genops_lab.core.paths import private_dir
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.core.tasks import TaskHandle
from genops_lab.registry.models import ModelVersion

from .backends.data_sets import ROWS, EvaluationData
from .backends.records import EvaluationRecords
from .loading import CheckedVersion, ModelLoading
from .models import (
    BegunEvaluation,
    DataSet,
    Evaluation,
    EvaluationReport,
    EvaluationsQuery,
    LoggedPredictions,
    NewEvaluation,
    ReportQuery,
)
from .processes import ModelSpec, PlannedModel, Rows, predict_in_turn

if TYPE_CHECKING:
    from genops_lab.core.work import WorkService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.hosts.service import TargetsService
    from genops_lab.registry.service import RegistryService

    from .on_target import TargetEvaluations

#: The kind of durable work; its subject is ``evaluation:<model>/<version>``.
KIND = "evaluation"
CHAMPION = "champion"
MOST_BATCH_ROWS = 100_000
_LEFT_S = 7 * 86400.0

_ANY = EvaluationsQuery()
_AS_EVALUATED = ReportQuery()


class EvaluationsService(Service):
    """Evaluate versions in processes of their own; the results are runs of MLflow.

    Durable work evaluates: if JupyterLab ends meanwhile, the next one continues with the batches that are missing.
    """

    def __init__(
        self,
        settings: Settings,
        mlflow: MlflowConnection,
        registry: RegistryService,
        loading: ModelLoading,
        events: EventBus,
        work: WorkService,
        targets: TargetsService | None = None,
    ) -> None:
        """Without ``targets``, models run on this machine alone."""
        # Imported late: the table of routes needs only this class, and SQLAlchemy costs 135 ms.
        from genops_lab.core.work import WorkKind

        self._root = settings.data_dir / "evaluations"
        self._mlflow = mlflow
        self._registry = registry
        self._loading = loading
        self._events = events
        self._work = work
        self._files = settings.root_dir
        self._targets, self._data_dir = targets, settings.data_dir
        steps = {"prepare": self._prepare, "predict": self._predict, "record": self._record}
        work.register(
            WorkKind(KIND, {name: self._cleaning(step) for name, step in steps.items()}, self._remove)
        )

    async def evaluate(self, body: NewEvaluation) -> BegunEvaluation:
        """Evaluate a version, and the version that it is compared with, on the same rows. A task reports the progress.

        Raises Conflict (``confirmation_needed``) for files of an unknown origin: ``details`` has the checks.
        """
        if not 1 <= body.batch_rows <= MOST_BATCH_ROWS:
            raise InvalidRequest(
                f"batch_rows is {body.batch_rows}.", hint=f"Give 1 to {MOST_BATCH_ROWS:,} rows."
            )
        if body.on:
            await self._on_target().check(body.on)
        body = msgspec.structs.replace(body, data=await asyncio.to_thread(self._located, body.data))
        versions = await self._versions(body.model, body.version, body.against)
        data = await self._mlflow.call(EvaluationData.find, body.data, body.name)
        checks = [await self._loading.check(each) for each in versions]
        _refuse_unconfirmed(checks, body.trust)
        plan = {
            "body": msgspec.to_builtins(body),
            "digest": data.digest,
            "versions": [_planned(each) for each in checks],
        }
        names = [each.version for each in versions]
        where = f" on the target {body.on}" if body.on else ""
        title = f"Evaluate {body.model} version {' against '.join(names)} on {data.name}{where}"
        await asyncio.to_thread(self._remove_left)
        subject = f"evaluation:{body.model}/{names[0]}"
        task = await self._work.begin(KIND, plan, title=title, subject=subject)
        against = names[1] if len(names) > 1 else ""
        return BegunEvaluation(task=task, model=body.model, version=names[0], against=against)

    async def log_predictions(self, body: LoggedPredictions) -> EvaluationReport:
        """Keep predictions that a person computed, as an evaluation of the version."""
        versions = await self._versions(body.model, body.version, body.against)
        against = versions[1] if len(versions) > 1 else None
        found = await self._mlflow.call_long(
            EvaluationRecords.record_logged, body.key or secrets.token_hex(8), body, versions[0], against
        )
        self._events.emit("evaluation", found.evaluation.run_id)
        return found

    async def list_evaluations(self, query: EvaluationsQuery = _ANY) -> Page[Evaluation]:
        """List evaluations, newest first."""
        return await self._mlflow.call(EvaluationRecords.page, query)

    async def get_evaluation(self, run_id: str, query: ReportQuery = _AS_EVALUATED) -> EvaluationReport:
        """Return an evaluation with its differences to another version on the same data."""
        return await self._mlflow.call_long(EvaluationRecords.report, run_id, query.against)

    async def list_version_evaluations(self, name: str, version: str) -> list[EvaluationReport]:
        """Return the newest evaluation of a version on each data set, at most 20."""
        return await self._mlflow.call(EvaluationRecords.of_version, name, version)

    def _located(self, data: str) -> str:
        """Return the absolute path of a file that is named below the home or the Jupyter server's folder."""
        if data.startswith("~/"):
            return str(Path(data).expanduser())
        file = None if self._files is None or "\0" in data else self._files / data
        return str(file) if file is not None and file.is_file() else data

    async def _versions(self, model: str, version: str, against: str | None) -> list[ModelVersion]:
        """Return the candidate and, if there is another one, the version that it is compared with."""
        candidate = await self._registry.resolve(model, version)
        try:
            rival = None if against == "" else await self._registry.resolve(model, against or CHAMPION)
        except NotFound:
            if against is not None:
                raise
            rival = None
        if rival is not None and rival.version == candidate.version:
            if against:
                raise InvalidRequest(
                    f"{model} version {candidate.version} cannot be compared with itself.",
                    hint="Give another version with --against, or --alone.",
                )
            rival = None
        return [candidate] if rival is None else [candidate, rival]

    # The steps of the durable work ---------------------------------------------------------------------------------

    async def _prepare(
        self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]
    ) -> dict[str, Any]:
        """Read and check the data, and fetch each model with its environment."""
        body = msgspec.convert(plan["body"], NewEvaluation)
        folder = self._folder(handle)
        await asyncio.to_thread(private_dir, folder)
        handle.progress(f"Reading {body.data}.")
        columns = DataSet(
            name="", digest="", source_type="", source="", id=body.id, label=body.label, groups=body.groups
        )
        data = await self._mlflow.call_long(
            EvaluationData.prepare, body.data, body.name, columns, str(folder)
        )
        if data.digest != plan["digest"]:
            raise Failed(f"{data.name} changed while it was read.", hint="Evaluate again once it is written.")
        versions = [msgspec.convert(each["version"], ModelVersion) for each in plan["versions"]]
        await self._mlflow.call(EvaluationRecords.claim, data.digest, versions)
        found: dict[str, Any] = {"data": msgspec.to_builtins(data), "interpreters": [], "command": []}
        for at, (planned, version) in enumerate(zip(plan["versions"], versions, strict=True)):
            handle.progress(f"Fetching version {version.version}.")
            out = private_dir(folder / f"model-{at}")
            if not (out / "model").exists():
                taken = await self._loading.take(version, planned["digest"], tuple(planned["stamp"]))
                taken.rename(out / "model")
            if not body.on:
                handle.progress(f"Preparing the environment of version {version.version}.")
                found["interpreters"].append(str(await self._loading.interpreter(out / "model", handle.say)))
        if body.on:
            session = {"rows": data.rows, "left_out": _left_out(data), "batch_rows": body.batch_rows}
            models = self._models(handle, plan)
            found["command"] = await self._on_target().prepare(handle, body.on, folder, session, models)
        return found

    async def _predict(
        self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        body, rows = msgspec.convert(plan["body"], NewEvaluation), msgspec.convert(data["data"], DataSet)
        folder = self._folder(handle)
        handle.progress("Loading the models.")
        if body.on:
            models = self._models(handle, plan)
            await self._on_target().predict(handle, body.on, data["command"], models, rows.rows)
            return data
        specs = [
            ModelSpec(
                name=each.name,
                model=str(each.folder / "model"),
                interpreter=interpreter,
                environment=self._loading.environment(each.allow_pickle),
                out=str(each.folder),
            )
            for each, interpreter in zip(self._models(handle, plan), data["interpreters"], strict=True)
        ]
        given = Rows(str(folder / ROWS), rows.rows, _left_out(rows), body.batch_rows)
        await predict_in_turn(specs, given, progress=handle.progress, say=handle.say)
        return data

    async def _record(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        body = msgspec.convert(plan["body"], NewEvaluation)
        versions = [msgspec.convert(each["version"], ModelVersion) for each in plan["versions"]]
        rows = msgspec.convert(data["data"], DataSet)
        handle.progress("Writing the evaluation into MLflow.")
        await self._work.hold(handle)
        kept = await self._mlflow.call_long(
            EvaluationRecords.record,
            handle.id,
            str(self._folder(handle)),
            rows,
            versions,
            body.batch_rows,
            body.task,
            body.on,
        )
        await self._remove(handle, plan, data)
        for each in kept:
            self._events.emit("evaluation", each.run_id)
        shown = (
            f"{body.model} version {versions[0].version} is evaluated on {rows.rows:,} rows of {rows.name}."
        )
        return {"message": shown}

    async def _remove(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> None:
        if on := plan["body"].get("on"):
            await self._on_target().remove(handle, on)
        await asyncio.to_thread(shutil.rmtree, self._folder(handle), ignore_errors=True)

    def _cleaning(
        self, step: Callable[[TaskHandle, dict[str, Any], dict[str, Any]], Awaitable[dict[str, Any]]]
    ) -> Callable[[TaskHandle, dict[str, Any], dict[str, Any]], Awaitable[dict[str, Any]]]:
        """Return the step, which removes what the evaluation left if it fails."""
        from genops_lab.core.store.work import OldToken

        async def cleaned(handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
            try:
                return await step(handle, plan, data)
            except OldToken:  # another Lab goes on with these files
                raise
            except GenOpsError:
                await self._remove(handle, plan, data)
                raise
            except OSError as error:
                await self._remove(handle, plan, data)
                raise Failed(
                    f"The files of the evaluation cannot be written: {error.strerror or error}.",
                    hint="Free some disk space, then evaluate again.",
                ) from error

        return cleaned

    def _on_target(self) -> TargetEvaluations:
        from .on_target import TargetEvaluations

        if self._targets is None:
            raise InvalidRequest("This Lab has no targets.", hint="Evaluate on this machine: leave out --on.")
        return TargetEvaluations(self._targets, self._loading, self._data_dir)

    def _models(self, handle: TaskHandle, plan: dict[str, Any]) -> list[PlannedModel]:
        return [
            PlannedModel(
                f"{planned['version']['name']} version {planned['version']['version']}",
                self._folder(handle) / f"model-{at}",
                planned["allow_pickle"],
            )
            for at, planned in enumerate(plan["versions"])
        ]

    def _folder(self, handle: TaskHandle) -> Path:
        return self._root / handle.id

    def _remove_left(self) -> None:
        """Remove folders that a lost evaluation left a week ago."""
        private_dir(self._root)
        for folder in self._root.iterdir():
            if not folder.name.startswith(".") and folder.stat().st_mtime < time.time() - _LEFT_S:
                shutil.rmtree(folder, ignore_errors=True)


def _left_out(data: DataSet) -> list[str]:
    """Return the columns that no model gets."""
    return [each for each in (data.id, *data.groups) if each]


def _planned(checked: CheckedVersion) -> dict[str, Any]:
    return {
        "version": msgspec.to_builtins(checked.version),
        "digest": checked.digest,
        "stamp": list(checked.stamp),
        "allow_pickle": checked.allow_pickle,
    }


def _refuse_unconfirmed(checks: list[CheckedVersion], trust: list[str]) -> None:
    """Raise Conflict for files that may not be loaded, and for those of an unknown origin that are not confirmed."""
    for each in checks:
        if each.refused:
            raise Conflict(each.refused, code="model_refused", details={"checks": [each.shown]})
    asked = [each for each in checks if not each.trusted and each.digest not in trust]
    if not asked:
        return
    named = " and ".join(f"version {each.version.version}" for each in asked)
    needs = "need" if len(asked) > 1 else "needs"
    digests = " ".join(f"--trust {each.digest}" for each in asked)
    raise Conflict(
        f"{asked[0].version.name} {named} {needs} your confirmation. {asked[0].shown['title']} "
        f"{asked[0].shown['reason']}",
        hint=f"{asked[0].shown['advice']} To evaluate it, add {digests}",
        code="confirmation_needed",
        details={"checks": [each.shown for each in asked]},
    )
