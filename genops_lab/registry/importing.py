"""Register files as a version: durable work that copies them into MLflow, and registers the version last."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import msgspec

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings

from .backends.file_copies import cannot_write
from .backends.hub import CACHE
from .backends.importing import ModelFiles, SourceFile
from .files.models import ModelFacts
from .models import ImportModel, ModelVersion
from .origins import BASE_TAG, PARENT_TAG, SOURCE_TAG, Origin, tag_of
from .remote import Listing
from .service import check_alias, check_name
from .sources import HUB, VERSION, Source, opened, parse
from .transfers import Progress, again
from .unfinished import check_room, size_below

if TYPE_CHECKING:
    from genops_lab.core.tasks import TaskHandle
    from genops_lab.core.work import Step, WorkService
    from genops_lab.experiments.mlflow import MlflowConnection

    from .service import RegistryService

P = ParamSpec("P")
R = TypeVar("R")

#: The kind of durable work.
KIND = "model_import"
_SHOWN = 5


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
        steps = {
            "fetch": self._fetch,
            "read": self._read,
            "upload": self._upload,
            "register": self._register,
        }
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
        source = parse(body, self._settings.root_dir or Path.cwd())
        base, parent = await self._given_base(body.base)
        listing = None
        if source.kind == "path":
            looked = await self._mlflow.call_transfers(ModelFiles.look, source.place, body.allow_code)
            base = base or _stated_base(looked.facts)
            origin = Origin(kind="path", uri=source.place)
        else:
            listing = await self._list(source, body.allow_code)
            origin = Origin(
                kind=source.kind,
                uri=listing.uri,
                revision=listing.revision,
                mlflow=source.mlflow,
                run=listing.lineage.run if listing.lineage else "",
            )
        plan = {
            "name": name,
            "alias": body.alias,
            "source": msgspec.to_builtins(source),
            "allow_code": body.allow_code,
            "listing": msgspec.to_builtins(listing),
            "tags": {
                SOURCE_TAG: tag_of(origin),
                **({BASE_TAG: base} if base else {}),
                **({PARENT_TAG: parent} if parent else {}),
            },
        }
        title = f"Register {source.shown} as {name}"
        return await self._work.begin(KIND, plan, title=title, subject=f"model:{name}:{source.place}")

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

    async def _list(self, source: Source, allow_code: bool) -> Listing:
        async with opened(source, self._mlflow) as there:
            listing = await there.list_files(allow_code)
        if not listing.files:
            shown = ", ".join(listing.left_out[:_SHOWN])
            raise InvalidRequest(
                f"{listing.uri} has no files that are known to be data: {shown}.",
                code="runs_code",
                hint="If you trust who made the files, allow files that run code: --allow-code.",
            )
        return listing

    async def _fetch(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> dict[str, Any]:
        """Fetch the files of a source on another machine into a folder of this one."""
        source = msgspec.convert(plan["source"], Source)
        if source.kind == "path":
            return {"place": source.place}
        listing, folder = msgspec.convert(plan["listing"], Listing), self._folder(handle)
        whole = sum(each.size or 0 for each in listing.files)
        await asyncio.to_thread(_make_room, folder, whole)
        if listing.left_out:
            shown = ", ".join(listing.left_out[:_SHOWN])
            handle.say(f"Files that may run code are left out ({len(listing.left_out)}): {shown}.")
        progress, done = Progress(handle, whole, (0.0, 0.5)), 0
        async with opened(source, self._mlflow) as there:
            location = await again(handle, lambda: there.locate(listing))
            for number, file in enumerate(listing.files, 1):
                progress.begin(f"Fetching file {number} of {len(listing.files)}: {file.path}", done)
                await again(
                    handle,
                    lambda file=file: there.fetch(location, file, folder, progress.show),  # type: ignore[misc]
                    progress,
                )
                done += file.size or 0
        await asyncio.to_thread(shutil.rmtree, folder / CACHE, True)
        return {"place": str(folder), "fetched": True}

    async def _read(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Judge the files, and hash them."""
        source = msgspec.convert(plan["source"], Source)
        handle.progress(f"Reading {source.shown}.", 0.5 if data.get("fetched") else 0.0)
        looked = await self._mlflow.call_transfers(
            ModelFiles.look, data["place"], plan["allow_code"], source.shown
        )
        base = plan["tags"].get(BASE_TAG) or _stated_base(looked.facts)
        files = [
            await self._mlflow.call_transfers(ModelFiles.hashed, looked.root, each) for each in looked.files
        ]
        return {
            **data,
            "root": looked.root,
            "files": msgspec.to_builtins(files),
            "tags": {**plan["tags"], **({BASE_TAG: base} if base else {})},
        }

    async def _upload(self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Copy the files that the run does not have yet."""
        files = msgspec.convert(data["files"], list[SourceFile])
        listing = msgspec.convert(plan["listing"], Listing | None)
        title = f"{plan['name']} from {msgspec.convert(plan['source'], Source).shown}"
        run = await self._tried(
            handle, ModelFiles.begin, handle.id, title, data["tags"], listing.lineage if listing else None
        )
        there = await self._tried(handle, ModelFiles.present, run)
        progress = Progress(
            handle, sum(each.size for each in files), (0.5 if data.get("fetched") else 0.0, 1.0)
        )
        done = 0
        for number, file in enumerate(files, 1):
            if there.get(file.path) != file.size:
                progress.begin(f"Copying file {number} of {len(files)}: {file.path}", done)
                await again(
                    handle,
                    lambda file=file: self._mlflow.follow_transfers(  # type: ignore[misc]
                        progress.show, ModelFiles.upload, run, data["root"], file
                    ),
                    progress,
                )
            done += file.size
        return {**data, "run": run}

    async def _register(
        self, handle: TaskHandle, plan: dict[str, Any], data: dict[str, Any]
    ) -> dict[str, Any]:
        handle.progress("Registering the version.", 1.0)
        files = msgspec.convert(data["files"], list[SourceFile])
        listing = msgspec.convert(plan["listing"], Listing | None)
        await self._work.hold(handle)
        version = await self._tried(
            handle, ModelFiles.finish, handle.id, data["run"], plan["name"], files, data["tags"],
            listing.description if listing else "",
        )  # fmt: skip
        self._events.emit("model", plan["name"])
        await asyncio.to_thread(shutil.rmtree, self._folder(handle), True)
        await self._registry.aliased(version, plan["alias"])
        return {"message": f"{plan['name']} version {version.version} is registered."}

    async def _cancel(self, handle: TaskHandle, plan: dict[str, Any], _data: dict[str, Any]) -> None:
        """Delete the run and all copies, unless the version is registered."""
        await asyncio.to_thread(shutil.rmtree, self._folder(handle), True)
        try:
            await self._mlflow.call_transfers(ModelFiles.undo, handle.id)
        except GenOpsError as error:
            handle.say(f"The files that were copied so far stay in MLflow. {error.message}")

    def _folder(self, handle: TaskHandle) -> Path:
        return self._mlflow.scratch / f"import-{handle.id}"

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
        return await again(handle, lambda: self._mlflow.call_transfers(method, *args, **kwargs))

    async def _given_base(self, given: str) -> tuple[str, str]:
        """Return the base model as a tag's value, and the version that it is, if it is one."""
        if not given or HUB.fullmatch(given):
            return given, ""
        found = VERSION.fullmatch(given)
        if found is None:
            raise InvalidRequest(
                f"{given[:80]!r} is not the name of a base model.",
                hint="Use hf:ORG/NAME@REVISION, models:/NAME/VERSION or models:/NAME@ALIAS.",
            )
        version = await self._registry.resolve(found["name"], found["version"] or found["alias"])
        parent = f"models:/{found['name']}/{version.version}"
        return parent, parent


def _stated_base(facts: ModelFacts) -> str:
    """Return the base model that the files name. Raises InvalidRequest for an adapter that names none."""
    stated = facts.base_model
    if facts.architecture.endswith("adapter") and not stated:
        raise InvalidRequest(
            "The adapter does not name its base model.",
            hint="Name it: --base hf:ORG/NAME, or --base models:/NAME/VERSION",
        )
    return f"hf:{stated}" if HUB.fullmatch(f"hf:{stated}") else stated


def _make_room(folder: Path, size: int) -> None:
    """Make the folder. Raises Failed if the disk has less room than the files need, or cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_room(folder, size - size_below(folder))
    except OSError as error:
        raise cannot_write("the fetched files", error, f"the folder {folder}") from error
