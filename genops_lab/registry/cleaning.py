"""Delete old versions that nothing needs, and turn stages of MLflow 2 into aliases."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict, InvalidRequest

from .backends.cleaning import MlflowCleaning
from .models import DeleteQuery, OldVersions, Prunable, Prune, Pruned, VersionStage
from .service import check_name

if TYPE_CHECKING:
    from genops_lab.experiments.mlflow import MlflowConnection

    from .deleting import DeploymentsOfModel, ModelDeletion
    from .moves import AliasMoves

_DAY_S = 86_400


class ModelCleaning:
    """Cleans up the versions of a model."""

    def __init__(
        self,
        mlflow: MlflowConnection,
        deletion: ModelDeletion,
        deployments: DeploymentsOfModel,
        moves: AliasMoves,
    ) -> None:
        self._mlflow = mlflow
        self._deletion = deletion
        self._deployments = deployments
        self._moves = moves

    async def list_old_versions(self, name: str, query: OldVersions) -> Prunable:
        """Say which versions a clean-up would delete, and why others stay. Deletes nothing."""
        check_name(name)
        if query.keep < 1 or query.older_than_days < 0:
            raise InvalidRequest(
                "A clean-up keeps at least 1 version, and an age is 0 days or more.",
                hint="Such as: --keep 5 --older-than 90d",
            )
        versions, aliases = await self._mlflow.call(MlflowCleaning.versions, name)
        deployed = await self._deployments.of(name)
        before = time.time() - query.older_than_days * _DAY_S
        deletes, stays = list[str](), dict[str, str]()
        for number, made in versions[query.keep :]:
            if made > before:
                continue
            children = await self._mlflow.call(MlflowCleaning.children, name, number)
            reason = (
                f"deployed as {', '.join(deployed[number])}"
                if deployed.get(number)
                else f"has the alias {', '.join(sorted(aliases[number]))}"
                if aliases.get(number)
                else f"{children[0]} is made from it"
                if children
                else ""
            )
            if reason:
                stays[number] = reason
            else:
                deletes.append(number)
        return Prunable(deletes=deletes, stays=stays)

    async def delete_old_versions(self, name: str, body: Prune) -> Pruned:
        """Delete these versions, for good. One that is needed by now stays, with the reason."""
        check_name(name)
        deleted, stays = list[str](), dict[str, str]()
        for number in body.versions:
            children = await self._mlflow.call(MlflowCleaning.children, name, number)
            if children:
                stays[number] = f"{children[0]} is made from it"
                continue
            try:
                await self._deletion.delete_version(name, number, DeleteQuery())
            except Conflict as error:
                stays[number] = error.message
            else:
                deleted.append(number)
        return Pruned(deleted=deleted, stays=stays)

    async def list_stages(self, name: str) -> list[VersionStage]:
        """List the versions that have a stage of MLflow 2."""
        check_name(name)
        return await self._mlflow.call(MlflowCleaning.stages, name)

    async def alias_stages(self, name: str) -> list[VersionStage]:
        """Point an alias of each stage's name at the newest version of the stage. Stages and present aliases stay."""
        check_name(name)
        found = await self._mlflow.call(MlflowCleaning.stages, name)
        _, aliases = await self._mlflow.call(MlflowCleaning.versions, name)
        taken = {alias for named in aliases.values() for alias in named}
        outcome: list[VersionStage] = []
        for each in found:
            alias = each.stage.lower()
            if alias not in taken:
                reason = f"The version has the stage {each.stage}."
                await self._moves.move(name, alias, each.version, reason=reason, expected="")
                taken.add(alias)
                outcome.append(VersionStage(version=each.version, stage=each.stage, alias=alias))
            else:
                outcome.append(each)
        return outcome
