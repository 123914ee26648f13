"""Serve experiments and runs from MLflow."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import shutil
from collections.abc import Mapping
from typing import BinaryIO
from urllib.parse import quote, urlsplit

import msgspec

from genops_lab.core.errors import NotFound
from genops_lab.core.events import EventBus
from genops_lab.core.live import CHANGES, LiveHub
from genops_lab.core.paging import FIRST, MOST, Page, PageQuery

from .backends.artifacts import ArtifactFile, MlflowArtifacts
from .backends.comparing import MlflowComparison
from .backends.experiments import ExperimentChanges
from .backends.media import MlflowMedia
from .backends.runs import MlflowRuns
from .changes import OutsideChanges
from .charts.backend import RunHistories
from .charts.models import Histories, HistoriesQuery, Importance, ImportanceQuery
from .columns.backend import RunMirror
from .comparison.models import ComparisonQuery, RunComparison
from .media.models import HistogramQuery, HistogramSeries, RunMedia
from .mlflow import MlflowConnection, without_credentials
from .models import (
    Experiment,
    ExperimentRef,
    FormerRunPage,
    FormerRunQuery,
    LatestMetrics,
    MetricsQuery,
    MlflowUi,
    NewExperiment,
    Run,
    RunDetail,
    RunMetrics,
    RunOutput,
    RunQuery,
)

_PUBLIC_HUB, _HUB_HOST, _HUB_BASE = "JUPYTERHUB_PUBLIC_HUB_URL", "JUPYTERHUB_HOST", "JUPYTERHUB_BASE_URL"
_SHARE_HINT = (
    "To share runs, let all Labs use one MLflow server: set MLFLOW_TRACKING_URI, or GenOpsLab.mlflow_uri in the "
    "server's configuration."
)


class ExperimentsService:
    """Reads runs. All methods raise Unavailable while MLflow does not answer."""

    def __init__(self, mlflow: MlflowConnection, events: EventBus, live: LiveHub) -> None:
        self._mlflow = mlflow
        self._events = events
        self.changes = OutsideChanges(mlflow, events)
        live.produce(CHANGES, lambda _topic, active: self.changes.set_active(active))

    async def list_experiments(self, query: PageQuery = FIRST) -> Page[Experiment]:
        """Return the active experiments, latest first."""
        return await self._mlflow.call(MlflowRuns.list_experiments, query)

    async def list_deleted_experiments(self, query: PageQuery) -> Page[Experiment]:
        """Return the deleted experiments, latest first."""
        return await self._mlflow.call(ExperimentChanges.list_deleted, query)

    async def add_experiment(self, body: NewExperiment) -> Experiment:
        """Add an experiment. Raises Conflict if the name is taken, also by a deleted one."""
        found = await self._mlflow.call(ExperimentChanges.add, body.name)
        self._events.emit("experiment", found.id)
        return found

    async def delete_experiment(self, body: ExperimentRef) -> Experiment:
        """Mark an experiment and its runs as deleted; they can be restored. Raises NotFound."""
        return await self._changed(*await self._mlflow.call(ExperimentChanges.delete, body.experiment))

    async def undelete_experiment(self, body: ExperimentRef) -> Experiment:
        """Restore a deleted experiment with all its runs, also those that were deleted before it. Raises
        NotFound.
        """
        return await self._changed(*await self._mlflow.call(ExperimentChanges.undelete, body.experiment))

    async def _changed(self, experiment: Experiment, run_ids: list[str]) -> Experiment:
        if run_ids and self._mlflow.columns.pid is not None:
            await self._mlflow.columns.call(RunMirror.touch, run_ids)
        self._events.emit("experiment", experiment.id)
        self._events.emit("run")
        return experiment

    async def list_runs(self, query: RunQuery) -> Page[Run]:
        """Return runs of one experiment, or of all, newest first."""
        return await self._mlflow.call(MlflowRuns.list_runs, query)

    async def list_runs_by_token(self, query: FormerRunQuery) -> FormerRunPage:
        """Return runs of one experiment, or of all, newest first, in the former form of pages."""
        page = await self.list_runs(
            RunQuery(
                experiment=query.experiment,
                filter=query.filter,
                limit=min(query.limit, MOST),
                after=query.page_token,
            )
        )
        return FormerRunPage(runs=page.items, next_page_token=page.next)

    async def get_run(self, run_id: str) -> RunDetail:
        """Return a run with its models and artifacts.

        ``run_id`` may be a unique prefix, a unique name, or ``latest``.
        """
        return await self._mlflow.call(MlflowRuns.detail, run_id)

    async def get_latest_metrics(self, run_id: str) -> LatestMetrics:
        """Return the latest value of each metric of a run, with its step and time, and whether the run is
        stalled.
        """
        return await self._mlflow.call(MlflowRuns.latest, run_id)

    async def get_run_metrics(self, run_id: str, query: MetricsQuery) -> RunMetrics:
        """Return the metric histories of a run."""
        return await self._mlflow.call(MlflowRuns.metrics, run_id, query.after_step)

    async def get_run_output(self, run_id: str) -> RunOutput:
        """Return the printed output of a run: the beginning and the end of each stream."""
        return await self._mlflow.call(MlflowRuns.output, run_id)

    async def resolve_run(self, ref: str) -> Run:
        """Return the run with this id, with an id that begins so, the newest for ``latest``, or the only one
        of this name.

        Raises NotFound, InvalidRequest for several.
        """
        return await self._mlflow.call(MlflowRuns.resolve, ref)

    async def open_mlflow_ui(self) -> MlflowUi:
        """Return the address of MLflow's own pages, which start with the first visit (5 to 20 s).

        Those of the embedded MLflow are read-only and open only in a browser on this machine.
        """
        return MlflowUi(url=await self._mlflow.ui_address(), this_machine=self._mlflow.kind == "embedded")

    async def get_run_links(self, run_id: str) -> RunLinks:
        """Return the addresses that open a run.

        ``run_id`` may be a unique prefix, a unique name, or ``latest``.
        """
        return links_of(await self.resolve_run(run_id), self._mlflow.uri)

    async def get_run_media(self, run_id: str) -> RunMedia:
        """Return the pictures, tables and histograms of a run, by name and step."""
        return await self._mlflow.call(MlflowMedia.media, run_id)

    async def get_run_histograms(self, run_id: str, query: HistogramQuery) -> HistogramSeries:
        """Return the histograms of one name of a run, on common bins. Raises NotFound."""
        return await self._mlflow.call(MlflowMedia.histograms, run_id, query)

    async def query_histories(self, body: HistoriesQuery) -> Histories:
        """Return shortened histories of a metric of many runs, with all peaks. Raises InvalidRequest."""
        return await self._mlflow.call_columns(RunHistories.histories, body)

    async def rank_parameters(self, body: ImportanceQuery) -> Importance:
        """Rank parameters by their importance for a metric. Raises InvalidRequest (the query), NotFound (an
        experiment).
        """
        return await self._mlflow.call_columns(RunMirror.importance, body)

    async def compare_runs(self, body: ComparisonQuery) -> RunComparison:
        """Compare runs; repeats share a column, and each column is compared with the baseline's.

        Raises InvalidRequest (fewer than 2 runs, more than 40, a baseline that is not one of them), NotFound.
        """
        return await self._mlflow.call(MlflowComparison.compare, body)

    async def open_artifact(self, run_id: str, path: str) -> BinaryIO:
        """Open one file of a run, to be read in parts and closed. A temporary copy of it is already unlinked.

        Raises InvalidRequest for a folder or a path that leaves the run's artifacts; NotFound.
        """
        run = await self.resolve_run(run_id)
        found = await self._mlflow.worker.call(MlflowArtifacts.locate, run.run_id, path)
        return await asyncio.to_thread(_opened, found, path)


def _opened(found: ArtifactFile, path: str) -> BinaryIO:
    try:
        return open(found.path, "rb")  # noqa: PTH123 - the caller closes it
    except FileNotFoundError as error:
        raise NotFound(
            f"The artifact {path[:80]!r} does not exist any more.", hint="It was deleted before it was read."
        ) from error
    finally:
        if found.folder:
            shutil.rmtree(found.folder, ignore_errors=True)


class RunLinks(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses that open a run, without credentials.

    ``mlflow`` is MLflow's own page, empty if MLflow has none. ``lab`` is relative to a Lab's base URL.
    ``hub`` opens each user's own server (a path if the hub's address is unknown), empty without a hub. If no
    colleague can see the run, ``shared`` is false, and ``why`` and ``hint`` say what to do.
    """

    run_id: str
    name: str
    mlflow: str
    lab: str
    hub: str
    shared: bool
    why: str = ""
    hint: str = ""


