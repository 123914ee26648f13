"""Pull a version's files into a folder, write the code that loads it, and describe models and versions."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict, InvalidRequest
from genops_lab.core.events import EventBus
from genops_lab.core.formatting import size_of
from genops_lab.core.models import Task
from genops_lab.core.settings import Settings

from .backends.describing import MlflowDescriptions
from .backends.file_copies import cannot_write
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
from .sources import Source, check_secret, opened, parse, path_below
from .transfers import Progress, again
from .unfinished import About, Unfinished, check_room, pull_into, pulls_of, push_from, size_below

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

        A pull that was cut off goes on where it was. Raises NotFound; Conflict if the folder exists and is not empty.
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

        Large files that arrived before a push was cut off are not uploaded again. Raises NotFound, and InvalidRequest
        for another target or a variable that is not set.
        """
        source = parse(ImportModel(source=body.target, secret=body.secret), Path.cwd())
        if source.kind != "hf" or source.version:
            raise InvalidRequest(
                f"{body.target[:80]!r} is not the name of a repository.", hint="Use hf:ORG/NAME."
            )
        check_secret(body.secret)
        version = await self._registry.resolve(name, body.version)

        async def push(handle: TaskHandle) -> str:
            return await self._push(handle, version, source, private=body.private)

        title = f"Push {name} version {version.version} to {source.place}"
        return self._tasks.start(title, push, subject=f"model:{name}", kind="model_push")

    async def _pull(self, handle: TaskHandle, version: ModelVersion, folder: Path) -> str:
        copy = pull_into(folder, pulls_of(self._settings.data_dir))
        about = self._about(version, str(folder))
        command = shlex.join(
            ["genops", "models", "pull", version.name, str(folder), "--version", version.version]
        )
        async with _kept(handle, copy, about, command):
            files = await self._fetched(handle, version, copy.files, (0.0, 1.0))
            await asyncio.to_thread(copy.put, folder, {each.path for each in files})
        hashed = all(each.sha256 for each in files)
        checked = "hashes are right" if hashed else "sizes are right, no hashes are kept"
        size = size_of(sum(each.size or 0 for each in files))
        place = f"{version.name} version {version.version} is in {folder}"
        return f"{place}: {len(files)} files, {size}; {checked}."

    async def _push(self, handle: TaskHandle, version: ModelVersion, target: Source, *, private: bool) -> str:
        about = self._about(version)
        copy = push_from(self._mlflow.scratch, about)
        command = shlex.join(
            ["genops", "models", "push", version.name, f"hf:{target.place}", "--version", version.version]
            + (["--secret", target.secret] if target.secret else [])
            + ([] if private else ["--public"])
        )
        async with _kept(handle, copy, about, command):
            async with opened(target, self._mlflow) as hub:
                # Before anything is copied: it fails where the token may not write.
                await hub.make(private=private)
                files = await self._fetched(handle, version, copy.files, (0.0, 0.5))
                progress = Progress(handle, sum(each.size or 0 for each in files), (0.5, 1.0))
                progress.begin(f"Uploading to hf:{target.place}", 0)
                message = f"{version.name} version {version.version}"
                names = sorted(each.path for each in files)
                commit = await again(
                    handle, lambda: hub.push(copy.files, names, message, progress.show), progress
                )
            await asyncio.to_thread(copy.delete)
        return f"{message} is at hf:{target.place}, commit {commit[:12]}."

    def _about(self, version: ModelVersion, folder: str = "") -> About:
        return About(
            model=version.name, version=version.version, mlflow=self._mlflow.shown_uri, folder=folder
        )

    async def _fetched(
        self, handle: TaskHandle, version: ModelVersion, folder: Path, share: tuple[float, float]
    ) -> list[RemoteFile]:
        """Copy the files of a version that are not in the folder yet, and return them all. Raises OSError."""
        call = self._mlflow.call_transfers
        listing = await call(MlflowSource.list_version, version.name, version.version)
        location = await call(MlflowSource.location_of, version.name, version.version)
        whole, done = sum(each.size or 0 for each in listing.files), 0
        there = await asyncio.to_thread(size_below, folder)
        await asyncio.to_thread(check_room, folder, whole - there)
        if there:
            handle.say(f"{size_of(there)} of {size_of(whole)} are there from before.")
        progress = Progress(handle, whole, share)
        for at, file in enumerate(listing.files, 1):
            progress.begin(f"Copying file {at} of {len(listing.files)}: {file.path}", done)
            await again(
                handle,
                lambda file=file: self._mlflow.follow_transfers(  # type: ignore[misc]
                    progress.show, MlflowSource.fetch, location, file, str(folder)
                ),
                progress,
            )
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


@contextlib.asynccontextmanager
async def _kept(handle: TaskHandle, copy: Unfinished, about: About, command: str) -> AsyncIterator[None]:
    """Work on an unfinished copy; keep what is there if the work does not end, and say how to go on."""
    try:
        await asyncio.to_thread(copy.open, about)
        yield
    except OSError as error:
        raise cannot_write(about.folder or "a copy of the files", error) from error
    finally:
        there = await asyncio.to_thread(copy.close)
        if there:
            handle.say(f"{size_of(there)} are kept. To go on: {command}")
            handle.say("To delete them: genops models free-space")


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
