"""Report the status of GenOps Lab and diagnose problems."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TYPE_CHECKING

import msgspec

from genops_lab.core.models import Check, Diagnosis, Locked, Status
from genops_lab.core.paths import on_network
from genops_lab.version import __version__

from .checks import environment, storage, targets, tracking, versions
from .redaction import Redactor

if TYPE_CHECKING:
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.core.store.outbox import Outbox
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.hosts.service import TargetsService
    from genops_lab.kernels.outputs.service import OutputsService

log = logging.getLogger("genops_lab")


class DoctorService:
    """Status and diagnosis, in a server or in a command's own process."""

    def __init__(
        self,
        settings: Settings,
        store: LocalStore,
        outbox: Outbox,
        mlflow: MlflowConnection,
        targets: TargetsService,
        outputs: OutputsService,
    ) -> None:
        self._settings = settings
        self._store = store
        self._outbox = outbox
        self._mlflow = mlflow
        self._targets = targets
        self._outputs = outputs

    async def get_status(self) -> Status:
        """Return version, MLflow, features, locked settings and notices."""
        settings, mlflow = self._settings, self._mlflow
        return Status(
            version=__version__,
            mlflow_uri=mlflow.shown_uri,
            mlflow_kind=mlflow.kind,
            hub=settings.hub,
            rooms=list(settings.rooms),
            locked=[Locked(name, value) for name, value in sorted(settings.locked.items())],
            notices=await asyncio.to_thread(self._notices),
        )

    def _notices(self) -> list[str]:
        notices = []
        aside = self._store.set_aside
        if aside is not None:
            notices.append(
                f"The store was corrupt and was renamed to {aside}. Its deployments and profiles are not shown. "
                "Runs and models are unchanged."
            )
        if on_network(self._settings.data_dir):
            notices.append(
                "The data of GenOps Lab is on a network file system. Use one JupyterLab at a time, or set "
                "GenOpsLab.data_dir to a folder on a local disk."
            )
        return notices

    async def diagnose(self) -> Diagnosis:
        """Run all checks. The answer's text has no secrets, so it can be pasted into an issue."""
        settings = self._settings
        in_server = settings.root_dir is not None
        parts = await asyncio.gather(
            _examined("versions", asyncio.to_thread(versions.examine)),
            _examined("environment", asyncio.to_thread(environment.examine, settings, in_server)),
            _examined(
                "storage", asyncio.to_thread(storage.examine, settings.data_dir, self._store, self._outbox)
            ),
            _examined("mlflow", tracking.examine(self._mlflow)),
            _examined("targets", self._examined_targets()),
            _examined("outputs", self._examined_outputs(in_server)),
        )
        redact = Redactor(uris=(self._mlflow.uri, settings.store_url))
        checks = [
            msgspec.structs.replace(check, detail=redact(check.detail), hint=redact(check.hint))
            for part in parts
            for check in part
        ]
        return Diagnosis(checks=checks, text=_as_text(checks))

    async def _examined_outputs(self, in_server: bool) -> list[Check]:
        checks = targets.examine_outputs(self._outputs.limits, in_server)
        if in_server and self._settings.keep_local_kernels:
            checks.append(targets.examine_local_kernels(self._outputs.not_kept))
        return checks

    async def _examined_targets(self) -> list[Check]:
        return await asyncio.to_thread(targets.examine, await self._targets.list_targets())


async def _examined(part: str, work: Awaitable[list[Check]]) -> list[Check]:
    try:
        return await work
    except Exception as error:  # a failed check is a result, too
        log.error("doctor: cannot check %s", part, exc_info=error)
        return [
            Check(
                id=part,
                title=part.capitalize(),
                state="error",
                detail=f"This check failed: {type(error).__name__}: {error}",
                hint="Report this with the log of JupyterLab.",
            )
        ]


def _as_text(checks: list[Check]) -> str:
    lines = [f"GenOps Lab {__version__}, genops doctor"]
    for check in checks:
        lines.append(f"[{check.state}] {check.title}: {check.detail}")
        if check.hint:
            lines.append(f"    {check.hint}")
    return "\n".join(lines) + "\n"
