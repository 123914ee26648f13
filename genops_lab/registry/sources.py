"""Understand the name of a source, and reach the hub or another MLflow for its files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import msgspec

from genops_lab.core.errors import InvalidRequest
from genops_lab.experiments.mlflow import without_credentials
from genops_lab.hosts.names import check_secrets

from .backends.hub import HubFiles
from .backends.other_mlflow import MlflowSource
from .models import ImportModel
from .remote import Listing, RemoteFile, RemoteHeader

if TYPE_CHECKING:
    from genops_lab.core.worker import Worker
    from genops_lab.experiments.mlflow import MlflowConnection

HUB = re.compile(r"hf:(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?")
VERSION = re.compile(r"models:/(?P<name>[^/:@]+)(/(?P<version>\d+)|@(?P<alias>[\w-]+))")
_URI = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
#: The hub's own variables for the worker: no progress bars in the Lab's log, no reports.
_HUB_ENVIRONMENT = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_SYMLINKS_WARNING": "1",
}


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A source as the plan of the work keeps it. ``place``: path, repository, model's name or URI.

    ``version`` is the number or alias of a version, or the revision of a repository.
    """

    kind: Literal["path", "hf", "mlflow", "uri"]
    place: str
    version: str = ""
    mlflow: str = ""
    secret: str = ""

    @property
    def shown(self) -> str:
        """The last part of the name, for titles."""
        return self.place.rstrip("/").rpartition("/")[2] or self.place


def parse(body: ImportModel, root: Path) -> Source:
    """Return the source that the user named; a relative path is one below ``root``. Raises InvalidRequest."""
    given = body.source.strip()
    if body.secret:
        check_secrets([body.secret])
    if body.mlflow:
        found = VERSION.fullmatch(given)
        if found is None:
            raise InvalidRequest(
                f"{given[:80]!r} is not a version of another MLflow.",
                hint="Use models:/NAME/VERSION or models:/NAME@ALIAS.",
            )
        _check_address(body.mlflow)
        return Source(
            kind="mlflow",
            place=found["name"],
            version=found["version"] or found["alias"],
            mlflow=body.mlflow.rstrip("/"),
            secret=body.secret,
        )
    if given.startswith("hf:"):
        found = HUB.fullmatch(given)
        if found is None:
            raise InvalidRequest(
                f"{given[:80]!r} is not the name of a repository.", hint="Use hf:ORG/NAME@REVISION."
            )
        return Source(
            kind="hf", place=found["repository"], version=found["revision"] or "", secret=body.secret
        )
    if _URI.match(given) and not given.lower().startswith("file:"):
        if urlsplit(given).password:
            raise InvalidRequest(
                "The URI has a password.", hint="Set the variables that MLflow reads for this store instead."
            )
        return Source(kind="uri", place=given.rstrip("/"))
    return Source(kind="path", place=str(path_below(root, given)))


def _check_address(uri: str) -> None:
    if "@" in urlsplit(uri).netloc or "password" in uri.lower():
        raise InvalidRequest(
            f"The address {without_credentials(uri)} of the other MLflow has credentials.",
            hint="Name a variable of the Lab's environment that has its token: --secret NAME",
        )
    if not _URI.match(uri):
        raise InvalidRequest(
            f"{uri[:80]!r} is not the address of an MLflow.",
            hint="Use the address of its server, such as https://mlflow.example.org.",
        )


def path_below(root: Path, given: str) -> Path:
    """Return a user's path: absolute, or below ``root``. Raises InvalidRequest."""
    if given.lower().startswith("file:"):
        given = urlsplit(given).path
    if not given.strip():
        raise InvalidRequest("No source was given.", hint="Name a folder, a file or hf:ORG/NAME.")
    path = Path(given).expanduser()
    if path.is_absolute():
        return path
    root = root.resolve()
    path = (root / path).resolve()
    if not path.is_relative_to(root):
        raise InvalidRequest(f"{given[:80]!r} is outside of the Lab's folder.", hint="Give an absolute path.")
    return path