def links_of(run: Run, tracking_uri: str, environment: Mapping[str, str] = os.environ) -> RunLinks:
    """Return the links of a run in the MLflow at ``tracking_uri``."""
    uri = without_credentials(tracking_uri)
    parts = urlsplit(uri)
    lab = f"lab?genops-run={quote(run.run_id, safe='')}"
    mlflow, why = "", ""
    if parts.scheme in ("http", "https"):
        # MLflow's UI routes behind the hash.
        experiment, run_id = (quote(part, safe="") for part in (run.experiment_id, run.run_id))
        mlflow = f"{uri.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}"
        if _is_loopback(parts.hostname or ""):
            why = f"Only this machine can reach MLflow's address {parts.netloc}."
    elif parts.scheme in ("", "file", "sqlite"):
        why = "A colleague cannot open this run, because it is in a file of yours, not on a server."
    return RunLinks(
        run_id=run.run_id,
        name=run.name,
        mlflow=mlflow,
        lab=lab,
        hub=_hub_link(lab, environment),
        shared=not why,
        why=why,
        hint=_SHARE_HINT if why else "",
    )


def _hub_link(lab: str, environment: Mapping[str, str]) -> str:
    """Return a link by JupyterHub's ``user-redirect``, which keeps the query and opens the visitor's own
    server.
    """
    hub = environment.get(_PUBLIC_HUB, "")
    if not hub and (base := environment.get(_HUB_BASE, "")):
        hub = f"{environment.get(_HUB_HOST, '')}{base.rstrip('/')}/hub/"
    return f"{hub.rstrip('/')}/user-redirect/{lab}" if hub else ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
