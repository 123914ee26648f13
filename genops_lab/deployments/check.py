"""Check a model version before it is loaded: fetch, hash and compare its files without running them."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import msgspec

from genops_lab.core.errors import Conflict, Failed, GenOpsError
from genops_lab.core.paths import private_dir
from genops_lab.registry.models import ModelVersion

from . import sources
from .environments import missing_requirements, package_sources
from .fetched_files import FetchedFiles
from .hub_models import OnProgress
from .models import DeployCheck, ModelFile
from .weights import LanguageModel, language_model

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.experiments.model_yaml import ModelDescription
    from genops_lab.registry.service import RegistryService
    from genops_lab.registry.signing import Signature

    from .targets.base import Capabilities

KEPT_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The check of a version's files in a folder.

    ``stamp`` distinguishes the folder from one that another process fetched in its place. ``allow_pickle`` is the value
    of MLflow's flag of that name with which the model loads. ``model`` is a language model without an MLmodel file.
    """

    check: DeployCheck
    stamp: tuple[int, int]
    allow_pickle: bool
    model: LanguageModel | None = None


class ModelChecker:
    """Fetch versions into ``root`` and keep them for an hour, so that the files that were checked are deployed."""

    def __init__(
        self,
        root: Path,
        registry: RegistryService,
        store: LocalStore,
        life: Capabilities,
        settings: Settings | None = None,
    ) -> None:
        self._root = root
        #: The files of repositories, which the folders of ``root`` share.
        self.fetched = FetchedFiles(root.with_name(".fetched"))
        # Without settings no signature is asked for: a version is evaluated before somebody signs it.
        self._trusted_keys = list(settings.trusted_keys) if settings else []
        self._asks = settings is not None
        self._signature_required = settings is not None and settings.signature_required
        self._registry = registry
        self._store = store
        self._life = life
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def check(self, version: ModelVersion) -> Checked:
        """Fetch and inspect a version. Raises Failed if its files are missing or the disk is full."""
        folder = self.folder(version)
        async with self._lock(folder):
            await asyncio.to_thread(self._make_room)
            await self._fetch(version, folder)
            try:
                return await self._checked(version, folder)
            except (OSError, GenOpsError):
                if await asyncio.to_thread(folder.is_dir):
                    raise
            # Another process took the files meanwhile.
            await self._fetch(version, folder)
            return await self._checked(version, folder)

    async def fetch(self, version: ModelVersion, on_progress: OnProgress) -> None:
        """Fetch the files of a repository, so that :meth:`check` need not.

        ``on_progress`` gets the bytes so far, and all.
        """
        folder = self.folder(version)
        async with self._lock(folder):
            await asyncio.to_thread(self._make_room)
            await self._fetch(version, folder, on_progress)

    async def look(self, version: ModelVersion) -> tuple[LanguageModel, int] | None:
        """Return the language model of a repository and the bytes to fetch, from sizes and headers.

        Return None if nothing is to be fetched, or if the version is none of a repository.
        """
        if await asyncio.to_thread(self.folder(version).is_dir):
            return None
        return await sources.look(version, self.fetched)

    def folder(self, version: ModelVersion) -> Path:
        """Return the folder in which the files of a checked version are for an hour."""
        return self._root / _place(version)

    async def _checked(self, version: ModelVersion, folder: Path) -> Checked:
        found = await asyncio.to_thread(self._inspect, version, folder)
        if not self._asks:
            return found
        if sources.is_external(version):
            return self._unsigned(found)
        signature = await self._registry.signature_of(
            version, folder, self._trusted_keys, ask=self._signature_required
        )
        if signature is None:
            return found
        from . import question

        required = self._signature_required or signature.demanded
        return replace(found, check=question.with_signature(found.check, signature, required=required))

    def _unsigned(self, found: Checked) -> Checked:
        """Refuse what is no registered version where a signature is required: only versions have one."""
        if not self._signature_required:
            return found
        refused = msgspec.structs.replace(
            found.check,
            trusted=False,
            verdict="refused",
            title="It cannot be deployed: this Lab serves only models that a trusted key signed.",
            advice="Register the model as a version, and ask somebody with a trusted key to sign it.",
        )
        return replace(found, check=refused)

    async def signed_by(self, version: ModelVersion, key: Path) -> Signature:
        """Compare the files of a version, as :meth:`check` keeps them, with the signature of a public key."""
        folder = self._root / _place(version)
        async with self._lock(folder):
            await self._fetch(version, folder)
            found = await self._registry.signature_of(version, folder, [str(key)], ask=True)
        assert found is not None  # it was asked for
        return found

    async def take(self, version: ModelVersion, digest: str, stamp: tuple[int, int]) -> Path:
        """Move the files of a version to a folder of the deployment's own, and return it.

        If the files were taken already, such as by a JupyterLab that was killed, they are fetched again.
        Raises Failed if they differ from ``digest``.
        """
        folder = self._root / _place(version)
        taken = folder.with_name(f"{folder.name}.taken-{secrets.token_hex(4)}")
        try:
            async with self._lock(folder):
                folder.rename(taken)
        except FileNotFoundError:
            await self.check(version)
            folder.rename(taken)
        if _stamp(taken) != stamp and await asyncio.to_thread(_digest, taken) != digest:
            await asyncio.to_thread(shutil.rmtree, taken, ignore_errors=True)
            raise Failed(
                f"The files of {version.name} version {version.version} changed after they were checked.",
                hint="Deploy the version again and review its files.",
            )
        return taken

    def _lock(self, folder: Path) -> asyncio.Lock:
        return self._locks.setdefault(folder.name, asyncio.Lock())

    async def _fetch(
        self, version: ModelVersion, folder: Path, on_progress: OnProgress = lambda _done, _all: None
    ) -> None:
        if await asyncio.to_thread(folder.is_dir):
            return
        fresh = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
        if sources.is_external(version):
            await sources.fetch(version, fresh, self.fetched, on_progress)
        else:
            await self._registry.download(version, fresh)
        try:
            fresh.rename(folder)
        except OSError:  # another process was faster
            await asyncio.to_thread(shutil.rmtree, fresh, ignore_errors=True)

    def _make_room(self) -> None:
        private_dir(self._root)
        for folder in self._root.iterdir():
            if folder.stat().st_mtime < time.time() - KEPT_S:
                shutil.rmtree(folder, ignore_errors=True)

    def _inspect(self, version: ModelVersion, folder: Path) -> Checked:
        stamp = _stamp(folder)
        files = [_file(folder, path) for path in sorted(folder.rglob("*")) if path.is_file()]
        from genops_lab.registry.files.reader import facts, inspect

        from . import question
        from .records import run_that_recorded

        digest = _digest(folder)
        if (command := sources.command_of(version)) is not None:
            check = question.of_command(version, command, files, digest, self._life)
            return Checked(check=check, stamp=stamp, allow_pickle=False)
        inspected = inspect(folder, self.fetched.shared(folder, files))
        found = facts(inspected)
        recorded = run_that_recorded(self._store, digest.removeprefix("sha256:"))
        if self._asks and not (folder / "MLmodel").exists():  # evaluations load models of MLflow alone
            model = None if found.verdict == "refused" else language_model(folder, inspected)
            if model is not None or found.verdict == "refused" or sources.is_external(version):
                origin = question.origin(recorded, version.run_id, external=sources.is_external(version))
                check = question.of_language_model(version, model, found, files, digest, self._life)
                check = msgspec.structs.replace(check, trusted=recorded is not None, reason=origin)
                return Checked(check=check, stamp=stamp, allow_pickle=False, model=model)
        description = _description(folder, version)
        holds_pickle = _says_pickle(description) or inspected.holds_pickle
        missing = missing_requirements(folder)
        check = DeployCheck(
            model=version.name,
            version=version.version,
            trusted=recorded is not None,
            reason=question.origin(recorded, version.run_id),
            verdict=found.verdict,
            title=question.title(found),
            findings=question.findings(found),
            advice=found.advice or "Load it only if you trust who made it.",
            flavors=description.names,
            loader=description.loader,
            holds_pickle=holds_pickle,
            files=files,
            digest=digest,
            environment="build" if missing else "present",
            missing_requirements=missing,
            package_sources=package_sources(folder) if missing else [],
            outlives_server=self._life.outlives_server,
            warning=self._life.warning,
        )
        # MLflow 3.17 requires the flag also for skops, because such a model names the types to trust itself.
        # Here the user's own run recorded the files, or the user confirmed them.
        skops = check.loader == "mlflow.sklearn" and _format_of(description.flavors.get("sklearn")) == "skops"
        return Checked(check=check, stamp=stamp, allow_pickle=holds_pickle or skops)