class OpenSource:
    """The files of one source, as long as its worker process lives."""

    def __init__(self, source: Source, worker: Worker) -> None:
        self._source = source
        self._worker = worker

    async def list_files(self, allow_code: bool) -> Listing:
        """List the files. Raises NotFound, NotAllowed, Unavailable."""
        source = self._source
        if source.kind == "hf":
            return await self._worker.call(HubFiles.list_files, source.place, source.version, allow_code)
        if source.kind == "mlflow":
            return await self._worker.call(MlflowSource.list_version, source.place, source.version)
        return await self._worker.call(MlflowSource.list_location, source.place)

    async def locate(self, listing: Listing) -> str:
        """Return from where the files are fetched: a commit, or a location that MLflow reads."""
        if self._source.kind == "hf":
            return listing.revision
        if self._source.kind == "mlflow":
            number = listing.uri.rpartition("/")[2]
            return await self._worker.call(MlflowSource.location_of, self._source.place, number)
        return listing.uri

    async def make(self, *, private: bool) -> None:
        """Make the repository, unless it exists. Raises NotAllowed."""
        await self._worker.call(HubFiles.make, self._source.place, private)

    async def push(
        self, folder: Path, names: list[str], message: str, on_progress: Callable[[int], None]
    ) -> str:
        """Upload files of a folder to the repository as one commit, and return the commit. Raises NotAllowed.

        ``on_progress`` gets the bytes that are there.
        """
        return await self._worker.follow(
            on_progress, HubFiles.push, self._source.place, str(folder), names, message
        )

    async def header(self, location: str, file: RemoteFile) -> RemoteHeader:
        """Read the header of a GGUF file of the hub, without its weights."""
        return await self._worker.call(HubFiles.header, self._source.place, location, file)

    async def small_file(self, location: str, path: str) -> bytes:
        """Read a small file of the hub."""
        return await self._worker.call(HubFiles.small_file, self._source.place, location, path)

    async def fetch(
        self, location: str, file: RemoteFile, folder: Path, on_progress: Callable[[int], None]
    ) -> None:
        """Fetch one file into the folder; what is there of it is not fetched again.

        ``on_progress`` gets its bytes so far.
        """
        follow = self._worker.follow
        if self._source.kind == "hf":
            await follow(on_progress, HubFiles.fetch, self._source.place, location, file, str(folder))
        else:
            await follow(on_progress, MlflowSource.fetch, location, file, str(folder))


@contextlib.asynccontextmanager
async def opened(source: Source, mlflow: MlflowConnection) -> AsyncIterator[OpenSource]:
    """Open a source in a process that has no credentials but those for it."""
    if source.kind == "uri":  # a store that this MLflow reads, with its credentials
        await mlflow.ensure()
        yield OpenSource(source, mlflow.transfers)
        return
    worker = _hub(source) if source.kind == "hf" else mlflow.other(source.mlflow, _value(source.secret))
    async with _working(source, worker) as there:
        yield there


@contextlib.asynccontextmanager
async def opened_hub(source: Source) -> AsyncIterator[OpenSource]:
    """Open a repository of the hub, without an MLflow."""
    async with _working(source, _hub(source)) as there:
        yield there


def _hub(source: Source) -> Worker:
    from genops_lab.core.worker import Worker

    token = _value(source.secret)
    return Worker("Hugging Face hub", {}, env={**_HUB_ENVIRONMENT, **({"HF_TOKEN": token} if token else {})})


@contextlib.asynccontextmanager
async def _working(source: Source, worker: Worker) -> AsyncIterator[OpenSource]:
    try:
        yield OpenSource(source, worker)
    except asyncio.CancelledError:
        await worker.stop(0)  # a copy over a slow line would go on for its time
        raise
    finally:
        await worker.stop()


def check_secret(secret: str) -> None:
    """Raise InvalidRequest if a name is given and the Lab has no variable of this name."""
    if secret and not os.environ.get(secret):
        raise InvalidRequest(
            f"The Lab's environment has no variable {secret}.",
            hint="Set the variable before JupyterLab starts, then start JupyterLab again.",
        )


def _value(secret: str) -> str:
    check_secret(secret)
    return os.environ[secret] if secret else ""
