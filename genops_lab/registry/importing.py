"""Register files as a version: durable work that copies them into MLflow, and registers the version last."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import msgspec

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotFound, Unavailable
from genops_lab.core.events import EventBus
from genops_lab.core.formatting import size_of
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings

from .backends.importing import Looked, ModelFiles, SourceFile
from .models import ImportModel, ModelVersion
from .origins import BASE_TAG, PARENT_TAG, SOURCE_TAG, Origin, tag_of
from .service import check_alias, check_name

if TYPE_CHECKING:
    from genops_lab.core.tasks import TaskHandle
    from genops_lab.core.work import Step, WorkService
    from genops_lab.experiments.mlflow import MlflowConnection

    from .service import RegistryService

P = ParamSpec("P")
R = TypeVar("R")

#: The kind of durable work.
KIND = "model_import"
_TRIES, _PAUSE_S = 4, 1.0
_HUB = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
_VERSION = re.compile(r"models:/(?P<name>[^/:@]+)(/(?P<version>\d+)|@(?P<alias>[\w-]+))")


class ModelImports:
    """Registers files of this machine, of the Hugging Face hub and of another MLflow."""

    def __init__(
        self,
        settings: Settings,
        mlflow: MlflowConnection,
        registry: RegistryService,
        work: WorkService,
        events: EventBus,
    ) -> None:
        # Commands need only this class; SQLAlchemy costs 135 ms.
        from genops_lab.core.work import WorkKind

        self._settings = settings
        self._mlflow = mlflow
        self._registry = registry
        self._work = work
        self._events = events
        steps = {"read": self._read, "upload": self._upload, "register": self._register}
        work.register(
            WorkKind(KIND, {name: self._undone(step) for name, step in steps.items()}, self._cancel)
        )

    async def import_model(self, name: str, body: ImportModel) -> Task:
        """Register files as a new version of a model. The task's last step registers the version.

        Raises InvalidRequest if the files are no model, are refused, or run code and ``allow_code`` is not given.
        """
        check_name(name)
        if body.alias:
            check_alias(body.alias)
        source = str(self._path(body.source))
        looked = await self._mlflow.call_transfers(ModelFiles.look, source, body.allow_code)
        base, parent = await self._base(body.base, looked)
        origin = Origin(kind="path", uri=source)
        plan = {
            "name": name,
            "alias": body.alias,
            "source": source,
            "allow_code": body.allow_code,
            "tags": {
                SOURCE_TAG: tag_of(origin),
                **({BASE_TAG: base} if base else {}),
                **({PARENT_TAG: parent} if parent else {}),
            },
        }
        title = f"Register {Path(source).name} as {name}"
        return await self._work.begin(KIND, plan, title=title, subject=f"model:{name}:{source}")

    async def get_import(self, name: str, task: str) -> ModelVersion:
        """Return the version that an import registered. Raises NotFound until then."""
        check_name(name)
        found = await self._mlflow.call_transfers(ModelFiles.registered_with, name, task)
        if found is None:
            raise NotFound(
                f"The task {task[:40]!r} registered no version of {name!r}.",
                hint="The panel's tasks say how far it is, or why it failed.",
            )
        return found

    async def _read(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> dict[str, Any]:
        """Judge the files again, and hash them."""
        handle.progress(f"Reading {plan['source']}.", 0.0)
        looked = await self._mlflow.call_transfers(ModelFiles.look, plan["source"], plan["allow_code"])
        files = [
            await self._mlflow.call_transfers(ModelFiles.hashed, looked.root, each) for each in looked.files
        ]
        return {"root": looked.root, "files": msgspec.to_builtins(files)}

    async def _upload(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Copy the files that the run does not have yet."""
        files = msgspec.convert(data["files"], list[SourceFile])
        title = f"{plan['name']} from {Path(plan['source']).name}"
        run = await self._tried(handle, ModelFiles.begin, handle.id, title, plan["tags"])
        there = await self._tried(handle, ModelFiles.present, run)
        whole = sum(each.size for each in files) or 1
        done = 0
        for number, file in enumerate(files, 1):
            if there.get(file.path) != file.size:
                shown = f"{number} of {len(files)}: {file.path}, {size_of(file.size)}"
                handle.progress(f"Copying file {shown}.", done / whole)
                await self._tried(handle, ModelFiles.upload, run, data["root"], file)
            done += file.size
        return {**data, "run": run}

    async def _register(
        self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        handle.progress("Registering the version.", 1.0)
        files = msgspec.convert(data["files"], list[SourceFile])
        await self._work.hold(handle)
        version = await self._tried(
            handle, ModelFiles.finish, handle.id, data["run"], plan["name"], files, plan["tags"]
        )
        self._events.emit("model", plan["name"])
        await self._registry.aliased(version, plan["alias"])
        return {"message": f"{plan['name']} version {version.version} is registered."}

    async def _cancel(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> None:
        """Delete the run and its files, unless the version is registered."""
        try:
            await self._mlflow.call_transfers(ModelFiles.undo, handle.id)
        except GenOpsError as error:
            handle.say(f"The files that were copied so far stay in MLflow. {error.message}")

    def _undone(self, step: Step) -> Step:
        """Return the step with an undo where it fails."""

        async def undone(handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
            try:
                return await step(handle, plan, data)
            except GenOpsError:
                await self._cancel(handle, plan, data)
                raise

        return undone

    async def _tried(
        self,
        handle: TaskHandle,
        method: Callable[Concatenate[Any, P], R],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Call the worker again if MLflow does not answer: lines break in long copies."""
        for left in reversed(range(_TRIES)):
            try:
                return await self._mlflow.call_transfers(method, *args, **kwargs)
            except Unavailable as error:
                if not left:
                    raise
                handle.say(f"{error.message} Trying again.")
                await asyncio.sleep(_PAUSE_S * 2 ** (_TRIES - 1 - left))
        raise AssertionError  # the loop returns or raises

    async def _base(self, given: str, looked: Looked) -> tuple[str, str]:
        """Return the base model as a tag's value, and the version that it is, if it is one."""
        stated = looked.facts.base_model
        is_adapter = looked.facts.architecture.endswith("adapter")
        if not given and is_adapter and not stated:
            raise InvalidRequest(
                "The adapter does not name its base model.",
                hint="Name it: --base hf:ORG/NAME, or --base models:/NAME/VERSION",
            )
        if not given:
            hub = _HUB.fullmatch(f"hf:{stated}")
            return (f"hf:{stated}" if hub else stated, "")
        if _HUB.fullmatch(given):
            return given, ""
        found = _VERSION.fullmatch(given)
        if found is None:
            raise InvalidRequest(
                f"{given[:80]!r} is not the name of a base model.",
                hint="Use hf:ORG/NAME@REVISION, models:/NAME/VERSION or models:/NAME@ALIAS.",
            )
        name = found["name"]
        version = await self._registry.resolve(name, found["version"] or found["alias"])
        return f"models:/{name}/{version.version}", f"models:/{name}/{version.version}"

    def _path(self, given: str) -> Path:
        """Return a user's path: absolute, or below the Lab's folder. Raises InvalidRequest."""
        if not given.strip():
            raise InvalidRequest("No source was given.", hint="Name a folder, a file or hf:ORG/NAME.")
        root = (self._settings.root_dir or Path.cwd()).resolve()
        path = Path(given).expanduser()
        if path.is_absolute():
            return path
        path = (root / path).resolve()
        if not path.is_relative_to(root):
            raise InvalidRequest(
                f"{given[:80]!r} is outside of the Lab's folder.", hint="Give an absolute path."
            )
        return path
