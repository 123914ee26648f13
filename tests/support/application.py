"""An application without a web server whose services have short names, for tests."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from genops_lab.app.application import Application
from genops_lab.core.live import LiveHub
from genops_lab.core.settings import Settings
from genops_lab.core.tasks import TasksService
from genops_lab.deployments.description.service import DescriptionsService
from genops_lab.deployments.service import DeploymentsService
from genops_lab.experiments.mlflow import MlflowConnection
from genops_lab.experiments.service import ExperimentsService
from genops_lab.experiments.tracking import TrackingService
from genops_lab.hosts.environments import EnvironmentsService
from genops_lab.hosts.link.connections import HostConnections
from genops_lab.hosts.questions import QuestionsService
from genops_lab.hosts.service import TargetsService
from genops_lab.hosts.target_tests import TargetTestsService
from genops_lab.kernels.folders.service import FoldersService
from genops_lab.kernels.remote_kernels import RemoteKernels
from genops_lab.kernels.remote_service import RemoteKernelsService
from genops_lab.kernels.storage import StorageService
from genops_lab.profiling.perfetto.service import PerfettoService
from genops_lab.profiling.remote_analysis.service import RemoteAnalysisService
from genops_lab.profiling.service import ProfilesService
from genops_lab.registry.service import RegistryService

from .homes import Home


class Lab:
    """Opened by :func:`open_lab`."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.store, self.events = application.store, application.events
        self.settings = application.settings
        get = application.get
        self.live = get(LiveHub)
        self.tasks = get(TasksService)
        self.mlflow = get(MlflowConnection)
        self.experiments = get(ExperimentsService)
        self.tracking = get(TrackingService)
        self.registry = get(RegistryService)
        self.profiles = get(ProfilesService)
        self.beside = get(RemoteAnalysisService)
        self.perfetto = get(PerfettoService)
        self.deployments = get(DeploymentsService)
        self.files = get(DescriptionsService)
        self.questions = get(QuestionsService)
        self.links = get(HostConnections)
        self.targets = get(TargetsService)
        self.target_tests = get(TargetTestsService)
        self.remote = get(RemoteKernels)
        self.remote_kernels = get(RemoteKernelsService)
        self.folders = get(FoldersService)
        self.environments = get(EnvironmentsService)
        self.storage = get(StorageService)

    async def stop(self) -> None:
        """As a server that stops."""
        await self.application.stop()


async def open_lab(settings: Settings, **options: Any) -> Lab:
    """The services, opened in the running loop."""
    return Lab(await Application.open(settings, **options))


@contextlib.asynccontextmanager
async def opened(home: Home, **settings: Any) -> AsyncIterator[Lab]:
    """Open the services over the data of a home, and stop them at the end."""
    lab = await open_lab(Settings(data_dir=home.data, **settings))
    try:
        yield lab
    finally:
        await lab.stop()
