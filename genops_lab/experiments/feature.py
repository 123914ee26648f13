"""Register the feature "experiments" in the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from genops_lab.core.features import Feature, Route

from .routes import OPERATIONS

if TYPE_CHECKING:
    from genops_lab.core.jupyter import JupyterServer
    from genops_lab.core.services import Services


def _provide(services: Services) -> None:
    from genops_lab.core.events import EventBus
    from genops_lab.core.live import LiveHub
    from genops_lab.core.settings import Settings
    from genops_lab.core.store import LocalStore
    from genops_lab.kernels.process import MlflowVariables

    from .columns.service import DeploymentsOfRuns, RunTableService
    from .mlflow import MlflowConnection
    from .restoring.service import RestoringService
    from .service import ExperimentsService
    from .tracking import TrackingService

    services.provide(MlflowConnection, lambda get: MlflowConnection(get(Settings)))
    services.provide(MlflowVariables, lambda get: MlflowVariables(get(MlflowConnection).kernel_environment))
    services.provide(
        ExperimentsService,
        lambda get: ExperimentsService(get(MlflowConnection), get(EventBus), get(LiveHub)),
    )
    services.provide(
        RestoringService, lambda get: RestoringService(get(MlflowConnection), get(ExperimentsService))
    )
    services.provide(
        RunTableService,
        lambda get: RunTableService(
            get(MlflowConnection),
            get(ExperimentsService),
            get(EventBus),
            get(LiveHub),
            get(DeploymentsOfRuns),
        ),
    )
    services.provide(
        TrackingService,
        lambda get: TrackingService(get(MlflowConnection), get(LocalStore), get(EventBus), get(LiveHub)),
    )


def _routes(server: JupyterServer) -> list[Route]:
    from .comparison.download import ARTIFACT, ArtifactHandler

    return [(ARTIFACT, ArtifactHandler, {"services": server.services})]


FEATURE = Feature(
    name="experiments",
    switch="experiments",
    resource="runs",
    operations=OPERATIONS,
    events=("experiment", "run", "divergence"),
    provide=_provide,
    routes=_routes,
)
