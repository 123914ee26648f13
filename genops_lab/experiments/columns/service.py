"""Serve the run table: sorted and filtered runs, and changes to them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from genops_lab.core.errors import GenOpsError, InvalidRequest
from genops_lab.core.events import EventBus
from genops_lab.core.live import LiveHub
from genops_lab.core.paging import MOST
from genops_lab.core.services import Service
from genops_lab.experiments.backends.runs import RunChanges
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.experiments.models import RunQuery
from genops_lab.experiments.query.models import Completion

from .backend import RunMirror
from .models import (
    DeletedRuns,
    RunColumns,
    RunIds,
    RunQueryText,
    RunSearch,
    RunsFound,
    RunsState,
    RunsTagging,
    RunTable,
    RunTableQuery,
    RunTags,
)
from .watch import TableWatch

if TYPE_CHECKING:
    from genops_lab.experiments.service import ExperimentsService

MAX_IDS = 1000
_WHOLE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True)
class DeploymentsOfRuns:
    """``of(run_ids)`` names the deployments of models that these runs logged."""

    of: Callable[[set[str]], Awaitable[list[str]]]


class RunTableService(Service):
    """Asks the mirror in its worker process. While a table is open, changes become events of ``run``."""

    def __init__(
        self,
        mlflow: MlflowConnection,
        experiments: ExperimentsService,
        events: EventBus,
        live: LiveHub,
        deployments: DeploymentsOfRuns,
    ) -> None:
        self._mlflow = mlflow
        self._experiments = experiments
        self._events = events
        self._deployments = deployments
        self._watch = TableWatch(
            lambda version, wait_s: mlflow.columns.call(RunMirror.wait, version, wait_s),
            lambda: events.emit("run"),
            live,
            on_watching=self._tell_no_others,
        )

    async def query_runs(self, body: RunTableQuery) -> RunTable:
        """Return a window of the matching runs, in order.

        Raises InvalidRequest (the query, a column), NotFound (an experiment), Unavailable.
        """
        found = await self._mlflow.call_columns(RunMirror.table, body)
        self._watch.used(found.state.version)
        return found

    async def search_runs(self, body: RunSearch) -> RunsFound:
        """Return whole matching runs, in order."""
        try:
            return await self._mlflow.call_columns(RunMirror.search, body)
        except GenOpsError as error:
            # A mirror has no data sets; MLflow itself has.
            if error.code != "query_not_in_columns" or body.sort or len(body.experiments) > 1:
                raise
        asked = RunQuery(experiment="".join(body.experiments), filter=body.query, limit=min(body.limit, MOST))
        page = await self._experiments.list_runs(asked)
        state = await self._mlflow.columns.call(RunMirror.state)
        return RunsFound(runs=page.items, matched=len(page.items), state=state)

    async def list_run_columns(self) -> RunColumns:
        """Return all columns that runs have, with the number of runs that have a value."""
        return await self._mlflow.call_columns(RunMirror.columns)

    async def complete_run_query(self, body: RunQueryText) -> list[Completion]:
        """Return completions for a query that is being written, best first."""
        return await self._mlflow.call_columns(RunMirror.completions, body)

    async def get_runs_state(self) -> RunsState:
        """Return how many of the runs are read, and how old they may be."""
        found = await self._mlflow.call_columns(RunMirror.state)
        self._watch.used(found.version)
        return found

    async def analyze_runs(self) -> RunsState:
        """Give MLflow's SQLite file statistics (ANALYZE), so that MLflow's own searches become fast."""
        await self._mlflow.call_columns(RunMirror.analyze)
        return await self._mlflow.columns.call(RunMirror.state)

    async def tag_run(self, run_id: str, body: RunTags) -> None:
        """Set and remove tags of a run; ``run_id`` may be a unique prefix, a name, or ``latest``."""
        run = await self._experiments.resolve_run(run_id)
        await self._mlflow.worker.call(RunChanges.tag, run.run_id, body)
        await self._changed([run.run_id])

    async def tag_runs(self, body: RunsTagging) -> None:
        """Set tags of runs. If one of the runs does not exist, those before it have the tags."""
        _check(body)
        try:
            for run_id in body.run_ids:
                await self._mlflow.call(RunChanges.tag, run_id, RunTags(set=body.set))
        finally:
            await self._changed(body.run_ids)

    async def delete_runs(self, body: RunIds) -> DeletedRuns:
        """Mark runs as deleted; they can be restored. Returns their whole ids.

        Runs are named by ids, unique prefixes, names or ``latest``. If a whole id does not exist, those
        before it are deleted.
        """
        _check(body)
        ids = [
            ref if _WHOLE_ID.fullmatch(ref) else (await self._experiments.resolve_run(ref)).run_id
            for ref in body.run_ids
        ]
        try:
            await self._mlflow.call(RunChanges.delete, ids)
        finally:
            await self._changed(ids)
        return DeletedRuns(run_ids=ids, serving=await self._deployments.of(set(ids)))

    async def undelete_runs(self, body: RunIds) -> RunIds:
        """Restore deleted runs. Returns their whole ids."""
        _check(body)
        ids = await self._mlflow.call(RunChanges.undelete, body.run_ids)
        await self._changed(ids)
        return RunIds(run_ids=ids)

    async def _changed(self, run_ids: list[str]) -> None:
        if self._mlflow.columns.pid is not None:
            await self._mlflow.columns.call(RunMirror.touch, run_ids)
        self._events.emit("run")

    async def close(self) -> None:
        """Stop reporting changes."""
        self._watch.close()

    def _tell_no_others(self, watching: bool) -> None:
        self._experiments.changes.runs_are_reported = watching


def _check(body: RunIds) -> None:
    if not 0 < len(body.run_ids) <= MAX_IDS:
        raise InvalidRequest(f"{len(body.run_ids)} runs were named.", hint=f"Name 1 to {MAX_IDS} runs.")
