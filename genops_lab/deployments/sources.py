"""Resolve what a revision serves: a registered version, a repository of the hub, files of this machine, or a command.

A revision that is no registered version is a :class:`ModelVersion` too, whose ``source`` begins with the kind. So it is
checked, confirmed, placed and started as versions are.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from genops_lab.core.errors import Failed, InvalidRequest, NotFound
from genops_lab.core.paths import private_dir, write_private
from genops_lab.registry.models import ModelVersion
from genops_lab.registry.sources import path_below
from genops_lab.registry.unfinished import check_room

from . import adapters, hub_models
from .fetched_files import FetchedFiles
from .hub_models import HUB_KIND as _HUB
from .hub_models import VARIABLE, HubModel, OnProgress, has_weights, selected
from .models import CheckDeploy, Deployable
from .names import default_name
from .record import DEFAULT_HEALTH, Given
from .weights import LanguageModel

if TYPE_CHECKING:
    from genops_lab.registry.service import RegistryService

_PATH, _COMMAND = "path:", "command:"
#: The file of a revision that is a command.
COMMAND_FILE = "command.json"
#: Names of files that hold data only: what is fetched and copied of a model. All are judged by content afterwards.
_DATA = re.compile(
    r"\.(safetensors|gguf|json|jsonl|txt|md|model|tiktoken|jinja|yaml|yml)$|^(LICEN[CS]E|NOTICE)\b",
    re.IGNORECASE,
)
_HEALTH = re.compile(r"/[\w./~%?=&-]{0,200}")


def is_external(version: ModelVersion) -> bool:
    """Return whether the version is none of the registry."""
    return version.source.startswith((_HUB, _PATH, _COMMAND)) and not version.run_id


def command_of(version: ModelVersion) -> dict[str, object] | None:
    """Return command, port and health path of a revision that is a command."""
    if not is_external(version) or not version.source.startswith(_COMMAND):
        return None
    found: dict[str, object] = json.loads(version.source.removeprefix(_COMMAND))
    return found


async def resolve(
    registry: RegistryService,
    body: Deployable,
    settings: dict[str, str],
    root: Path,
    *,
    fetched: FetchedFiles,
    here: bool = True,
) -> ModelVersion:
    """Return what is to be deployed. Raises InvalidRequest, NotFound and, for the hub, NotAllowed and Unavailable.

    ``here``: a program of this machine is named, not one of a host.
    """
    given = [each for each in (body.model, body.path, body.command) if each]
    if len(given) != 1:
        raise InvalidRequest(
            "Name one thing to deploy.",
            hint="Give a registered model or hf:ORG/NAME@REVISION, or --path FILE, or --command COMMAND.",
        )
    if body.adapter and (body.command or not (body.path or body.model.startswith(_HUB))):
        raise InvalidRequest(
            "Only a model of a file or of the hub takes an adapter.",
            hint="Name its base model: hf:ORG/NAME@REVISION, or --path FILE.",
        )
    if body.command:
        return _command(body, here)
    quantization = settings.get("quantization", "")
    if body.path:
        found = await asyncio.to_thread(_path, body.path, quantization, root)
    elif body.model.startswith(_HUB):
        found = await hub_models.find(body.model, body.version, body.secret, quantization, fetched)
    else:
        return await registry.resolve(body.model, body.version)
    if body.adapter.startswith(_HUB):
        return adapters.adapted(found, await hub_models.find(body.adapter, "", body.secret, "", fetched))
    if body.adapter:
        return adapters.adapted(found, await asyncio.to_thread(_path, body.adapter, "", root))
    return found


def name_of(body: Deployable) -> str:
    """Return the name of a deployment that was given none."""
    if body.model.startswith(_HUB):
        return default_name(body.model.partition("@")[0].rpartition("/")[2])
    if body.model:
        return default_name(body.model)
    return default_name(Path(body.path or body.command.partition(" ")[0]).stem)


def given_of(body: Deployable, version: ModelVersion) -> Given:
    """Return what was asked for beside model and version, as a file of the revision says it."""
    path = version.source.removeprefix(_PATH).rpartition("#")[0] if body.path else ""
    health = "" if body.health == DEFAULT_HEALTH else body.health
    adapter = adapters.adapter_of(version)
    return Given(
        path=path,
        adapter=adapter.source.removeprefix(_PATH).partition("#")[0] if adapter else "",
        command=body.command,
        port=body.port,
        health=health,
        secret=body.secret,
        settings=body.settings,
    )


def commit_of(version: ModelVersion) -> str:
    """Return the whole commit of a repository of the hub; empty for anything else."""
    if not is_external(version) or not version.source.startswith(_HUB):
        return ""
    return version.source.partition("#")[0].rpartition("@")[2]


def fetching_of(version: ModelVersion) -> CheckDeploy:
    """Return what names the files of a repository at its commit, for whoever fetches them first."""
    source = adapters.base_of(version).source
    quantization = source.partition("#")[2]
    return CheckDeploy(
        model=f"{version.name}@{commit_of(version)}",
        secret=version.tags.get(VARIABLE, ""),
        settings={"quantization": quantization} if quantization else {},
    )


async def fetch(
    version: ModelVersion,
    folder: Path,
    fetched: FetchedFiles,
    on_progress: OnProgress = lambda _done, _all: None,
) -> None:
    """Bring the files of an external version into the new folder ``folder``. Raises Failed.

    ``on_progress`` gets the bytes of a repository so far, and all.
    """
    adapter = adapters.adapter_of(version)
    if adapter is not None:
        try:
            await fetch(adapters.base_of(version), folder, fetched, on_progress)
            await fetch(adapter, folder / adapters.FOLDER, fetched, on_progress)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, True)
            raise
    elif version.source.startswith(_COMMAND):
        await asyncio.to_thread(_write_command, version.source.removeprefix(_COMMAND), folder)
    elif version.source.startswith(_PATH):
        place, _, quantization = version.source.removeprefix(_PATH).partition("#")
        await asyncio.to_thread(_copy, Path(place), quantization, folder)
    else:
        await HubModel(version, fetched).fetch(folder, on_progress)


async def look(version: ModelVersion, fetched: FetchedFiles) -> tuple[LanguageModel, int] | None:
    """Return the model of a repository and the bytes to fetch, before that; None if nothing is to be fetched."""
    if not is_external(version) or not version.source.startswith(_HUB):
        return None
    return await HubModel(version, fetched).look()


# Commands -------------------------------------------------------------------------------------------------------------


def _command(body: Deployable, here: bool) -> ModelVersion:
    try:
        words = shlex.split(body.command)
    except ValueError as error:
        raise InvalidRequest(f"The command cannot be read: {error}.", hint="Close its quotes.") from error
    if not words:
        raise InvalidRequest("The command is empty.", hint="Give a program with its arguments.")
    if here and shutil.which(words[0]) is None:
        raise NotFound(f"There is no program {words[0][:80]!r} on this machine.", hint="Give its whole path.")
    if not 0 <= body.port < 65536:
        raise InvalidRequest(f"port is {body.port}.", hint="Give 1 to 65535, or no port: then $PORT has one.")
    if not _HEALTH.fullmatch(body.health or DEFAULT_HEALTH):
        raise InvalidRequest(f"{body.health[:80]!r} is no path.", hint="Give a path such as /health.")
    plain = json.dumps({"command": body.command, "port": body.port, "health": body.health or DEFAULT_HEALTH})
    digest = hashlib.sha256(plain.encode()).hexdigest()[:8]
    return ModelVersion(name=Path(words[0]).name, version=digest, source=f"{_COMMAND}{plain}")


def _write_command(plain: str, folder: Path) -> None:
    write_private(private_dir(folder) / COMMAND_FILE, plain)


# Files of this machine ------------------------------------------------------------------------------------------------


def _path(given: str, quantization: str, root: Path) -> ModelVersion:
    path = path_below(root, given)
    if not path.exists():
        raise NotFound(f"There is no file or folder {given[:200]!r}.", hint="Check the path.")
    files = _files(path, quantization)
    if not files:
        raise InvalidRequest(
            f"{path.name} has no GGUF or safetensors file.",
            hint="Other formats may run code when they are loaded. Register the model, or convert it.",
        )
    seen = [(each.name, (state := each.stat()).st_size, state.st_mtime_ns) for each in files]
    version = hashlib.sha256(repr(seen).encode()).hexdigest()[:8]
    name = path.stem if path.is_file() else path.name
    return ModelVersion(name=name, version=version, source=f"{_PATH}{path}#{quantization}")


def _files(path: Path, quantization: str) -> list[Path]:
    """Return the files to copy: all data of the folder, of several GGUF files those of the quantization."""
    if path.is_file():
        return [path] if path.suffix.lower() in (".gguf", ".safetensors") else []
    below = sorted(each for each in path.iterdir() if each.is_file() and _DATA.search(each.name))
    names = selected([each.name for each in below], quantization)
    if not has_weights(names):
        return []
    return [each for each in below if each.name in names]


def _copy(path: Path, quantization: str, folder: Path) -> None:
    files = _files(path, quantization)
    try:
        private_dir(folder)
        check_room(folder, sum(each.stat().st_size for each in files))
        for each in files:
            shutil.copyfile(each, folder / each.name)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise Failed(
            f"Cannot copy {path.name}: {error.strerror or error}.",
            hint="Check the file, and the free disk space.",
        ) from error
