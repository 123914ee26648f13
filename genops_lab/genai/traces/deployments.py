"""Make traces of a sample of the requests that deployments answer, while the Lab runs."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from genops_lab.core.errors import GenOpsError
from genops_lab.core.events import EventBus
from genops_lab.core.services import Service
from genops_lab.core.settings import Settings
from genops_lab.deployments.record import Record
from genops_lab.deployments.service import DeploymentsService
from genops_lab.deployments.tracing_settings import Traced
from genops_lab.experiments.mlflow import MlflowConnection

from .answered import AnsweredRequest, AnsweredTraces
from .models import DeploymentTraces, NewDeploymentTraces

if TYPE_CHECKING:
    from genops_lab.core.store import LocalStore
    from genops_lab.genai.online.store import OnlineStore

_EVERY_S = 3.0
#: Traces of one write: redaction by Presidio takes up to a second for each.
_BATCH = 50
log = logging.getLogger("genops_lab")


@dataclass
class _Progress:
    """The samples that this Lab has taken from a run of the gateway: the number of the last one, and counts."""

    run: str = ""
    last: int = 0
    kept: int = 0
    lost: int = 0
    problem: str = ""


class DeploymentTracesService(Service):
    """Asks the gateways of traced deployments for new samples, and keeps them in MLflow."""

    def __init__(
        self,
        settings: Settings,
        deployments: DeploymentsService,
        store: LocalStore,
        mlflow: MlflowConnection,
        events: EventBus,
        online: OnlineStore | None = None,
    ) -> None:
        """``online`` hears of each trace, for its scorers."""
        self._online = online
        self._deployments, self._mlflow, self._events = deployments, mlflow, events
        from genops_lab.deployments.records import (
            Records,
        )  # imports SQLAlchemy, and commands import this module

        self._records = Records(store)
        self._redaction = settings.redact_traces
        self._progress: dict[tuple[str, float], _Progress] = {}
        self._one_at_a_time = asyncio.Lock()

    async def set_deployment_traces(self, name: str, body: NewDeploymentTraces) -> DeploymentTraces:
        """Make traces of a sample of a deployment's requests from now on. Raises NotFound."""
        record = await asyncio.to_thread(self._records.get, name)
        await asyncio.to_thread(self._records.change_traces, record, body)
        await self.collect(name)
        self._events.emit("deployment", name)
        return await self.get_deployment_traces(name)

    async def get_deployment_traces(self, name: str) -> DeploymentTraces:
        """Return which requests of a deployment become traces, and how many did. Raises NotFound."""
        record = await asyncio.to_thread(self._records.get, name)
        traces, progress = record.wanted.traces, self._of(record)
        if traces is None:
            return DeploymentTraces(name=name, on=False)
        return DeploymentTraces(
            name=name, on=True, sample=traces.sample, experiment=traces.experiment, kept=progress.kept,
            lost=progress.lost, redaction=self._redaction, problem=progress.problem,
        )  # fmt: skip

    async def delete_deployment_traces(self, name: str) -> None:
        """Make no more traces of a deployment's requests; idempotent. The traces stay."""
        record = await asyncio.to_thread(self._records.get, name)
        await self.collect(name, all=True)
        await asyncio.to_thread(self._records.change_traces, record, None)
        if record.state == "running" and record.wanted.traces is not None:
            await self._ask(name, 0.0, "", 0)
        self._events.emit("deployment", name)

    async def supervise(self) -> None:
        """Take new samples in an endless loop."""
        while True:
            try:
                await self.collect()
            except Exception:  # the boundary: one deployment must not end the traces of all
                log.exception("Traces of deployments could not be collected")
            await asyncio.sleep(_EVERY_S)

    async def collect(self, name: str = "", *, all: bool = False) -> None:
        """Take the samples of all traced deployments, or of one, and keep them in MLflow.

        ``all``: those too that wait in the gateway for the traces of their applications.
        """
        async with self._one_at_a_time:
            for record in await asyncio.to_thread(self._records.all):
                traces = record.wanted.traces
                if traces is None or record.state != "running" or name not in ("", record.name):
                    continue
                progress = self._of(record)
                try:
                    await self._take(record, traces, progress, all)
                except GenOpsError as error:
                    if not progress.problem:
                        log.warning("Traces of %s wait: %s %s", record.name, error.message, error.hint)
                    progress.problem = f"{error.message} {error.hint}".strip()

    def _of(self, record: Record) -> _Progress:
        return self._progress.setdefault((record.name, record.created_at), _Progress())

    async def _take(self, record: Record, traces: Traced, progress: _Progress, all: bool) -> None:
        name, more = record.name, True
        while more:
            found = await self._ask(name, traces.sample, progress.run, progress.last, all=all)
            progress.lost = int(found["lost"])
            requests = msgspec.convert(found["samples"], list[AnsweredRequest])
            for start in range(0, len(requests), _BATCH):
                batch = requests[start : start + _BATCH]
                calls = await self._mlflow.call_long(
                    AnsweredTraces.keep, name, traces.experiment, self._redaction, batch
                )
                progress.kept += len(calls)
                if self._online is not None:  # before the gateway forgets them
                    await asyncio.to_thread(self._online.add, name, record.created_at, calls)
            progress.run, progress.last = str(found["run"]), int(found["last"])
            progress.problem = ""
            if requests:
                self._events.emit("trace")
            more = bool(found["more"])

    async def _ask(
        self, name: str, share: float, run: str, after: int, *, all: bool = False
    ) -> dict[str, Any]:  # fmt: skip
        return await self._deployments.target.ask_gateway(
            {"op": "samples", "name": name, "share": share, "run": run, "after": after, "all": all}
        )
