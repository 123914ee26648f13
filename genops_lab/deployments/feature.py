"""Declare the deployments feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature

from .description.routes import OPERATIONS as FILE_OPERATIONS
from .routes import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from genops_lab.core.features import Route
    from genops_lab.core.jupyter import JupyterServer
    from genops_lab.core.services import Get, Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.live import LiveHub
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.core.store.work import WorkTable
    from genops_lab.core.tasks import TasksService
    from genops_lab.core.work import WorkService
    from genops_lab.evaluations.loading import ModelLoading
    from genops_lab.experiments.columns.service import DeploymentsOfRuns
    from genops_lab.experiments.mlflow import MlflowConnection
    from genops_lab.hosts.service import TargetsService
    from genops_lab.registry.deleting import DeploymentsOfModel
    from genops_lab.registry.service import RegistryService
    from genops_lab.registry.versions.service import DeployedVersions

    from .asking import AskingService
    from .batches.service import BatchesService
    from .chatting import ChattingService
    from .check import ModelChecker
    from .description.service import DescriptionsService
    from .engine_settings import EngineSettingsService
    from .environments import Environments
    from .fetched import FetchedService
    from .https import tls_of
    from .lab_route import LabRouteService
    from .live_scorers import LiveScorers
    from .load_tests import LoadTestsService
    from .loading import model_loading
    from .recording import RecordingService
    from .records import Records
    from .rollout_service import RolloutsService
    from .secrets import Secrets, SecretsService
    from .service import DeploymentsService
    from .targets.base import DeploymentTarget
    from .targets.host import HostTarget
    from .targets.local import LocalTarget

    def environments(get: Get) -> Environments:
        return Environments(get(Settings).data_dir / "environments")

    def local(get: Get) -> LocalTarget:
        settings = get(Settings)
        return LocalTarget(settings.data_dir / "deployments", environments(get), tls=tls_of(settings))

    def loading(get: Get) -> ModelLoading:
        root = get(Settings).data_dir / "evaluations" / ".checked"
        life = get(LocalTarget).capabilities()
        checker = ModelChecker(root, get(RegistryService), get(LocalStore), life)
        return model_loading(checker, environments(get))

    def on(get: Get) -> Callable[[str], DeploymentTarget]:
        folder = get(Settings).data_dir / "gateway-ports"

        def make(target: str) -> HostTarget:
            return HostTarget(target, get(TargetsService), folder)

        return make

    def deployments(get: Get) -> DeploymentsService:
        found = DeploymentsService(
            get(Settings), get(RegistryService), get(LocalStore), get(EventBus), get(LiveHub), get(WorkService),
            get(WorkTable), get(LocalTarget), on(get),
        )  # fmt: skip
        get(TargetsService).refuse_removal(found.stay_on)
        return found

    services.provide(LocalTarget, local)
    services.provide(ModelLoading, loading)
    services.provide(DeploymentsService, deployments)
    services.provide(
        BatchesService,
        lambda get: BatchesService(
            get(Settings), get(MlflowConnection), get(DeploymentsService), get(WorkService)
        ),
    )
    services.provide(
        RolloutsService, lambda get: RolloutsService(get(DeploymentsService), get(DeploymentsService).target)
    )
    services.provide(
        DescriptionsService,
        lambda get: DescriptionsService(
            get(Settings),
            get(DeploymentsService),
            Records(get(LocalStore)),
            Secrets(get(Settings).data_dir / "secrets"),
            services.find(LiveScorers),
        ),
    )
    services.provide(SecretsService, lambda get: SecretsService(Secrets(get(Settings).data_dir / "secrets")))
    services.provide(
        FetchedService,
        lambda get: FetchedService(
            get(Settings).data_dir / "deployments",
            Records(get(LocalStore)),
            get(TasksService),
            get(DeploymentsService),
        ),
    )
    services.provide(LabRouteService, lambda get: LabRouteService(get(DeploymentsService)))
    services.provide(AskingService, lambda get: AskingService(get(DeploymentsService)))
    services.provide(EngineSettingsService, lambda get: EngineSettingsService())
    services.provide(ChattingService, lambda get: ChattingService(get(AskingService)))
    services.provide(
        RecordingService,
        lambda get: RecordingService(get(AskingService), get(DeploymentsService).target),
    )
    services.provide(
        LoadTestsService,
        lambda get: LoadTestsService(
            get(Settings), get(TasksService), get(AskingService), get(RecordingService)
        ),
    )
    services.provide(DeploymentsOfRuns, lambda get: DeploymentsOfRuns(get(DeploymentsService).serving))
    services.provide(DeploymentsOfModel, lambda get: DeploymentsOfModel(get(DeploymentsService).of_model))
    services.provide(DeployedVersions, lambda get: DeployedVersions(get(DeploymentsService).of_versions))


def _routes(server: JupyterServer) -> list[Route]:
    from .lab_route import ROUTE, LabRouteHandler

    return [(ROUTE, LabRouteHandler, {"services": server.services})]


FEATURE = Feature(
    name="deployments",
    switch="deployments",
    operations=[*OPERATIONS, *FILE_OPERATIONS],
    events=("deployment",),
    provide=_provide,
    routes=_routes,
)
