"""Experiments and runs, as MLflow has them."""

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

from .backends.artifacts import HandedOut, MlflowArtifacts
from .backends.comparing import MlflowComparison
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
    FormerRunPage,
    FormerRunQuery,
    LatestMetrics,
    MetricsQuery,
    MlflowUi,
    Run,
    RunDetail,
    RunMetrics,
    RunOutput,
    RunQuery,
)

_PUBLIC_HUB, _HUB_HOST, _HUB_BASE = "JUPYTERHUB_PUBLIC_HUB_URL", "JUPYTERHUB_HOST", "JUPYTERHUB_BASE_URL"
_SHARE_HINT = (
    "To share runs, let everybody's Lab use one MLflow server: MLFLOW_TRACKING_URI, or GenOpsLab.mlflow_uri in the "
    "server's configuration."
)


class ExperimentsService:
    """Reads runs. All methods raise Unavailable while MLflow does not answer."""

    def __init__(self, mlflow: MlflowConnection, events: EventBus, live: LiveHub) -> None:
        self._mlflow = mlflow
        self.changes = OutsideChanges(mlflow, events)
        live.produce(CHANGES, lambda _topic, active: self.changes.set_active(active))

    async def list_experiments(self, query: PageQuery = FIRST) -> Page[Experiment]:
        """The active experiments, latest first."""
        return await self._mlflow.call(MlflowRuns.list_experiments, query)

    async def list_runs(self, query: RunQuery) -> Page[Run]:
        """Runs of one experiment, or of all, newest first."""
        return await self._mlflow.call(MlflowRuns.list_runs, query)

    async def list_runs_by_token(self, query: FormerRunQuery) -> FormerRunPage:
        """Runs of one experiment, or of all, newest first, as they were answered before pages were alike."""
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
        """A run with its models and artifacts; ``run_id`` may be a unique prefix, a name that only
        one has, or ``latest``."""
        return await self._mlflow.call(MlflowRuns.detail, run_id)

    async def get_latest_metrics(self, run_id: str) -> LatestMetrics:
        """The latest value of each metric of a run, with its step and time, and whether the run is stalled."""
        return await self._mlflow.call(MlflowRuns.latest, run_id)

    async def get_run_metrics(self, run_id: str, query: MetricsQuery) -> RunMetrics:
        """The metric histories of a run."""
        return await self._mlflow.call(MlflowRuns.metrics, run_id, query.after_step)

    async def get_run_output(self, run_id: str) -> RunOutput:
        """What a run printed: the beginning and the end of each stream."""
        return await self._mlflow.call(MlflowRuns.output, run_id)

    async def resolve_run(self, ref: str) -> Run:
        """The run with this id, with an id that begins so, the newest for ``latest``, or the only one of this name.

        Raises NotFound, InvalidRequest for several.
        """
        return await self._mlflow.call(MlflowRuns.resolve, ref)

    async def open_mlflow_ui(self) -> MlflowUi:
        """Where MLflow's own pages are. Those of the embedded MLflow are read-only, and open in a browser of this
        machine alone; they come up with the first visit (5 to 20 s)."""
        return MlflowUi(url=await self._mlflow.ui_address(), this_machine=self._mlflow.kind == "embedded")

    async def get_run_links(self, run_id: str) -> RunLinks:
        """The addresses under which a run is opened; ``run_id`` may be a unique prefix, a name that only
        one has, or ``latest``."""
        return links_of(await self.resolve_run(run_id), self._mlflow.uri)

    async def get_run_media(self, run_id: str) -> RunMedia:
        """The pictures, tables and histograms of a run, by name and step."""
        return await self._mlflow.call(MlflowMedia.media, run_id)

    async def get_run_histograms(self, run_id: str, query: HistogramQuery) -> HistogramSeries:
        """The histograms of one name of a run, on common bins. Raises NotFound."""
        return await self._mlflow.call(MlflowMedia.histograms, run_id, query)

    async def query_histories(self, body: HistoriesQuery) -> Histories:
        """Histories of a metric of many runs, made short so that no peak is hidden. Raises InvalidRequest."""
        return await self._mlflow.call_columns(RunHistories.histories, body)

    async def rank_parameters(self, body: ImportanceQuery) -> Importance:
        """How much each parameter tells of a metric. Raises InvalidRequest (the query), NotFound (an experiment)."""
        return await self._mlflow.call_columns(RunMirror.importance, body)

    async def compare_runs(self, body: ComparisonQuery) -> RunComparison:
        """What differs between runs; repeats are taken together, and each column is compared with the baseline's.

        Raises InvalidRequest (fewer than 2 runs, more than 40, a baseline that is none of them), NotFound.
        """
        return await self._mlflow.call(MlflowComparison.compare, body)

    async def open_artifact(self, run_id: str, path: str) -> BinaryIO:
        """One file of a run, to be read in parts and closed. A copy of it has no name any more when this returns.

        Raises InvalidRequest for a path that leaves the run's artifacts, or a folder; NotFound.
        """
        run = await self.resolve_run(run_id)
        found = await self._mlflow.worker.call(MlflowArtifacts.hand_out, run.run_id, path)
        return await asyncio.to_thread(_opened, found, path)


def _opened(found: HandedOut, path: str) -> BinaryIO:
    try:
        return open(found.path, "rb")  # noqa: PTH123 - who asked closes it
    except FileNotFoundError as error:
        raise NotFound(
            f"The artifact {path[:80]!r} is gone.", hint="It was deleted while it was to be read."
        ) from error
    finally:
        if found.folder:
            shutil.rmtree(found.folder, ignore_errors=True)


class RunLinks(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run can be opened, without credentials.

    ``mlflow`` is MLflow's own page, empty where MLflow has none. ``lab`` is behind any Lab's base URL, ``hub`` opens
    each user's own server (a path where the hub's address is not known), empty off a hub. Where no colleague can see
    the run, ``shared`` is false, and ``why`` and ``hint`` say what to do.
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
    """The links of a run that the MLflow at ``tracking_uri`` has."""
    uri = without_credentials(tracking_uri)
    parts = urlsplit(uri)
    lab = f"lab?genops-run={quote(run.run_id, safe='')}"
    mlflow, why = "", ""
    if parts.scheme in ("http", "https"):
        # MLflow's UI routes behind the hash.
        experiment, run_id = (quote(part, safe="") for part in (run.experiment_id, run.run_id))
        mlflow = f"{uri.rstrip('/')}/#/experiments/{experiment}/runs/{run_id}"
        if _is_loopback(parts.hostname or ""):
            why = f"MLflow's address {parts.netloc} is one of this machine alone."
    elif parts.scheme in ("", "file", "sqlite"):
        why = "A colleague cannot open this run: it is in a file of yours, not on a server."
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
    """By JupyterHub's ``user-redirect``, which keeps the query and opens the server of whoever follows it."""
    hub = environment.get(_PUBLIC_HUB, "")
    if not hub and (base := environment.get(_HUB_BASE, "")):
        hub = f"{environment.get(_HUB_HOST, '')}{base.rstrip('/')}/hub/"
    return f"{hub.rstrip('/')}/user-redirect/{lab}" if hub else ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
