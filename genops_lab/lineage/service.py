"""Answer what an object was made from, and what stands on it."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from msgspec.structs import replace

from genops_lab.core.errors import GenOpsError, InvalidRequest, NotFound
from genops_lab.core.paging import MOST, Page, PageQuery
from genops_lab.experiments.query.errors import did_you_mean

from .models import Lineage, LineageNode, LineageQuery, LineageRunsQuery
from .names import Start, parse

if TYPE_CHECKING:
    from genops_lab.core.store import SharedStore
    from genops_lab.deployments.service import DeploymentsService
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.experiments.service import ExperimentsService

    from .backends.walking import Serving

MAX_NODES = 1000
#: Time for the deployments of other Labs: without the shared store the rest is answered.
_SHARED_S = 3.0
_RUN_ID = re.compile(r"[0-9a-f]{32}")


class LineageService:
    """Reads lineage from MLflow and the deployments. It writes nothing."""

    def __init__(
        self,
        mlflow: MlflowConnection,
        experiments: ExperimentsService,
        deployments: DeploymentsService,
        shared: SharedStore,
    ) -> None:
        self._mlflow = mlflow
        self._experiments = experiments
        self._deployments = deployments
        self._shared = shared

    async def get_lineage(self, query: LineageQuery) -> Lineage:
        """Return what an object was made from and what stands on it. Raises NotFound and InvalidRequest."""
        if not 1 <= query.limit <= MAX_NODES:
            raise InvalidRequest(f"limit is {query.limit}.", hint=f"Request 1 to {MAX_NODES:,} nodes.")
        from .backends.walking import MlflowLineage

        start = parse(query.of)
        serving, notes = await self._serving()
        if start.kind == "run" and not _RUN_ID.fullmatch(start.name):
            start = Start("run", (await self._experiments.resolve_run(start.name)).run_id)
        if start.kind == "deployment":
            _check_known(start.name, [each.label for each in serving])
        found = await self._mlflow.call(MlflowLineage.lineage, start, query.direction, query.limit, serving)
        return replace(found, notes=[*found.notes, *notes])

    async def list_runs_without_version(self, query: LineageRunsQuery) -> Page[LineageNode]:
        """Return the runs of a data set or commit that lead to no version, newest first."""
        from .backends.walking import MlflowLineage

        return await self._mlflow.call(MlflowLineage.runs_without_version, parse(query.of), query)

    async def _serving(self) -> tuple[list[Serving], list[str]]:
        """Return the deployments of this Lab and of the team, and notes about those that cannot be read."""
        from .backends.walking import Serving

        page = await self._deployments.list_deployments(PageQuery(limit=MOST))
        own = [
            Serving(name=each.name, model=each.model, version=each.version, state=each.state)
            for each in page.items
        ]
        try:
            return [*own, *await asyncio.wait_for(asyncio.to_thread(self._of_team), _SHARED_S)], []
        except (GenOpsError, asyncio.TimeoutError):
            return own, ["The shared store does not answer: deployments of other people are missing."]

    def _of_team(self) -> list[Serving]:
        from genops_lab.core.store.shared_tables import deployment_specs

        from .backends.walking import Serving

        specs = deployment_specs.c
        with self._shared.reading() as connection:
            rows = connection.execute(
                deployment_specs.select()
                .where(specs.team == self._shared.team, specs.owner != self._shared.owner)
                .order_by(specs.created_at.desc())
                .limit(MOST)
            )
            return [
                Serving(name=row.name, model=row.model, version=row.version, owner=row.owner) for row in rows
            ]


def _check_known(name: str, known: list[str]) -> None:
    if name not in known:
        hint = f"{did_you_mean(name, known)} List the deployments: genops deployments list".strip()
        raise NotFound(f"There is no deployment {name!r}.", hint=hint)
