"""Delete registered models and their versions. MLflow cannot restore them; files of the runs stay."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genops_lab.core.errors import Conflict
from genops_lab.core.events import EventBus

from .backends.deleting import MlflowModelDeletion
from .models import DeleteQuery, RegisteredModel
from .service import check_name

if TYPE_CHECKING:
    from genops_lab.experiments.mlflow import MlflowConnection

    from .moves import AliasMoves


@dataclass(frozen=True)
class DeploymentsOfModel:
    """``of(model)`` names the active deployments of a model, by version."""

    of: Callable[[str], Awaitable[dict[str, list[str]]]]


class ModelDeletion:
    """Deletes models and versions that no deployment serves and no alias points at."""

    def __init__(
        self, mlflow: MlflowConnection, events: EventBus, deployments: DeploymentsOfModel, moves: AliasMoves
    ) -> None:
        self._mlflow = mlflow
        self._moves = moves
        self._events = events
        self._deployments = deployments

    async def delete_model(self, name: str, query: DeleteQuery) -> None:
        """Delete a registered model with all its versions, for good.

        Raises NotFound; Conflict if a version is deployed, or has an alias and ``force`` is not given.
        """
        check_name(name)
        aliases = await self._mlflow.call(MlflowModelDeletion.aliases, name)
        _refuse_deployed(name, await self._deployments.of(name))
        _refuse_aliases(name, {} if query.force else aliases)
        await self._mlflow.call(MlflowModelDeletion.delete_model, name)
        self._events.emit("model", name)

    async def delete_version(self, name: str, version: str, query: DeleteQuery) -> RegisteredModel:
        """Delete a version of a registered model, for good. Returns the model.

        Raises NotFound; Conflict if the version is deployed, or has an alias and ``force`` is not given.
        """
        check_name(name)
        found = await self._mlflow.call(MlflowModelDeletion.resolve, name, version)
        deployed = await self._deployments.of(name)
        _refuse_deployed(name, {found.version: deployed.get(found.version, [])})
        _refuse_aliases(name, {} if query.force else dict.fromkeys(found.aliases, found.version))
        for alias in found.aliases:
            # MLflow would remove it silently: the history says who did, and why.
            reason = f"Version {found.version} is deleted."
            await self._moves.move(name, alias, "", reason=reason, expected=found.version)
        model = await self._mlflow.call(MlflowModelDeletion.delete_version, name, found.version)
        self._events.emit("model", name)
        return model


def _refuse_deployed(name: str, deployed: Mapping[str, list[str]]) -> None:
    for version, deployments in deployed.items():
        if deployments:
            raise Conflict(
                f"Version {version} of {name!r} is deployed as {', '.join(deployments)}.",
                code="deployed",
                hint=f"Stop the deployment first: genops deployments stop {deployments[0]}",
                details={"deployments": deployments},
            )


def _refuse_aliases(name: str, aliases: Mapping[str, str]) -> None:
    for alias, version in sorted(aliases.items()):
        raise Conflict(
            f"Version {version} of {name!r} has the alias {alias}, by which others may load the model.",
            code="has_alias",
            hint=f"Remove the alias first: genops models unalias {shlex.quote(name)} {alias}",
            details={"aliases": sorted(aliases)},
        )
