"""Read and change registered models, their versions and aliases."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from genops_lab.core.errors import Conflict, GenOpsError, InvalidRequest
from genops_lab.core.events import EventBus
from genops_lab.core.paging import FIRST, Page, PageQuery

from .backends.mlflow_models import MlflowModels
from .backends.signatures import MlflowSignatures
from .best import best_run
from .files.models import ModelFacts
from .models import (
    AliasMove,
    ModelVersion,
    MovesQuery,
    RegisterBest,
    RegisteredModel,
    RegisterModel,
    RemoveAlias,
    RevertAlias,
    SetAlias,
)
from .origins import Origin
from .signing import Signature

if TYPE_CHECKING:
    from genops_lab.core.store import LocalStore
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.experiments.service import ExperimentsService

    from .moves import AliasMoves

_PATIENCE_S = 20.0

MAX_NAME = 256
MAX_ALIAS = 255
_ALIAS = re.compile(r"[\w-]+")
_UNASKED = RemoveAlias()
_RESERVED_ALIAS = re.compile(r"v\d+|latest", re.IGNORECASE)


class RegistryService:
    """The operations of MLflow's model registry."""

    def __init__(
        self,
        mlflow: MlflowConnection,
        experiments: ExperimentsService,
        store: LocalStore,
        events: EventBus,
        moves: AliasMoves,
    ) -> None:
        self._mlflow = mlflow
        self._experiments = experiments
        self._store = store
        self._events = events
        self._moves = moves
        self._keys: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def list_models(self, query: PageQuery = FIRST) -> Page[RegisteredModel]:
        """List registered models with their newest versions, last changed first."""
        return await self._mlflow.call(MlflowModels.list_models, query)

    async def get_model(self, name: str) -> RegisteredModel:
        """Return a registered model with its newest versions."""
        check_name(name)
        return await self._mlflow.call(MlflowModels.get_model, name)

    async def list_versions(self, name: str, query: PageQuery) -> Page[ModelVersion]:
        """List the versions of a registered model, newest first."""
        check_name(name)
        return await self._mlflow.call(MlflowModels.list_versions, name, query)

    async def get_version_facts(self, name: str, version: str) -> ModelFacts:
        """Say what the files of a version are, and whether loading them can run code. Nothing is loaded."""
        check_name(name)
        return await self._mlflow.call(MlflowModels.facts, name, version)

    async def register_model(self, body: RegisterModel) -> ModelVersion:
        """Register the model that a run logged as a new version, and point the alias at it."""
        check_name(body.name)
        if body.alias:
            check_alias(body.alias)
        return await self.aliased(await self._register_version(body, None), body.alias)

    async def register_best(self, name: str, body: RegisterBest) -> ModelVersion:
        """Register the model of an experiment's best run by a metric. The version says of how many runs."""
        check_name(name)
        if body.alias:
            check_alias(body.alias)
        best = await best_run(self._mlflow, body.experiment, body.metric, largest=not body.smallest)
        origin = await self._mlflow.call(MlflowModels.judged_on, best)
        registered = RegisterModel(
            name=name, run=best.run, model=body.model, idempotency_key=body.idempotency_key
        )
        return await self.aliased(await self._register_version(registered, origin), body.alias)

    async def aliased(self, version: ModelVersion, alias: str) -> ModelVersion:
        """Point an alias, if one is given, at a version that was just registered."""
        if not alias or alias in version.aliases:
            return version
        try:
            await self._moves.move(version.name, alias, version.version, evidence={"run": version.run_id})
        except GenOpsError as error:
            error.message = f"Version {version.version} is registered, without its alias. {error.message}"
            raise
        return await self.resolve(version.name, version.version)

    async def _register_version(self, body: RegisterModel, origin: Origin | None) -> ModelVersion:
        if not body.idempotency_key:
            return await self._register(body, "", origin)
        key = hashlib.sha256(body.idempotency_key.encode()).hexdigest()
        lock = self._keys.setdefault(key, asyncio.Lock())
        async with lock:
            return await self._register_once(body, key, origin)

    async def _register_once(self, body: RegisterModel, key: str, origin: Origin | None) -> ModelVersion:
        claimed = await asyncio.to_thread(self._store.claim, key, "register_model", body.name)
        if claimed is not None:
            return await self._already_registered(claimed, key)
        try:
            return await self._register(body, key, origin)
        except BaseException:
            # A failed request must be repeatable with the same key.
            await asyncio.to_thread(self._store.unclaim, key)
            raise

    async def _already_registered(self, name: str, key: str) -> ModelVersion:
        """Return the version of an earlier request; wait up to 20 s while another process registers it."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE_S
        while True:
            found = await self._mlflow.call(MlflowModels.registered_with, name, key)
            if found is not None:
                return found
            if asyncio.get_running_loop().time() > deadline:
                raise Conflict(
                    f"An earlier request with the same key is still registering {name!r}.",
                    hint=f"List the versions: {_show(name)}. Send a new key to register again.",
                )
            await asyncio.sleep(0.3)

    async def _register(self, body: RegisterModel, key: str, origin: Origin | None) -> ModelVersion:
        run = await self._experiments.resolve_run(body.run)
        version = await self._mlflow.call(
            MlflowModels.register, run.run_id, body.name, body.model, key,
            origin or Origin(kind="run", run=run.run_id),
        )  # fmt: skip
        self._events.emit("model", body.name)
        return version

    async def set_alias(self, name: str, alias: str, body: SetAlias) -> RegisteredModel:
        """Point an alias at a version, and write the move into the history."""
        await self.point(name, alias, body)
        return await self.get_model(name)

    async def point(self, name: str, alias: str, body: SetAlias) -> None:
        """Do what :meth:`set_alias` does, without reading the model afterwards."""
        check_name(name)
        check_alias(alias)
        number = await self._mlflow.call(MlflowModels.number, name, body.version)
        await self._moves.move(
            name, alias, number, reason=body.reason, evidence=body.evidence, expected=body.expected
        )

    async def delete_alias(self, name: str, alias: str, query: RemoveAlias = _UNASKED) -> RegisteredModel:
        """Delete an alias, and write the move into the history; do nothing if the model does not have it."""
        check_name(name)
        check_alias(alias)
        await self._moves.move(name, alias, "", reason=query.reason, expected=query.expected)
        return await self.get_model(name)

    async def revert_alias(self, name: str, alias: str, body: RevertAlias) -> RegisteredModel:
        """Move an alias back to the version that it named before its last move."""
        check_name(name)
        check_alias(alias)
        earlier, now = await self._moves.previous(name, alias, body.expected)
        reason = body.reason or (f"Back to version {earlier}" if earlier else "Back to no version")
        await self._moves.move(name, alias, earlier, reason=reason, expected=now)
        return await self.get_model(name)

    async def list_moves(self, name: str, query: MovesQuery) -> Page[AliasMove]:
        """List who moved which alias of a model from which version to which, newest first."""
        check_name(name)
        return await self._moves.page(name, query)

    async def resolve(self, model: str, version: str) -> ModelVersion:
        """Return the version with this number or alias, the newest if ``version`` is empty. Raises NotFound."""
        check_name(model)
        return await self._mlflow.call(MlflowModels.resolve, model, version)

    async def download(self, version: ModelVersion, folder: Path) -> None:
        """Copy the files of a version to the new folder ``folder``. Raises Failed: full disk, missing files."""
        await self._mlflow.call_long(MlflowModels.download, version.name, version.version, str(folder))

    async def set_version_tag(self, model: str, version: str, tag: str, text: str) -> None:
        """Set a tag of a version. Raises NotFound."""
        await self._mlflow.call(MlflowModels.set_version_tag, model, version, tag, text)

    async def signature_of(
        self, version: ModelVersion, folder: Path, trusted: list[str], *, ask: bool
    ) -> Signature | None:
        """Compare the copy of a version's files in ``folder`` with its signature. ``trusted``: files of public keys.

        None if neither ``ask`` nor the version's gate file demands a signature, and no key is trusted.
        """
        return await self._mlflow.call_long(
            MlflowSignatures.verify_copy, version.name, version.version, str(folder), trusted, ask
        )


def _show(name: str) -> str:
    return f"genops models show {shlex.quote(name)}"


def check_name(name: str) -> None:
    """Raise InvalidRequest unless ``name`` is a valid name of a registered model; Unicode is allowed."""
    if not name.strip():
        raise InvalidRequest("The model has no name.", hint="Give a name such as 'digits'.")
    if len(name) > MAX_NAME:
        raise InvalidRequest(
            f"The model name {name[:40]!r}... has {len(name)} characters.",
            hint=f"Use at most {MAX_NAME} characters.",
        )
    if set(name) & set("/:"):
        raise InvalidRequest(
            f"The model name {name!r} contains '/' or ':'.",
            hint="MLflow does not allow these characters. Use '-' or '_' instead.",
        )
    if name in (".", "..") or not name.isprintable():
        raise InvalidRequest(
            f"{name!r} is not a valid model name.", hint="Use printable characters, and not only '.' or '..'."
        )


def check_alias(alias: str) -> None:
    """Raise InvalidRequest unless ``alias`` is a valid alias of a version."""
    if not _ALIAS.fullmatch(alias) or len(alias) > MAX_ALIAS:
        raise InvalidRequest(
            f"{alias[:60]!r} is not a valid alias.",
            hint=f"Use at most {MAX_ALIAS} letters, digits, '_' and '-'.",
        )
    if _RESERVED_ALIAS.fullmatch(alias):
        raise InvalidRequest(
            f"MLflow reserves the alias {alias!r}.",
            hint="Use another word, such as 'champion'.",
        )
