"""The house put together: services and what they need, without a web server.

The Jupyter extension runs one in the server; the command line runs one in its own process when no server
is there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..core.events import EventBus
from ..core.live import LiveHub
from ..core.locks import FileLock
from ..core.settings import Settings
from ..core.store import LocalStore, SharedStore
from ..core.store.outbox import Outbox
from ..core.tasks import TasksService
from ..deployments.service import DeploymentsService
from ..doctor.service import DoctorService
from ..experiments.charts.service import ChartsService
from ..experiments.columns.service import RunTableService
from ..experiments.comparison.service import ComparisonService
from ..experiments.media.service import MediaService
from ..experiments.mlflow import MlflowConnection
from ..experiments.restoring.service import RestoringService
from ..experiments.service import ExperimentsService
from ..experiments.tracking import TrackingService
from ..hosts.environments import EnvironmentsService
from ..hosts.link.connections import HostConnections
from ..hosts.questions import QuestionsService
from ..hosts.service import TargetsService
from ..hosts.variables import VariablesService
from ..kernel_api.service import RemoteTracking
from ..kernels.folders.host_copies import Copies
from ..kernels.folders.service import FoldersService
from ..kernels.outputs.service import OutputsService
from ..kernels.owners import KernelOwners
from ..kernels.process import configure
from ..kernels.remote_service import RemoteKernelsService
from ..kernels.service import ComputeService, KernelDirectory
from ..kernels.storage import StorageService
from ..profiling.memory_timeline.service import MemoryService
from ..profiling.perfetto.service import PerfettoService
from ..profiling.remote_analysis.service import RemoteAnalysisService
from ..profiling.service import ProfilesService
from ..profiling.timeline.service import TimelineService
from ..quickstart.service import QuickstartService
from ..registry.service import RegistryService
from ..sweeps.service import SweepsService

if TYPE_CHECKING:
    from ..kernels.client.client import RemoteKernelClient


class Application:
    """All services. ``services`` finds one by its class name, as operations name it."""

    def __init__(
        self,
        settings: Settings,
        store: LocalStore,
        shared: SharedStore,
        live: LiveHub,
        kernels: KernelDirectory | None = None,
    ) -> None:
        self.settings = settings
        self.store, self.shared = store, shared
        self.outbox = Outbox(store, shared)
        self.events = EventBus(store)
        self.live = live
        self.tasks = TasksService(self.events)
        self.mlflow = MlflowConnection(settings)
        self.compute = ComputeService(self.live, kernels)
        self.experiments = ExperimentsService(self.mlflow, self.events, self.live)
        self.restoring = RestoringService(self.mlflow, self.experiments)
        self.comparison = ComparisonService(self.mlflow, self.experiments)
        self.media = MediaService(self.mlflow)
        self.run_table = RunTableService(self.mlflow, self.experiments, self.events, self.live)
        self.charts = ChartsService(self.mlflow)
        self.tracking = TrackingService(self.mlflow, store, self.events, self.live)
        self.sweeps = SweepsService(settings, store, self.events, self.mlflow, self.tracking)
        self.registry = RegistryService(self.mlflow, self.experiments, store, self.events)
        self.profiles = ProfilesService(settings, self.mlflow, store, self.events)
        self.timelines = TimelineService(self.profiles)
        self.memory = MemoryService(self.profiles)
        self.perfetto = PerfettoService(self.profiles)
        self.deployments = DeploymentsService(
            settings, self.mlflow, self.registry, store, self.events, self.live, self.tasks
        )
        self.run_table.serving = self.deployments.serving
        self.questions = QuestionsService(self.events)
        # The provisioners of this process use the same links; their thread starts with the first work.
        self.links = HostConnections(settings.data_dir, self.questions)
        self.targets = TargetsService(
            settings,
            store,
            self.events,
            self.live,
            self.tasks,
            self.questions,
            kernels,
            links=self.links,
        )
        self.profiles.price_of = self.targets.ledger.price_of
        self.beside = RemoteAnalysisService(settings, self.profiles, self.targets, self.tasks)
        self.remote = configure(settings.data_dir, self.questions, self.targets.ledger.get, links=self.links)
        self.folders = FoldersService(settings, self.tasks, self.targets.ledger.get, self.remote.folders)
        self.remote_kernels = RemoteKernelsService(self.targets, self.remote, kernels)
        self.environments = EnvironmentsService(settings, self.targets, self.tasks)
        self.storage = StorageService(self.targets, Copies(self.remote.folders.memories))
        self._follow_starts()
        self.variables = VariablesService()
        self.targets.build_of = self.environments.task_of
        self.outputs = OutputsService(settings, store, self.events)
        self.quickstart = QuickstartService(settings)
        self.doctor = DoctorService(self)
        self.services: dict[str, Any] = {
            type(service).__name__: service
            for service in (
                self.tasks,
                self.compute,
                self.experiments,
                self.restoring,
                self.comparison,
                self.media,
                self.run_table,
                self.charts,
                self.tracking,
                self.sweeps,
                self.registry,
                self.profiles,
                self.timelines,
                self.memory,
                self.perfetto,
                self.beside,
                self.deployments,
                self.questions,
                self.targets,
                self.remote_kernels,
                self.folders,
                self.environments,
                self.storage,
                self.variables,
                self.outputs,
                self.quickstart,
                self.doctor,
            )
        }
        # Two servers of one user: one supervises (spooled runs, dead kernels, deployments' leases).
        self._supervisor = FileLock(settings.data_dir / "supervisor.lock")
        self._supervising: asyncio.Task[None] | None = None
        self._remote_tracking: RemoteTracking | None = None

    @staticmethod
    async def open(
        settings: Settings,
        kernels: KernelDirectory | None = None,
        *,
        live: LiveHub | None = None,
        supervise: bool = True,
    ) -> Application:
        """Open the store off the event loop and start what must run."""
        shared = SharedStore.at(settings.store_url, settings.data_dir)
        former = shared.url if settings.store_url else None
        store = await asyncio.to_thread(LocalStore, settings.data_dir / "store.db", former=former)
        lab = Application(settings, store, shared, live or LiveHub(), kernels)
        await lab.targets.open()
        lab.targets.holders = KernelOwners(lab.remote, lab.targets.changed)
        lab._remote_tracking = RemoteTracking(
            lab.remote,
            lab.tracking,
            lab.profiles,
            settings.data_dir,
            lab._own_kernels,
            lab.folders.requests,
            lab.beside,
        )
        if supervise:
            lab._supervising = asyncio.create_task(lab._supervise())
        return lab

    @property
    def supervises(self) -> bool:
        """Whether this Lab is the one that supervises for its user."""
        return self._supervisor.held

    async def _supervise(self) -> None:
        while not self._supervisor.try_acquire():
            await asyncio.sleep(5)
        await asyncio.gather(self.tracking.supervise(), self.deployments.supervise(), self.outbox.supervise())

    def _follow_starts(self) -> None:
        """A kernel that starts may have taken one that stood ready."""
        loop, started = asyncio.get_running_loop(), self.targets.upkeep.kernel_started

        def told(bridge: RemoteKernelClient) -> None:
            if bridge.state.state == "connected" and not loop.is_closed():  # told in the links' thread
                loop.call_soon_threadsafe(started, bridge.link.route.target)

        self._unfollow_starts = self.remote.watch(told)

    async def _own_kernels(self, target: str) -> set[str]:
        found = await asyncio.to_thread(self.targets.ledger.own_kernels, target)
        return {kernel.kernel_id for kernel in found}

    async def stop(self) -> None:
        """Stop in order: supervision, tasks, what they use, the store. Deployments go on."""
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.wait([self._supervising])
        await self.sweeps.close()
        self.run_table.close()
        await self.folders.close()
        await self.tasks.close()
        if self._remote_tracking is not None:
            await self._remote_tracking.close()
        self._unfollow_starts()
        self.remote_kernels.close()
        await self.targets.close()
        self.outputs.close()
        await self.events.close()
        await self.profiles.close()
        await self.mlflow.close()
        self._supervisor.release()
        await asyncio.to_thread(self.store.close)
        await asyncio.to_thread(self.shared.close)
