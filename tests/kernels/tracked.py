"""A Lab that tracks what kernels on a target log, without a web server, and such kernels."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from genops_lab.app.features import FEATURES
from genops_lab.core.features import Features
from genops_lab.core.services import Services
from genops_lab.core.settings import Settings
from genops_lab.core.store import SharedStore
from genops_lab.core.store.work import WorkTable
from genops_lab.core.tasks import TasksService
from genops_lab.core.work import WorkService
from genops_lab.evaluations.service import EvaluationsService
from genops_lab.experiments.models import MetricsQuery, Run, RunDetail, RunQuery
from genops_lab.genai.evaluations.kernel_requests import KernelEvaluations
from genops_lab.genai.prompts.service import PromptsService
from genops_lab.hosts.async_connections import LoopConnections
from genops_lab.hosts.link.connection import HostConnection
from genops_lab.hosts.link.route import Route
from genops_lab.kernel_api.service import RemoteTracking
from genops_lab.kernel_api.uploads import IncomingFiles
from genops_lab.kernels.folders.requests import FolderRequests
from genops_lab.profiling.remote_analysis.service import RemoteAnalysisService
from genops_lab.profiling.service import ProfilesService
from genops_lab.registry.moves import AliasMoves
from genops_lab.registry.service import RegistryService
from tests.experiments.conftest import Room, move_made, open_room
from tests.support.homes import Home

from .places import Place, Running, a_kernel, a_place

T = TypeVar("T")

LONG_S = 120.0


class TrackingLab:
    """The tracking rooms of a Lab, in a loop in a thread of its own, as a server's."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.run(self._open())

    async def _open(self) -> None:
        data = self.place.home.data
        self.room: Room = open_room(data)
        self.prices: dict[str, float] = {}
        self.profiles = ProfilesService(
            Settings(data_dir=data), self.room.mlflow, self.room.store, self.room.events, self.prices.get
        )
        # The Lab's targets are its ledger and its links; here the place has the only one.
        targets: Any = SimpleNamespace(
            connected_link=self._link, link=self._link, connections=LoopConnections(self.place.remote.links)
        )
        table = WorkTable(self.room.store)
        self.tasks = TasksService(self.room.events, table)
        work = WorkService(Settings(data_dir=data), self.tasks, table)
        self.beside = RemoteAnalysisService(Settings(data_dir=data), self.profiles, targets, self.tasks, work)
        settings, room = Settings(data_dir=data), self.room
        self.shared = SharedStore.at("", data)
        moves = AliasMoves(settings, room.mlflow, self.shared, work, room.events)
        self.registry = RegistryService(room.mlflow, room.experiments, room.store, room.events, moves)
        loading: Any = None  # no model is loaded here
        self.evaluations = EvaluationsService(
            settings, room.mlflow, self.registry, loading, room.events, work
        )
        services = Services()
        unused: Any = None  # nobody asks for a pull, an evaluation of answers or a prompt here
        for each in (
            self.room.tracking, self.profiles, self.beside, IncomingFiles(data / "incoming"), self.evaluations,
            FolderRequests(unused, unused, unused), KernelEvaluations(unused, unused, unused, data),
            PromptsService(unused, unused),
        ):  # fmt: skip
            services.provide(type(each), lambda _get, each=each: each)
        admitted = Features(FEATURES).operations("kernel")
        self.remote = RemoteTracking(self.place.remote, admitted, services, self._known)

    async def _link(self, _target: str) -> HostConnection:
        return self.place.remote.links.link(self.place.route)

    def _known(self, _target: str) -> set[str]:
        return set()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LONG_S)

    def close(self) -> None:
        """The server stops."""
        self.run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        await self.remote.close()
        await self.tasks.close()
        await self.profiles.close()
        await self.room.close()
        self.shared.close()

    # What MLflow has

    def runs(self) -> list[Run]:
        """All runs."""
        return self.run(self.room.experiments.list_runs(RunQuery())).items

    def the_run(self) -> Run:
        """The only run."""
        (run,) = self.runs()
        return run

    def detail(self, run: Run) -> RunDetail:
        """With its artifacts."""
        return self.run(self.room.experiments.get_run(run.run_id))

    def steps(self, run: Run, key: str = "loss") -> list[int]:
        """The steps of a metric, each as often as it was written."""
        found = self.run(self.room.experiments.get_run_metrics(run.run_id, MetricsQuery()))
        return next((series.steps for series in found.series if series.key == key), [])

    def ended(self, status: str) -> Run:
        """The only run, once it has ended so."""
        eventually(lambda: [run.status for run in self.runs()] == [status])
        return self.the_run()


def eventually(reached: Callable[[], Any], within_s: float = LONG_S) -> Any:
    """The first true value."""
    deadline, pause_s = time.monotonic() + within_s, 0.02
    while not (found := reached()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(pause_s)
        pause_s = min(1.3 * pause_s, 0.2)  # most looks ask MLflow
    return found


@contextmanager
def tracking_lab(home: Home, made: Path, route: Route) -> Iterator[TrackingLab]:
    """A Lab with a target."""
    with a_place(home, route) as place:
        move_made(made, home.data)
        lab = TrackingLab(place)
        try:
            yield lab
        finally:
            lab.close()


@contextmanager
def loaded(place: Place, **start: Any) -> Iterator[Running]:
    """A kernel with the extension."""
    with a_kernel(place, **start) as kernel:
        ok(kernel, "%load_ext genops_lab")
        yield kernel


def ok(kernel: Running, code: str) -> str:
    """What a cell printed that must succeed."""
    reply, printed = kernel.run(code, LONG_S)
    assert reply["status"] == "ok", (reply, printed)
    return printed
