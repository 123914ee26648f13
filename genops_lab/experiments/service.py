"""Experiments and runs, as MLflow has them."""

from __future__ import annotations

from genops_lab.core.events import EventBus
from genops_lab.core.live import CHANGES, LiveHub

from .backends.runs import MlflowRuns
from .changes import OutsideChanges
from .links import RunLinks, links_of
from .mlflow import MlflowConnection
from .models import (
    Experiment,
    LatestMetrics,
    MetricsQuery,
    MlflowUi,
    Run,
    RunDetail,
    RunMetrics,
    RunOutput,
    RunPage,
    RunQuery,
)


class ExperimentsService:
    """Reads runs. All methods raise Unavailable while MLflow does not answer."""

    def __init__(self, mlflow: MlflowConnection, events: EventBus, live: LiveHub) -> None:
        self._mlflow = mlflow
        self.changes = OutsideChanges(mlflow, events)
        live.produce(CHANGES, lambda _topic, active: self.changes.set_active(active))

    async def list_experiments(self) -> list[Experiment]:
        """All active experiments, latest first."""
        await self._mlflow.ensure()
        return await self._mlflow.worker.call(MlflowRuns.list_experiments)

    async def list_runs(self, query: RunQuery) -> RunPage:
        """Runs of one experiment, or of all, newest first."""
        await self._mlflow.ensure()
        return await self._mlflow.worker.call(MlflowRuns.list_runs, query)

    async def get_run(self, run_id: str) -> RunDetail:
        """A run with its models and artifacts; ``run_id`` may be a unique prefix, a name that only
        one has, or ``latest``."""
        await self._mlflow.ensure()
        return await self._mlflow.worker.call(MlflowRuns.detail, run_id)

    async def get_latest_metrics(self, run_id: str) -> LatestMetrics:
        """The latest value of each metric of a run, with its step and time, and whether the run is stalled."""
        await self._mlflow.ensure()
        return await self._mlflow.worker.call(MlflowRuns.latest, run_id)

    async def get_run_metrics(self, run_id: str, query: MetricsQuery) -> RunMetrics:
        """The metric histories of a run."""
        await self._mlflow.ensure()
        return await self._mlflow.worker.call(MlflowRuns.metrics, run_id, query.after_step)

    async def get_run_output(self, run_id: str) -> RunOutput:
        """What a run printed: the beginning and the end of each stream."""
        await self._mlflow.ensure()
        return await self._mlflow.worker.call(MlflowRuns.output, run_id)

    async def resolve_run(self, ref: str) -> Run:
        """The run with this id, with an id that begins so, the newest for ``latest``, or the only one of this name.

        Raises NotFound, InvalidRequest for several.
        """
        await self._mlflow.ensure()
        return await self._mlflow.worker.call(MlflowRuns.resolve, ref)

    async def open_mlflow_ui(self) -> MlflowUi:
        """Where MLflow's own pages are. Those of the embedded MLflow are read-only, and open in a browser of this
        machine alone; they come up with the first visit (5 to 20 s)."""
        return MlflowUi(url=await self._mlflow.ui_address(), this_machine=self._mlflow.kind == "embedded")

    async def get_run_links(self, run_id: str) -> RunLinks:
        """The addresses under which a run is opened; ``run_id`` may be a unique prefix, a name that only
        one has, or ``latest``."""
        return links_of(await self.resolve_run(run_id), self._mlflow.uri)
