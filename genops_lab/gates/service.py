"""Check gates, and promote versions that pass."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict
from genops_lab.registry.models import SetAlias
from genops_lab.registry.service import check_alias, check_name

from .approvers import approvers, hub_user
from .models import CheckGates, GateReport, PromoteVersion, Promotion
from .plan_file import read_gates

if TYPE_CHECKING:
    from genops_lab.core.events import EventBus
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.registry.service import RegistryService


class GatesService:
    """The operations of gates."""

    def __init__(self, mlflow: MlflowConnection, registry: RegistryService, events: EventBus) -> None:
        self._mlflow = mlflow
        self._registry = registry
        self._events = events

    async def check_gates(self, name: str, version: str, body: CheckGates) -> GateReport:
        """Judge a version by a gate file, and keep the verdict with the version."""
        check_name(name)
        from .backends.mlflow_gates import MlflowGates

        await asyncio.to_thread(read_gates, body.text, body.file)  # an error needs no MLflow
        who = [*hub_user(), *await asyncio.to_thread(approvers, body.folder, os.environ)]
        report = await self._mlflow.call_long(MlflowGates.judge, name, _number(version), body, who)
        self._events.emit("model", name)
        return _pictured(report)

    async def get_gates(self, name: str, version: str) -> GateReport:
        """Return the last report on a version."""
        from .backends.mlflow_gates import MlflowGates

        check_name(name)
        return _pictured(await self._mlflow.call(MlflowGates.last_report, name, _number(version)))

    async def promote_version(self, name: str, version: str, body: PromoteVersion) -> Promotion:
        """Judge a version, and point the alias at it if the verdict is a pass.

        The alias moves only if it still names the version that was compared with. A call that was cut off can be made
        again: the same predictions are the same look, and an alias that has moved stays.
        """
        check_name(name)
        check_alias(body.alias)
        from genops_lab.registry.backends.mlflow_aliases import MlflowAliases

        number = await self._mlflow.call(MlflowAliases.number, name, _number(version))
        before = (await self._mlflow.call(MlflowAliases.read, name)).aliases.get(body.alias, "")
        if before == number:
            return Promotion(report=None, moved=False, already=True)
        report = await self.check_gates(name, number, body)
        if report.alias == body.alias and report.against != before:
            raise Conflict(
                f"The alias {body.alias!r} of {name!r} moved while the gates were checked.",
                hint="Promote again: the version is then compared with the new one.",
                code="alias_moved",
            )
        if report.verdict != "pass":
            return Promotion(report=report, moved=False)
        evidence = {
            "gates": {
                "verdict": report.verdict, "file": report.file[:200], "hash": report.hash, "run": report.run,
                "against": report.against, "at": report.at,
            }
        }  # fmt: skip
        move = SetAlias(version=report.version, reason=body.reason, expected=before, evidence=evidence)
        # A client that goes away stops the check, never a move that has begun.
        await asyncio.shield(self._registry.point(name, body.alias, move))
        return Promotion(report=report, moved=True)


def _pictured(report: GateReport) -> GateReport:
    from msgspec.structs import replace

    from .picture import picture

    return replace(report, picture=picture(report))


def _number(version: str) -> str:
    """Return an empty text, which means the newest version, for ``latest``: MLflow reserves that alias."""
    return "" if version == "latest" else version
