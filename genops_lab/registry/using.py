"""Pull a version's files into a folder, write the code that loads it, and describe models and versions."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict, Failed, InvalidRequest
from genops_lab.core.events import EventBus
from genops_lab.core.formatting import size_of
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings

from .backends.describing import MlflowDescriptions
from .backends.other_mlflow import MlflowSource
from .loading_code import loading_code
from .models import (
    Describe,
    ImportModel,
    LoadingCode,
    ModelVersion,
    PullModel,
    PushModel,
    RegisteredModel,
)
from .remote import RemoteFile
from .service import check_name
from .sources import check_secret, opened, parse, path_below

if TYPE_CHECKING:
    from genops_lab.core.tasks import TaskHandle, TasksService
    from genops_lab.experiments.mlflow import MlflowConnection

    from .service import RegistryService

MAX_DESCRIPTION = 5_000
MAX_KEY, MAX_VALUE = 250, 5_000
#: Beginnings of tags that programs keep.
_RESERVED = ("genops.", "mlflow.")


class ModelUses:
    """Pulls versions, writes the code that loads them, and describes models and versions."""

    def __init__(
        self,
        settings: Settings,
        mlflow: MlflowConnection,
        registry: RegistryService,
        tasks: TasksService,
        events: EventBus,
    ) -> None:
        self._settings = settings
        self._mlflow = mlflow
        self._registry = registry
        self._tasks = tasks
        self._events = events

    async def pull_version(self, name: str, body: PullModel) -> Task:
        """Copy the files of a version into a new folder of the Lab's machine. The folder appears whole.

        Raises NotFound; Conflict if the folder exists and is not empty.
        """
        version = await self._registry.resolve(name, body.version)
        folder = path_below(self._settings.root_dir or Path.cwd(), body.folder)
        await asyncio.to_thread(_check_new, folder)

        async def pull(handle: TaskHandle) -> str:
            return await self._pull(handle, version, folder)

        title = f"Pull {name} version {version.version}"
        return self._tasks.start(title, pull, subject=f"model:{name}", kind="model_pull")

    async def push_version(self, name: str, body: PushModel) -> Task:
        """Upload the files of a version to a repository of the Hugging Face hub, as one commit.

        Raises NotFound, and InvalidRequest for another target or a variable that is not set.
        """
        source = parse(ImportModel(source=body.target, secret=body.secret), Path.cwd())
        if source.kind != "hf" or source.version:
            raise InvalidRequest(
                f"{body.target[:80]!r} is not the name of a repository.", hint="Use hf:ORG/NAME."
            )
        check_secret(body.secret)
        version = await self._registry.resolve(name, body.version)

        async def push(handle: TaskHandle) -> str:
            scratch = self._mlflow.scratch / f"push-{handle.id}"
            try:
                await self._fetched(handle, version, scratch, 0.5)
                handle.progress(f"Uploading to {source.place}.", 0.5)
                message = f"{name} version {version.version}"
                async with opened(source, self._mlflow) as hub:
                    commit = await hub.push(scratch, message, private=body.private)
            finally:
                await asyncio.to_thread(shutil.rmtree, scratch, True)
            return f"{message} is at hf:{source.place}, commit {commit[:12]}."

        title = f"Push {name} version {version.version} to {source.place}"
        return self._tasks.start(title, push, subject=f"model:{name}", kind="model_push")

    async def _pull(self, handle: TaskHandle, version: ModelVersion, folder: Path) -> str:
        scratch = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        try:
            files = await self._fetched(handle, version, scratch, 1.0)
            await asyncio.to_thread(scratch.rename, folder)
        except OSError as error:
            raise Failed(
                f"Cannot write {folder}: {error.strerror}.", hint="Check the disk and the rights."
            ) from error
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, True)
        hashed = all(each.sha256 for each in files)
        checked = "hashes are right" if hashed else "sizes are right, no hashes are kept"
        size = size_of(sum(each.size or 0 for each in files))
        place = f"{version.name} version {version.version} is in {folder}"
        return f"{place}: {len(files)} files, {size}; {checked}."

    async def _fetched(
        self, handle: TaskHandle, version: ModelVersion, folder: Path, share: float
    ) -> list[RemoteFile]:
        """Copy the files of a version into a new folder, and return them. Raises OSError."""
        call = self._mlflow.call_transfers
        listing = await call(MlflowSource.list_version, version.name, version.version)
        location = await call(MlflowSource.location_of, version.name, version.version)
        whole, done = sum(each.size or 0 for each in listing.files) or 1, 0
        await asyncio.to_thread(folder.mkdir, parents=True)
        for at, file in enumerate(listing.files, 1):
            handle.progress(f"Copying file {at} of {len(listing.files)}: {file.path}.", share * done / whole)
            await call(MlflowSource.fetch, location, file, str(folder))
            done += file.size or 0
        return listing.files

    async def get_loading_code(self, name: str, version: str) -> LoadingCode:
        """Return Python code that loads a version, or the ``latest``, by the format of its files."""
        found = await self._registry.resolve(name, "" if version == "latest" else version)
        facts = await self._registry.get_version_facts(name, found.version)
        tracking = self._mlflow.shown_uri if self._mlflow.kind == "remote" else ""
        base = found.base_model or facts.base_model
        return LoadingCode(code=loading_code(f"models:/{name}/{found.version}", tracking, facts, base))

    async def describe_model(self, name: str, body: Describe) -> RegisteredModel:
        """Change the description and the tags of a model. Raises NotFound, InvalidRequest, Conflict."""
        check_name(name)
        _check(body)
        found = await self._mlflow.call(MlflowDescriptions.describe_model, name, body)
        self._events.emit("model", name)
        return found

    async def describe_version(self, name: str, version: str, body: Describe) -> ModelVersion:
        """Change the notes (MLflow's description) and the tags of a version.

        Raises NotFound, InvalidRequest, Conflict.
        """
        check_name(name)
        _check(body)
        found = await self._mlflow.call(MlflowDescriptions.describe_version, name, version, body)
        self._events.emit("model", name)
        return found


def _check(body: Describe) -> None:
    if body.description is not None and len(body.description) > MAX_DESCRIPTION:
        raise InvalidRequest(
            f"The description has {len(body.description):,} characters.",
            hint=f"Use at most {MAX_DESCRIPTION:,}; longer texts belong into the model card.",
        )
    for key in (*body.tags, *body.untag):
        if not key.strip() or len(key) > MAX_KEY or key.startswith(_RESERVED):
            raise InvalidRequest(
                f"{key[:60]!r} is not a tag that you can change.",
                hint=f"Use 1 to {MAX_KEY} characters. Tags that begin with genops. or mlflow. belong to programs.",
            )
    for key, value in body.tags.items():
        if len(value) > MAX_VALUE:
            raise InvalidRequest(
                f"The tag {key!r} has {len(value):,} characters.", hint=f"Use at most {MAX_VALUE:,}."
            )


def _check_new(folder: Path) -> None:
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise Conflict(
                f"{folder} exists and is not empty.", hint="Name a new folder; the files appear in it."
            )
    except OSError as error:
        raise InvalidRequest(
            f"Cannot read {folder}: {error.strerror}.", hint="Name a folder that you may write."
        ) from error