def refuse_misleading(check: DeployCheck) -> None:
    """Raise Conflict for files that are damaged or built to mislead, unless a run of this user recorded them."""
    if check.verdict == "refused" and not check.trusted:
        raise Conflict(
            f"{check.model} version {check.version}: {check.title} {' '.join(check.findings)}",
            hint=check.advice,
            code="model_refused",
            details={"check": msgspec.to_builtins(check)},
        )


def _digest(folder: Path) -> str:
    from genops_lab.experiments.hashes import model_digest

    return f"sha256:{model_digest(folder)}"


def _stamp(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_ino, found.st_mtime_ns


def _place(version: ModelVersion) -> str:
    return hashlib.sha256(f"{version.name}\0{version.version}\0{version.source}".encode()).hexdigest()[:24]


def _description(folder: Path, version: ModelVersion) -> ModelDescription:
    from genops_lab.experiments.model_yaml import UnreadableModel, read_description

    try:
        return read_description(folder / "MLmodel")
    except (OSError, UnreadableModel) as error:
        raise Failed(
            f"Cannot read the MLmodel file of {version.name} version {version.version}: {error}.",
            hint="Log and register the model again.",
        ) from error


def _file(folder: Path, path: Path) -> ModelFile:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    name = path.relative_to(folder).as_posix()
    return ModelFile(path=name, size_bytes=path.stat().st_size, sha256=digest.hexdigest())


def _format_of(flavor: dict[str, Any] | None) -> Any:
    return (flavor or {}).get("serialization_format")


def _says_pickle(description: ModelDescription) -> bool:
    return any(_format_of(flavor) in ("pickle", "cloudpickle") for flavor in description.flavors.values())
